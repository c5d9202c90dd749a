//! TCP connections of the host's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::client::accept;
use crate::node::network::{Door, Error, HostSocket, Passage};
use crate::node::proxy::start::Context;

/// Connections that may wait to be accepted; the kernel's own limit may be lower.
const BACKLOG: u32 = 4096;
/// Bound: connections of one port that wait for an endpoint, or are passed on to an endpoint outside
/// the Pod network; those beyond it are refused. Connections that a Pod has count to the Pod.
const HELD_MAX: usize = 4096;
/// What is read at once of a connection that is passed on, in each direction. The buffers are there as
/// long as the connection: it is one of [`HELD_MAX`].
const PASSED_ON_BYTES: usize = 32 * 1024;

/// # Errors
/// The kernel's.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // On Windows this would mean to share the port with whoever has it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections and hands them to the door's endpoints. All of them that are open, wherever
/// they are on their way, are bounded by the port's share of the host's sockets; more are refused.
pub(super) async fn accept(
    ctx: Arc<Context>,
    listener: TcpListener,
    door: Door,
    sources: Vec<IpNet>,
) {
    let held = Arc::new(Semaphore::new(HELD_MAX));
    let share = ctx.rooms.network.share_of_host_sockets();
    let mut was_full = false;
    loop {
        let (socket, client) = accept::accept(&listener, &ctx.rooms.clock).await;
        let permit = share.try_take();
        let is_full = permit.is_none();
        if is_full && !was_full {
            warn!(address = %door.address, open = share.held(), "Too many connections");
        }
        was_full = is_full;
        match permit {
            Some(permit) => {
                arrive(&ctx, door, &sources, &held, HostSocket { socket, permit }, client);
            }
            None => refuse(&socket),
        }
    }
}

/// A connection and where it is in its way.
struct Arrival {
    socket: HostSocket,
    /// As the Pod sees it.
    seen_from: SocketAddr,
    passage: Passage,
}

/// What became of an attempt.
enum Attempt {
    HandedOver,
    /// No endpoint took it so far.
    Open(Arrival),
    /// This endpoint is not on the Pod network.
    Elsewhere(Arrival, SocketAddr),
}

fn arrive(
    ctx: &Arc<Context>,
    door: Door,
    sources: &[IpNet],
    held: &Arc<Semaphore>,
    socket: HostSocket,
    client: SocketAddr,
) {
    let ip = client.ip().to_canonical();
    if !sources.is_empty() && !sources.iter().any(|net| net.contains(&ip)) {
        return refuse(&socket.socket);
    }
    let Some(passage) = ctx.rooms.network.enter(door, ip) else { return refuse(&socket.socket) };
    let seen_from = seen_from(ctx, SocketAddr::new(ip, client.port()));
    let arrival = Arrival { socket, seen_from, passage };
    let attempt = arrival.hand_over(ctx);
    if matches!(attempt, Attempt::HandedOver) {
        return;
    }
    let permit = held.clone().try_acquire_owned();
    let (attempt, permit) = match (attempt, permit) {
        (attempt, Ok(permit)) => (attempt, permit),
        (Attempt::Open(arrival) | Attempt::Elsewhere(arrival, _), Err(_)) => {
            arrival.passage.refused();
            return refuse(&arrival.socket.socket);
        }
        (Attempt::HandedOver, Err(_)) => return,
    };
    let (ctx, stop) = (ctx.clone(), ctx.stop.clone());
    ctx.tasks.clone().spawn(async move {
        stop.run_until_cancelled(go_on(ctx, attempt)).await;
        drop(permit);
    });
}

/// This machine's own addresses mean something else to a Pod: it sees the gateway instead, as behind
/// a masquerading node.
fn seen_from(ctx: &Context, client: SocketAddr) -> SocketAddr {
    if client.ip().is_loopback() {
        SocketAddr::new(IpAddr::V4(ctx.gateway.address()), client.port())
    } else {
        client
    }
}

impl Arrival {
    /// Tries the endpoints that are known now.
    fn hand_over(mut self, ctx: &Context) -> Attempt {
        while let Some(endpoint) = self.passage.try_next() {
            match self.try_endpoint(ctx, endpoint) {
                Attempt::Open(arrival) => self = arrival,
                attempt => return attempt,
            }
        }
        Attempt::Open(self)
    }

    fn try_endpoint(self, ctx: &Context, endpoint: SocketAddr) -> Attempt {
        let Self { socket, seen_from, mut passage } = self;
        let network = &ctx.rooms.network;
        if network.is_outside(endpoint) {
            return Attempt::Elsewhere(Self { socket, seen_from, passage }, endpoint);
        }
        match network.hand_over(socket, endpoint, seen_from, passage.open()) {
            Ok(()) => {
                passage.arrived(endpoint);
                Attempt::HandedOver
            }
            Err((error, socket)) => {
                passage.failed(error);
                match socket {
                    Some(socket) => Attempt::Open(Self { socket, seen_from, passage }),
                    None => Attempt::HandedOver,
                }
            }
        }
    }
}

/// Waits for an endpoint, or passes bytes on to one that is outside.
async fn go_on(ctx: Arc<Context>, mut attempt: Attempt) {
    loop {
        let mut arrival = match attempt {
            Attempt::HandedOver => return,
            Attempt::Open(arrival) => arrival,
            Attempt::Elsewhere(arrival, endpoint) => match pass_on(&ctx, arrival, endpoint).await {
                Ok(()) => return,
                Err(arrival) => arrival,
            },
        };
        let Some(endpoint) = arrival.passage.next().await else {
            return refuse(&arrival.socket.socket);
        };
        attempt = arrival.try_endpoint(&ctx, endpoint);
    }
}

/// # Errors
/// With the connection back, if the endpoint does not take it.
async fn pass_on(ctx: &Context, mut arrival: Arrival, endpoint: SocketAddr) -> Result<(), Arrival> {
    let mut outside = match ctx.gateway.connect(None, endpoint).await {
        Ok(outside) => outside,
        Err(error) => {
            debug!(%endpoint, %error, "Endpoint outside the Pod network failed");
            // Others come in its place only if the Service's author puts them there.
            let error = if error == Error::HostUnreachable { Error::TimedOut } else { error };
            arrival.passage.failed(error);
            return Err(arrival);
        }
    };
    arrival.passage.arrived(endpoint);
    let _open = arrival.passage.open();
    let copied = match outside.host_mut() {
        Some(outside) => copy(&mut arrival.socket.socket, outside).await,
        None => copy(&mut arrival.socket.socket, &mut outside).await,
    };
    if let Err(error) = copied {
        debug!(%endpoint, %error, "Connection to an endpoint outside the Pod network broke");
    }
    Ok(())
}

async fn copy(
    client: &mut TcpStream,
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
    let (there, back) = (PASSED_ON_BYTES, PASSED_ON_BYTES);
    copy_bidirectional_with_sizes(client, server, there, back).await.map(drop)
}

/// The client has its connection already: a reset is as near to a refusal as can be had.
fn refuse(socket: &TcpStream) {
    // A socket that does not take the option is closed in good manners.
    let _ = socket.set_zero_linger();
}
