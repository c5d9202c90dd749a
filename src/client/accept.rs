//! Connections to ports of the host's, for both wings.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

use super::clock::Clock;

/// After a failed accept (no file descriptors left) wait this long instead of spinning.
const RETRY: Duration = Duration::from_millis(50);

/// The next connection, and who opened it. What fails is told, and tried again.
pub(crate) async fn accept(listener: &TcpListener, clock: &Clock) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                let address = listener.local_addr().ok();
                warn!(?address, %error, "Accept failed");
                clock.sleep(RETRY).await;
            }
        }
    }
}
