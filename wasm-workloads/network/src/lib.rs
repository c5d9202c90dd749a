//! What a program can ask of the Pod's network beyond wasi:sockets (`wit/network`). Outside
//! WebAssembly there is no such network, and it says so.

pub mod tls;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingError {
    /// Nobody has this address.
    Unreachable,
    TimedOut,
    /// A NetworkPolicy or the cluster's egress rules are against it.
    Denied,
    /// The address is outside the cluster, where only TCP and UDP reach.
    Outside,
    /// This is not a Pod.
    NoNetwork,
}

impl fmt::Display for PingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "Destination Host Unreachable",
            Self::TimedOut => "no answer in time",
            Self::Denied => "Operation not permitted",
            Self::Outside => "it is outside the cluster, where only TCP and UDP reach",
            Self::NoNetwork => "there is no Pod's network here",
        })
    }
}

/// Sends so many bytes (65,507 at most) to an address and waits for them to come back; the round
/// trip's time.
#[cfg(target_family = "wasm")]
pub fn ping(address: IpAddr, bytes: u32, timeout: Duration) -> Result<Duration, PingError> {
    use bindings::sampan::network::echo::{self, ErrorCode};
    let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let answer = echo::ping(&address.to_string(), bytes, timeout_ms);
    answer.map(Duration::from_nanos).map_err(|code| match code {
        ErrorCode::Unreachable => PingError::Unreachable,
        ErrorCode::TimedOut => PingError::TimedOut,
        ErrorCode::Denied => PingError::Denied,
        ErrorCode::Unsupported => PingError::Outside,
    })
}

#[cfg(not(target_family = "wasm"))]
pub fn ping(_: IpAddr, _: u32, _: Duration) -> Result<Duration, PingError> {
    Err(PingError::NoNetwork)
}

#[cfg(target_family = "wasm")]
#[allow(clippy::all, unsafe_code, unused_qualifications, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../wit/network", world: "client" });
}
