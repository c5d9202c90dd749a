//! The way of a new connection: loopback, a Pod, a Service's door, or the outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::allow::Place;
use super::passage::Passage;
use super::pod::Pod;
use super::routes::{Door, Protocol};
use super::stream::End;
use super::{Error, HostSocket, Stream, outside};

/// How long a connection to the outside, or one that a policy swallows, may take to come about; Linux
/// gives up after about as long.
const OUTSIDE_MAX: Duration = Duration::from_secs(127);

pub(super) async fn connect(
    from: &Arc<Pod>,
    local: Option<SocketAddr>,
    remote: SocketAddr,
) -> Result<Stream, Error> {
    match find(from, local, remote).await {
        // As network plugins do it: the program hears nothing until it, or the kernel, gives up.
        Err(Error::Dropped) => {
            from.network.clock().sleep(OUTSIDE_MAX).await;
            Err(Error::TimedOut)
        }
        answer => answer,
    }
}

async fn find(
    from: &Arc<Pod>,
    local: Option<SocketAddr>,
    remote: SocketAddr,
) -> Result<Stream, Error> {
    let remote = own(remote);
    let local = local_address(from, local, remote.ip())?;
    let network = &from.network;
    // Not all of the node's own address leads back to the node's programs on this network.
    if from.is_own(remote.ip()) && network.granted_at(remote).is_none() {
        return deliver(from, from, local, remote, remote);
    }
    let door = Door { address: remote, protocol: Protocol::Tcp };
    if let Some(passage) = network.enter(door, local.ip()) {
        return through(from, local, remote, passage).await;
    }
    to_place(from, local, remote, remote).await
}

/// The address that is meant: 0.0.0.0 and :: are the Pod itself, as on Linux, and an IPv4 address in
/// IPv6's clothes is an IPv4 address.
pub(super) fn own(remote: SocketAddr) -> SocketAddr {
    let ip = match remote.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, remote.port())
}

fn local_address(
    from: &Pod,
    local: Option<SocketAddr>,
    remote: IpAddr,
) -> Result<SocketAddr, Error> {
    let source = from.source(remote);
    let Some(local) = local else {
        from.check_local(source.ip())?;
        return Ok(source);
    };
    from.check_local(local.ip())?;
    let ip = if local.ip().is_unspecified() { source.ip() } else { local.ip() };
    Ok(SocketAddr::new(ip, if local.port() == 0 { source.port() } else { local.port() }))
}

/// `asked` is the address the caller knows, `to` the one that listens.
fn deliver(
    from: &Arc<Pod>,
    pod: &Arc<Pod>,
    local: SocketAddr,
    asked: SocketAddr,
    to: SocketAddr,
) -> Result<Stream, Error> {
    // A Pod's connections to itself do not keep it from ending.
    let is_visit = !Arc::ptr_eq(from, pod);
    hand_over(from, pod, local, to, is_visit).map(|stream| stream.seen_as(asked))
}

/// `is_visit`: the Pod is in use as long as the connection is open.
pub(super) fn hand_over(
    from: &Arc<Pod>,
    pod: &Arc<Pod>,
    local: SocketAddr,
    to: SocketAddr,
    is_visit: bool,
) -> Result<Stream, Error> {
    from.network.allow(from, pod, to.port(), Protocol::Tcp)?;
    if !pod.listens(to) {
        return Err(Error::Refused);
    }
    let client = End { address: local, slots: from.open_to(pod)?, buffered: &from.buffered };
    let slot = pod.open(is_visit).map_err(|error| match error {
        // Nobody answers: it is not this Pod that has too many.
        Error::LimitReached if !Arc::ptr_eq(from, pod) => Error::TimedOut,
        error => error,
    })?;
    let slots = vec![slot];
    let server = End { address: to, slots, buffered: &pod.buffered };
    let (client, server) = Stream::pair(client, server);
    pod.deliver(to, server).map_err(|(error, _)| error)?;
    Ok(client)
}

/// Tries the door's endpoints in turn; none of them may know that one has just gone.
async fn through(
    from: &Arc<Pod>,
    local: SocketAddr,
    asked: SocketAddr,
    mut passage: Passage,
) -> Result<Stream, Error> {
    while let Some(endpoint) = passage.next().await {
        match to_place(from, local, asked, endpoint).await {
            Ok(stream) => {
                passage.arrived(endpoint);
                return Ok(stream.counted(passage.open()));
            }
            Err(error) => passage.failed(error),
        }
    }
    Err(passage.error())
}

/// `asked` is the address the caller knows, `to` where it leads.
async fn to_place(
    from: &Arc<Pod>,
    local: SocketAddr,
    asked: SocketAddr,
    to: SocketAddr,
) -> Result<Stream, Error> {
    let network = &from.network;
    match network.place(to) {
        Place::Pods(ip) => {
            let pod = network.pod(ip).ok_or(Error::HostUnreachable)?;
            deliver(from, &pod, local, asked, to)
        }
        Place::Closed => Err(Error::HostUnreachable),
        Place::Outside(to) => {
            let beyond = network.allow_outside(from, to, Protocol::Tcp)?;
            let slots = vec![from.open(false)?];
            let permit = from.host_socket()?;
            let socket = outside::connect(beyond, OUTSIDE_MAX, network.clock()).await?;
            let socket = HostSocket { socket, permit };
            Ok(Stream::host(socket, local, asked, slots, &from.buffered))
        }
    }
}
