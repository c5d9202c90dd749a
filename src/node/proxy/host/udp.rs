//! Datagrams that reach the host.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::node::network::{self, DATAGRAM_BYTES_MAX, Door, Protocol};
use crate::node::proxy::start::Context;

/// How long a client stays with its endpoint after the last datagram of either; Linux'
/// `nf_conntrack_udp_timeout_stream`.
const FLOW_STAY: Duration = Duration::from_secs(120);
/// Bound: clients of one port at once. Datagrams of others are lost, as with a full table of the
/// kernel's.
const FLOWS_MAX: usize = 4096;

/// # Errors
/// The kernel's.
pub(super) fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Passes datagrams on to the door's endpoints, and their answers back.
pub(super) async fn forward(ctx: Arc<Context>, socket: UdpSocket, door: Door, sources: Vec<IpNet>) {
    let stop = ctx.stop.child_token();
    let port = Arc::new(Port { ctx, socket, door, stop: stop.clone(), flows: Mutex::default() });
    let _stop_flows = stop.drop_guard();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match port.socket.recv_from(&mut buffer).await {
            Ok((count, client)) => {
                let ip = client.ip().to_canonical();
                if sources.is_empty() || sources.iter().any(|net| net.contains(&ip)) {
                    port.pass_on(client, Bytes::copy_from_slice(&buffer[..count]));
                }
            }
            // What became of an answer sent earlier, on some systems.
            Err(error) => debug!(address = %door.address, %error, "A datagram was lost"),
        }
    }
}

struct Port {
    ctx: Arc<Context>,
    socket: UdpSocket,
    door: Door,
    /// Ends the flows' tasks with the port.
    stop: CancellationToken,
    flows: Mutex<HashMap<SocketAddr, Arc<Flow>>>,
}

/// A client and its endpoint.
struct Flow {
    inside: network::UdpSocket,
    endpoint: SocketAddr,
    used: Mutex<Duration>,
}

impl Port {
    /// What cannot be passed on is lost.
    fn pass_on(self: &Arc<Self>, client: SocketAddr, bytes: Bytes) {
        let Some(flow) = self.flow(client) else { return };
        *flow.used.lock() = self.ctx.rooms.clock.monotonic();
        if let Err(error) = flow.inside.send(bytes, None) {
            debug!(endpoint = %flow.endpoint, %error, "An endpoint lost a datagram");
            self.forget(client, &flow);
        }
    }

    /// The client's flow, while its endpoint is one of the door's; else a new one.
    fn flow(self: &Arc<Self>, client: SocketAddr) -> Option<Arc<Flow>> {
        let network = &self.ctx.rooms.network;
        let route = network.routes().get(self.door)?;
        let mut flows = self.flows.lock();
        if let Some(flow) = flows.get(&client)
            && route.endpoints.contains(&flow.endpoint)
        {
            return Some(flow.clone());
        }
        if flows.len() >= FLOWS_MAX && !flows.contains_key(&client) {
            return None;
        }
        let mut passage = network.enter(self.door, client.ip().to_canonical())?;
        let endpoint = passage.try_next()?;
        // Asked once for each flow: like connections, those that are open stay.
        if !network.admits(client, endpoint, Protocol::Udp) {
            return None;
        }
        let gateway = &self.ctx.gateway;
        let local = SocketAddr::new(IpAddr::V4(gateway.address()), 0);
        let inside = gateway.udp(local).ok()?;
        inside.connect(Some(endpoint));
        passage.arrived(endpoint);
        let used = Mutex::new(self.ctx.rooms.clock.monotonic());
        let flow = Arc::new(Flow { inside, endpoint, used });
        flows.insert(client, flow.clone());
        let (port, answered, stop) = (self.clone(), flow.clone(), self.stop.clone());
        self.ctx.tasks.spawn(async move {
            stop.run_until_cancelled(port.bring_back(client, &answered)).await;
            port.forget(client, &answered);
        });
        Some(flow)
    }

    /// Brings answers back until nothing has come either way for a while, or the endpoint has gone.
    async fn bring_back(&self, client: SocketAddr, flow: &Flow) {
        let clock = &self.ctx.rooms.clock;
        loop {
            let idle_at = *flow.used.lock() + FLOW_STAY;
            tokio::select! {
                received = flow.inside.recv() => {
                    let Ok((bytes, _)) = received else { return };
                    *flow.used.lock() = clock.monotonic();
                    if let Err(error) = self.socket.send_to(&bytes, client).await {
                        debug!(%client, %error, "An answer was lost");
                    }
                }
                () = clock.sleep_until(idle_at) => {
                    if clock.monotonic() >= *flow.used.lock() + FLOW_STAY {
                        return;
                    }
                }
            }
        }
    }

    fn forget(&self, client: SocketAddr, flow: &Arc<Flow>) {
        let mut flows = self.flows.lock();
        if flows.get(&client).is_some_and(|there| Arc::ptr_eq(there, flow)) {
            flows.remove(&client);
        }
    }
}
