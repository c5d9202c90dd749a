//! sampan:network/echo. Upstream: `wasm-workloads/wit/network/network.wit`.

use std::net::IpAddr;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};

use super::super::process::Process;
use crate::node::network::PingError;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wasm-workloads/wit/network/network.wit",
        world: "sampan:network/client",
        imports: { default: async | trappable },
    });
}

use bindings::sampan::network::echo::{self, ErrorCode};

pub(super) fn add_to_linker(linker: &mut Linker<Process>) -> wasmtime::Result<()> {
    echo::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)
}

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
