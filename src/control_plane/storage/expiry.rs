//! Deletes objects that have outlived their time (Events: one hour).

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::published::Published;
use super::state::State;
use super::{Durability, Error, Storage};
use crate::client::clock::Clock;

/// Bound: expired objects collected under one lock.
const BATCH: usize = 256;
/// The time of day can jump, by setting it or by a suspended laptop: look again this often while
/// something is due to expire.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Runs until `done`, which the store cancels when it is closed or dropped.
pub(super) async fn run(
    store: Weak<dyn Storage>,
    published: Arc<Published>,
    clock: Clock,
    done: CancellationToken,
) {
    loop {
        tokio::select! {
            () = done.cancelled() => return,
            () = published.expiry_moved.notified() => {}
            () = next_expiry(&published, &clock) => {}
        }
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = delete_expired(&*store, &published, &clock).await {
            if !matches!(error, Error::Closed) {
                warn!(%error, "Expired objects stay until the store is opened again");
            }
            return;
        }
    }
}

async fn next_expiry(published: &Published, clock: &Clock) {
    let Some(at) = published.read(State::next_expiry) else {
        return std::future::pending().await;
    };
    let wait = Duration::try_from(at.duration_since(clock.now())).unwrap_or_default();
    clock.sleep(wait.min(LOOK_AGAIN)).await;
}

async fn delete_expired(
    store: &dyn Storage,
    published: &Published,
    clock: &Clock,
) -> Result<(), Error> {
    loop {
        let expired = published.expired(clock.now(), BATCH);
        if expired.is_empty() {
            return Ok(());
        }
        for (key, revision) in expired {
            match store.delete(&key, revision, Durability::Relaxed).await {
                // Somebody changed or deleted it meanwhile: it has another time to live now.
                Ok(_) | Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
