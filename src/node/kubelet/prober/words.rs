//! What went wrong, in the words that upstream's probes have from Go.

use std::net::SocketAddr;
use std::time::Duration;

use crate::node::network::Error;

/// A whole number of seconds as Go prints a duration: `1s`, `1m30s`, `1h0m0s`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match seconds {
        0..60 => format!("{rest}s"),
        60..3600 => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// A connection did not come about.
pub(super) fn dial(to: SocketAddr, error: Error) -> String {
    format!("dial tcp {to}: connect: {}", error.to_string().to_lowercase())
}

/// The same, for want of time.
pub(super) fn dial_timeout(to: SocketAddr) -> String {
    format!("dial tcp {to}: i/o timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_s() {
        for (seconds, text) in
            [(1, "1s"), (60, "1m0s"), (61, "1m1s"), (3600, "1h0m0s"), (3725, "1h2m5s")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
