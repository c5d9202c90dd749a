//! The switch that ends processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

use super::Exit;

const KILL: u8 = 9;
/// No signal: out of memory.
const OUT_OF_MEMORY: u8 = u8::MAX;

/// Ends a process, or all processes below it. The first reason counts. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct KillSwitch {
    pub(super) token: CancellationToken,
    reason: Arc<AtomicU8>,
    above: Option<Arc<Self>>,
}

impl KillSwitch {
    pub(super) fn new() -> Self {
        Self { token: CancellationToken::new(), reason: Arc::default(), above: None }
    }

    /// A switch that this one turns as well.
    pub(super) fn below(&self) -> Self {
        Self {
            token: self.token.child_token(),
            reason: Arc::default(),
            above: Some(Arc::new(self.clone())),
        }
    }

    pub(super) fn kill(&self, signal: u8) {
        self.turn(signal);
    }

    pub(super) fn out_of_memory(&self) {
        self.turn(OUT_OF_MEMORY);
    }

    fn turn(&self, reason: u8) {
        // Fails if there is a reason already, which stays.
        let _ = self.reason.compare_exchange(0, reason, Ordering::AcqRel, Ordering::Acquire);
        self.token.cancel();
    }

    pub(super) async fn turned(&self) {
        self.token.cancelled().await;
    }

    /// How a process ends that was killed by this.
    pub(super) fn exit(&self) -> Exit {
        match self.own_or_above() {
            OUT_OF_MEMORY => Exit {
                code: 128 + i32::from(KILL),
                oom_killed: true,
                message: Some("out of memory: the container's memory limit is reached".to_owned()),
            },
            signal => Exit { code: 128 + i32::from(signal), oom_killed: false, message: None },
        }
    }

    fn own_or_above(&self) -> u8 {
        match (self.reason.load(Ordering::Acquire), &self.above) {
            (0, Some(above)) => above.own_or_above(),
            (0, None) => KILL,
            (reason, _) => reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts_and_reaches_those_below() {
        let container = KillSwitch::new();
        let process = container.below();
        container.kill(15);
        container.out_of_memory();
        assert!(process.token.is_cancelled());
        assert_eq!(process.exit().code, 143);
    }

    #[test]
    fn a_process_killed_alone_leaves_the_others() {
        let container = KillSwitch::new();
        let (one, other) = (container.below(), container.below());
        one.kill(9);
        assert_eq!((one.exit().code, other.token.is_cancelled()), (137, false));
    }
}
