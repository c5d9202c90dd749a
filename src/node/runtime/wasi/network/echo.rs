//! sampan:network/echo.

use std::net::IpAddr;
use std::time::Duration;

use super::wit::echo::{self, ErrorCode};
use crate::node::network::PingError;
use crate::node::runtime::process::Process;

impl echo::Host for Process {
    async fn ping(
        &mut self,
        address: String,
        payload_bytes: u32,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<u64, ErrorCode>> {
        let Some(network) = self.container.network.clone() else {
            return Ok(Err(ErrorCode::Denied));
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Ok(Err(ErrorCode::Unreachable));
        };
        let bytes = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
        let timeout = Duration::from_millis(timeout_ms.into());
        let answer = network.ping(address, bytes, timeout).await;
        Ok(answer.map_err(code).map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }
}

fn code(error: PingError) -> ErrorCode {
    match error {
        PingError::Unreachable => ErrorCode::Unreachable,
        PingError::TimedOut => ErrorCode::TimedOut,
        PingError::Denied => ErrorCode::Denied,
        PingError::Unsupported => ErrorCode::Unsupported,
    }
}
