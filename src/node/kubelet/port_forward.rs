//! Connects to a Pod's ports from inside its network, for `kubectl port-forward`.
//!
//! Upstream: containerd's `internal/cri/server/sandbox_portforward_linux.go`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::client::node_api::NodeError;
use crate::node::network::{Error, PodNetwork, Stream};

/// To loopback, as the Pod's own containers connect to each other; a server may have chosen the Pod's
/// address, or IPv6, instead.
///
/// # Errors
/// [`NodeError::BadRequest`] with what the first try came to, in Go's words.
pub(super) async fn connect(network: &PodNetwork, port: u16) -> Result<Stream, NodeError> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let error = match dial(network, loopback, port).await {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    if error == Error::Refused {
        for other in [network.address().into(), Ipv6Addr::LOCALHOST.into()] {
            if let Ok(stream) = dial(network, other, port).await {
                return Ok(stream);
            }
        }
    }
    let why = error.to_string().to_lowercase();
    Err(NodeError::BadRequest(format!(
        "failed to connect to localhost:{port} inside the pod's network: \
         dial tcp4 127.0.0.1:{port}: connect: {why}"
    )))
}

async fn dial(network: &PodNetwork, ip: IpAddr, port: u16) -> Result<Stream, Error> {
    network.connect(None, SocketAddr::new(ip, port)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::clock::Clock;
    use crate::node::network::{Config, Member, Network, Resolver};

    fn pod() -> PodNetwork {
        let network = Network::new(Config::default(), Clock::manual(jiff::Timestamp::UNIX_EPOCH));
        network.join(Member {
            address: Ipv4Addr::new(10, 42, 0, 2),
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            resolver: Resolver::default(),
        })
    }

    #[tokio::test]
    async fn a_server_is_found_wherever_it_listens() {
        for address in ["127.0.0.1:80", "0.0.0.0:80", "10.42.0.2:80", "[::1]:80", "[::]:80"] {
            let pod = pod();
            let _listener = pod.listen(address.parse().unwrap()).unwrap();
            assert!(connect(&pod, 80).await.is_ok(), "{address}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_told_as_upstream_tells_it() {
        let refused = connect(&pod(), 81).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "failed to connect to localhost:81 inside the pod's network: \
             dial tcp4 127.0.0.1:81: connect: connection refused"
        );
    }
}
