//! Waiting for a condition that somebody announces.

use tokio::sync::Notify;

/// Until `done`; asked again at each notice.
pub(super) async fn wait_until(notify: &Notify, done: impl Fn() -> bool) {
    loop {
        let mut notified = std::pin::pin!(notify.notified());
        // Registered before the check, or a notice between the two would be lost.
        notified.as_mut().enable();
        if done() {
            return;
        }
        notified.await;
    }
}
