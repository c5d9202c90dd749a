//! Where a probe leads, and the way there.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::words;
use crate::client::clock::Clock;
use crate::node::network::{Error, Network, PodNetwork, ResolveError, Stream};

/// From where probes connect: the node, on the Pods' network.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    pub(super) network: Network,
    pub(super) pod: PodNetwork,
    /// A Pod that asked for the host's network means itself by the host's loopback: its own address is
    /// the nearest thing it has.
    pub(super) is_on_host: bool,
}

/// When a probe has taken too long.
#[derive(Debug, Clone)]
pub(super) struct Deadline {
    pub(super) clock: Clock,
    /// On the monotonic clock.
    pub(super) at: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DialError {
    Lookup { host: String, error: ResolveError },
    Connect { to: SocketAddr, error: Error },
    TimedOut { to: SocketAddr },
}

impl Deadline {
    /// `None` if there was no time left for it.
    pub(super) async fn allows<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.clock.sleep_until(self.at) => None,
        }
    }
}

impl Dialer {
    /// The host that is probed unless the probe names one.
    pub(super) fn pod_host(&self) -> String {
        self.pod.address().to_string()
    }

    /// # Errors
    /// [`DialError`]
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
        deadline: &Deadline,
    ) -> Result<Stream, DialError> {
        let unknown = SocketAddr::new(IpAddr::V4(self.pod.address()), port);
        let looked_up = deadline.allows(self.look_up(host)).await;
        let ip = looked_up.ok_or(DialError::TimedOut { to: unknown })?;
        let ip = ip.map_err(|error| DialError::Lookup { host: host.to_owned(), error })?;
        let to = SocketAddr::new(ip, port);
        let connect = async {
            match ip.is_loopback() && self.is_on_host {
                true => self.pod.connect(None, to).await,
                false => self.network.probe(to).await,
            }
        };
        let connected = deadline.allows(connect).await.ok_or(DialError::TimedOut { to })?;
        connected.map_err(|error| DialError::Connect { to, error })
    }

    /// As the node looks names up, which knows no Services by name.
    async fn look_up(&self, host: &str) -> Result<IpAddr, ResolveError> {
        if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
            return Ok(ip);
        }
        let node = self.network.member(self.network.gateway()).ok_or(ResolveError::TryAgain)?;
        let addresses = node.resolve(host).await?;
        addresses.first().copied().ok_or(ResolveError::NotFound)
    }
}

impl std::fmt::Display for DialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lookup { host, error: ResolveError::NotFound } => {
                write!(f, "dial tcp: lookup {host}: no such host")
            }
            Self::Lookup { host, error } => {
                write!(f, "dial tcp: lookup {host}: {}", error.to_string().to_lowercase())
            }
            Self::Connect { to, error } => f.write_str(&words::dial(*to, *error)),
            Self::TimedOut { to } => f.write_str(&words::dial_timeout(*to)),
        }
    }
}

/// The port that a probe names: by number, or by the name of one of the container's ports.
///
/// # Errors
/// A text for the user.
///
/// Upstream: `pkg/probe/util.go` (`ResolveContainerPort`).
pub(super) fn port(named: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match named {
        IntOrString::Int(number) => i64::from(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let found = ports.find(|port| port.name.as_ref() == Some(name));
            match found.map(|port| i64::from(port.container_port)).or_else(|| name.parse().ok()) {
                Some(number) => number,
                None => {
                    let container = &container.name;
                    return Err(format!("port {name:?} is none of container {container}'s ports"));
                }
            }
        }
    };
    match u16::try_from(number) {
        Ok(port @ 1..) => Ok(port),
        _ => Err(format!("invalid port number: {number}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(named: IntOrString, expect: Result<u16, &str>) {
        let container = json!({"name": "web", "ports": [
            {"containerPort": 80}, {"name": "http", "containerPort": 8080}]});
        let container: Container = serde_json::from_value(container).unwrap();
        assert_eq!(port(&named, &container), expect.map_err(str::to_owned));
    }

    #[test]
    fn a_port_is_found_by_its_name() {
        check(IntOrString::Int(81), Ok(81));
        check(IntOrString::String("http".to_owned()), Ok(8080));
        check(IntOrString::String("82".to_owned()), Ok(82));
        let text = "port \"web\" is none of container web's ports";
        check(IntOrString::String("web".to_owned()), Err(text));
        check(IntOrString::Int(65_536), Err("invalid port number: 65536"));
        check(IntOrString::Int(0), Err("invalid port number: 0"));
    }
}
