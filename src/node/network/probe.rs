//! How the node looks after Pods: connections of its own, which are nobody's use of a Pod.

use std::net::SocketAddr;

use super::allow::Place;
use super::{Error, Network, PodNetwork, Stream, connect};

impl Network {
    /// Opens a connection from the node, to see whether somebody is well. No policy is against it. The Pod
    /// is as quiet as before: who is only probed may sleep, and ends without waiting for the probe.
    ///
    /// # Errors
    /// As [`PodNetwork::connect`]; [`Error::Down`] while the node itself is not on the network.
    pub async fn probe(&self, remote: SocketAddr) -> Result<Stream, Error> {
        let node = self.pod(self.gateway()).ok_or(Error::Down)?;
        let remote = connect::own(remote);
        match self.place(remote) {
            Place::Pods(ip) if !node.is_own(remote.ip()) => {
                let pod = self.pod(ip).ok_or(Error::HostUnreachable)?;
                connect::hand_over(&node, &pod, node.source(remote.ip()), remote, false)
            }
            _ => connect::connect(&node, None, remote).await,
        }
    }
}

impl PodNetwork {
    /// Waits until somebody accepts connections at this port of the Pod's own address.
    pub async fn listening(&self, port: u16) {
        loop {
            let anew = self.0.listens_anew.notified();
            tokio::pin!(anew);
            // Before the look: whoever begins after it is heard.
            anew.as_mut().enable();
            if self.listens(port) {
                return;
            }
            anew.await;
        }
    }
}
