//! Time, randomness and identifiers: handed in, never taken, so that tests hold them still.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The time of day, a monotonic clock, and waiting. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    System { started: tokio::time::Instant },
    Manual(Manual),
}

struct Manual {
    epoch: Timestamp,
    elapsed_tx: watch::Sender<Duration>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(Source::System { started: tokio::time::Instant::now() }))
    }

    /// A clock that stands at `epoch` until [`Clock::advance`] moves it.
    pub fn manual(epoch: Timestamp) -> Self {
        let (elapsed_tx, _) = watch::channel(Duration::ZERO);
        Self(Arc::new(Source::Manual(Manual { epoch, elapsed_tx })))
    }

    /// The time of day, UTC.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System { .. } => Timestamp::try_from(std::time::SystemTime::now())
                .expect("the system clock is within jiff's range, years -9999 to 9999"),
            Source::Manual(manual) => manual.epoch + *manual.elapsed_tx.borrow(),
        }
    }

    /// Time since the clock was made; never goes back.
    pub fn monotonic(&self) -> Duration {
        match &*self.0 {
            Source::System { started } => started.elapsed(),
            Source::Manual(manual) => *manual.elapsed_tx.borrow(),
        }
    }

    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.monotonic() + duration).await;
    }

    /// Waits until [`Clock::monotonic`] has reached `instant`.
    pub async fn sleep_until(&self, instant: Duration) {
        match &*self.0 {
            Source::System { started } => tokio::time::sleep_until(*started + instant).await,
            Source::Manual(manual) => {
                let mut elapsed_rx = manual.elapsed_tx.subscribe();
                // Fails only when the sender is gone, and we hold the sender.
                let _ = elapsed_rx.wait_for(|elapsed| *elapsed >= instant).await;
            }
        }
    }

    /// Moves a manual clock; the system's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &*self.0 {
            manual.elapsed_tx.send_modify(|elapsed| *elapsed += by);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// Identifiers and random names. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ids(Arc<Mutex<Sequence>>);

#[derive(Debug)]
enum Sequence {
    Random,
    Counting(u64),
}

impl Ids {
    /// Unpredictable ones.
    pub fn random() -> Self {
        Self(Arc::new(Mutex::new(Sequence::Random)))
    }

    /// 1, 2, 3 …: for tests that look at what was written.
    pub fn counting() -> Self {
        Self(Arc::new(Mutex::new(Sequence::Counting(0))))
    }

    /// An object's uid: a version 4 UUID, in text.
    pub fn uid(&self) -> String {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid().to_string()
    }

    /// The five characters that `generateName` and controllers add to a name.
    ///
    /// Upstream: `k8s.io/apimachinery/pkg/util/rand` (no vowels, nothing easily confused).
    pub fn suffix(&self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let [a, b, c, d, e, f, g, h, ..] = self.bytes();
        let mut number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let base = ALPHABET.len() as u64;
        let mut next = || {
            let digit = number % base;
            number /= base;
            char::from(ALPHABET[digit as usize])
        };
        [next(), next(), next(), next(), next()].into_iter().collect()
    }

    fn bytes(&self) -> [u8; 16] {
        match &mut *self.0.lock() {
            Sequence::Random => uuid::Uuid::new_v4().into_bytes(),
            Sequence::Counting(last) => {
                *last += 1;
                u128::from(*last).to_le_bytes()
            }
        }
    }
}

/// The second that has begun, as metav1.Time is written; never one that is yet to come: a token that
/// begins in half a second is refused until then.
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_counts_once_it_has_begun() {
        let late: Timestamp = "2026-11-23T04:27:36.983Z".parse().unwrap();
        assert_eq!(whole_second(late).to_string(), "2026-11-23T04:27:36Z");
    }
}
