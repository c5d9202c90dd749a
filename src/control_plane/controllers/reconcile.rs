//! The loop that all controllers share: keys from caches, one reconcile at a time, back-off.

use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::api::object::ObjectKey;
use crate::client::clock::Clock;
use crate::client::queue::{Backoff, Queue};

/// Upstream's `DefaultControllerRateLimiter`, but that it gives up waiting longer at one minute.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(5), max: Duration::from_secs(60) };

/// A failure that passes by itself (a lost race) is told from others only in how loudly it is logged.
const QUIET_FAILURES: Duration = Duration::from_secs(1);

/// Reconciles each key that `keys` yields, and again after a failure.
pub(super) async fn run<F>(
    name: &'static str,
    clock: Clock,
    stop: CancellationToken,
    mut keys: impl Stream<Item = ObjectKey> + Unpin,
    reconcile: impl Fn(ObjectKey) -> F,
) where
    F: Future<Output = Result<(), kube::Error>>,
{
    info!(controller = %name, "Started");
    let queue = Queue::new(clock, BACKOFF);
    let feed = async {
        while let Some(key) = keys.next().await {
            queue.add(key);
        }
        std::future::pending::<()>().await;
    };
    let work = async {
        loop {
            let claim = queue.next().await;
            let key = claim.key().clone();
            match reconcile(key.clone()).await {
                Ok(()) => claim.succeeded(),
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
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = feed => {}
        () = work => {}
    }
}

/// Whether the API server says that the object is not there (any more).
pub(super) fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
