//! Which ports of a Pod are taken, and by what; one table for each protocol.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Error;

/// Sockets by port; several share one if each is bound to an address of its own.
#[derive(Debug)]
pub(super) struct Ports<T>(Mutex<HashMap<u16, Vec<Bound<T>>>>);

#[derive(Debug)]
struct Bound<T> {
    address: IpAddr,
    socket: Arc<T>,
}

impl<T> Default for Ports<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Ports<T> {
    /// Takes the address for a socket; of port 0, the first free one of `candidates`. Answers the
    /// address with its port.
    ///
    /// # Errors
    /// [`Error::AddressInUse`]
    pub(super) fn take(
        &self,
        local: SocketAddr,
        mut candidates: impl Iterator<Item = u16>,
        socket: Arc<T>,
    ) -> Result<SocketAddr, Error> {
        let mut ports = self.0.lock();
        let port = match local.port() {
            0 => candidates.find(|port| !ports.contains_key(port)).ok_or(Error::AddressInUse)?,
            port => port,
        };
        let bound = ports.entry(port).or_default();
        if bound.iter().any(|bound| overlap(bound.address, local.ip())) {
            return Err(Error::AddressInUse);
        }
        bound.push(Bound { address: local.ip(), socket });
        Ok(SocketAddr::new(local.ip(), port))
    }

    /// The socket that what comes to `to` is for.
    pub(super) fn at(&self, to: SocketAddr) -> Option<Arc<T>> {
        let ports = self.0.lock();
        let mut bound = ports.get(&to.port())?.iter();
        bound.find(|bound| overlap(bound.address, to.ip())).map(|bound| bound.socket.clone())
    }

    pub(super) fn free(&self, port: u16, socket: &Arc<T>) {
        let mut ports = self.0.lock();
        if let Some(bound) = ports.get_mut(&port) {
            bound.retain(|bound| !Arc::ptr_eq(&bound.socket, socket));
            if bound.is_empty() {
                ports.remove(&port);
            }
        }
    }

    /// Frees all.
    pub(super) fn clear(&self) -> Vec<Arc<T>> {
        let ports = std::mem::take(&mut *self.0.lock());
        ports.into_values().flatten().map(|bound| bound.socket).collect()
    }
}

/// Whether sockets bound to these addresses would get each other's packets. As WASI has it, a socket
/// is of one family only.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
        && (one == other || one.is_unspecified() || other.is_unspecified())
}
