//! The loop that all controllers share: keys from caches, a few reconciles at a time but never two of
//! one key, back-off.
//!
//! A reconcile that has written waits until the caches it reads show the write
//! ([`crate::client::cache::Cache::reached`]): so the next one of that key never acts on what was before,
//! and nothing is made or deleted twice. This takes the place of upstream's expectations.

use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, debug_span, info, warn};

use crate::client::clock::Clock;
use crate::client::queue::{Backoff, Claim, Queue};

/// Upstream's `DefaultControllerRateLimiter`, but that it gives up waiting longer at one minute.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(5), max: Duration::from_secs(60) };

/// A failure that passes by itself (a lost race) is told from others only in how loudly it is logged.
const QUIET_FAILURES: Duration = Duration::from_secs(1);

/// Bound: keys of one controller worked on at once. One that waits (for the store, for a cache) does not
/// keep the others; upstream's `--concurrent-…-syncs` are 5 to 20.
const WORKERS_MAX: usize = 16;

/// What remains to be done for a key whose reconcile succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing until something changes.
    Done,
    /// Look again after this long, whatever happens: something is due by then.
    After(Duration),
}

impl From<()> for Next {
    fn from((): ()) -> Self {
        Self::Done
    }
}

/// Reconciles each key that `keys` yields, and again after a failure, until `stop` is cancelled.
pub(super) async fn run<K, F, N>(
    name: &'static str,
    clock: Clock,
    stop: CancellationToken,
    keys: impl Stream<Item = K>,
    reconcile: impl Fn(K) -> F,
) where
    K: Clone + Eq + Hash + fmt::Display,
    F: Future<Output = Result<N, kube::Error>>,
    N: Into<Next>,
{
    info!(controller = %name, "Started");
    let queue = Queue::new(clock, BACKOFF);
    // When they end, the server is shutting down and `stop` follows.
    let mut keys = std::pin::pin!(keys.chain(futures::stream::pending()));
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(key) = keys.next() => queue.add(key),
            Some((claim, outcome)) = under_way.next() => settle(name, &queue, claim, outcome),
            claim = queue.next(), if under_way.len() < WORKERS_MAX => {
                let work = reconcile(claim.key().clone());
                let span = debug_span!("reconcile", controller = name, key = %claim.key());
                under_way.push(async { (claim, work.await.map(N::into)) }.instrument(span));
            }
        }
    }
}

fn settle<K: Clone + Eq + Hash + fmt::Display>(
    name: &'static str,
    queue: &Queue<K>,
    claim: Claim<K>,
    outcome: Result<Next, kube::Error>,
) {
    let key = claim.key().clone();
    match outcome {
        Ok(next) => {
            claim.succeeded();
            if let Next::After(delay) = next {
                queue.add_after(key, delay);
            }
        }
        Err(error) => {
            let again_after = claim.failed();
            if again_after < QUIET_FAILURES {
                debug!(controller = name, %key, %error, "Trying again");
            } else {
                warn!(controller = name, %key, %error, ?again_after, "Failed to reconcile");
            }
        }
    }
}

/// Whether the API server says that the object is not there (any more).
pub(super) fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// What the API server said, without what the client makes of it.
pub(super) fn text_of(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}
