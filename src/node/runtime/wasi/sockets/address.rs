//! Addresses as WASI has them, and which of them a socket may be given.

use std::net::{IpAddr, SocketAddr};

use wasmtime_wasi::p2::SocketResult;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};

/// An address to bind to.
///
/// # Errors
/// [`ErrorCode::InvalidArgument`] if it is of the other family, or not one host's.
pub(super) fn local(address: IpSocketAddress, family: IpAddressFamily) -> SocketResult<SocketAddr> {
    let address = SocketAddr::from(address);
    let ip = address.ip();
    if is_of(ip, family) && is_unicast(ip) {
        Ok(address)
    } else {
        Err(ErrorCode::InvalidArgument.into())
    }
}

/// An address to connect or send to.
///
/// # Errors
/// As [`local`], and if it is all addresses, or has no port.
pub(super) fn remote(
    address: IpSocketAddress,
    family: IpAddressFamily,
) -> SocketResult<SocketAddr> {
    let address = local(address, family)?;
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err(ErrorCode::InvalidArgument.into());
    }
    Ok(address)
}

/// WASI has no sockets for both families: an IPv4 address in IPv6's clothes is of neither.
fn is_of(ip: IpAddr, family: IpAddressFamily) -> bool {
    match ip {
        IpAddr::V4(_) => family == IpAddressFamily::Ipv4,
        IpAddr::V6(ip) => family == IpAddressFamily::Ipv6 && ip.to_ipv4_mapped().is_none(),
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    !ip.is_multicast() && !matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}
