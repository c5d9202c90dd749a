//! How long a silence may last.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;

use crate::client::clock::Clock;

/// Waits for what another one sends, piece by piece, and no longer than so long for each.
pub(super) struct Patience {
    clock: Clock,
    silence_max: Duration,
    /// Since nothing comes.
    waiting: Option<BoxFuture<'static, ()>>,
}

impl Patience {
    pub(super) fn new(clock: Clock, silence_max: Duration) -> Self {
        Self { clock, silence_max, waiting: None }
    }

    /// What has come, if something has; `None` once the silence has lasted too long.
    pub(super) fn poll<T>(&mut self, cx: &mut Context<'_>, came: Poll<T>) -> Poll<Option<T>> {
        if let Poll::Ready(piece) = came {
            self.waiting = None;
            return Poll::Ready(Some(piece));
        }
        let (clock, silence_max) = (&self.clock, self.silence_max);
        let waiting = self.waiting.get_or_insert_with(|| {
            let clock = clock.clone();
            Box::pin(async move { clock.sleep(silence_max).await })
        });
        waiting.as_mut().poll(cx).map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn each_piece_has_the_whole_time() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut patience = Patience::new(clock.clone(), Duration::from_secs(2));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut poll = |came| patience.poll(&mut cx, came);
        assert_eq!(poll(Poll::Pending::<u8>), Poll::Pending);
        clock.advance(Duration::from_secs(1));
        assert_eq!(poll(Poll::Ready(7)), Poll::Ready(Some(7)));
        assert_eq!(poll(Poll::Pending), Poll::Pending);
        clock.advance(Duration::from_secs(1));
        assert_eq!(poll(Poll::Pending), Poll::Pending);
        clock.advance(Duration::from_secs(1));
        assert_eq!(poll(Poll::Pending), Poll::Ready(None));
    }
}
