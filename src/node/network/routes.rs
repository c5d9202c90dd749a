//! Services' addresses: where a connection to each of them really goes. The proxy writes the table;
//! every connection of a Pod reads it, as packets pass a kernel's table of translations.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::telemetry::ServiceConnections;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// An address of a Service: its ClusterIP, an external IP, a load balancer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Door {
    pub address: SocketAddr,
    pub protocol: Protocol,
}

/// Where a door leads.
#[derive(Debug, Default)]
pub struct Route {
    /// Those that take new connections; if there is none, the Pods that are ending but still serve
    /// (upstream: KEP-1669, proxy terminating endpoints).
    pub endpoints: Vec<SocketAddr>,
    /// `sessionAffinity: ClientIP`: how long a client stays with an endpoint after its last connection.
    pub affinity: Option<Duration>,
    /// Where its connections are counted, if they are.
    pub(super) counted: Option<ServiceConnections>,
    next: AtomicUsize,
    /// Clients' last endpoints. Bound: [`CLIENTS_MAX`].
    clients: Mutex<HashMap<IpAddr, (SocketAddr, Duration)>>,
}

/// Clients whose endpoint one route remembers; beyond it those whose time is up are forgotten, and
/// then all.
const CLIENTS_MAX: usize = 16 * 1024;

impl Route {
    pub fn new(endpoints: Vec<SocketAddr>, affinity: Option<Duration>) -> Self {
        Self { endpoints, affinity, ..Self::default() }
    }

    /// The same, with its connections counted.
    #[must_use]
    pub fn counted(self, counted: ServiceConnections) -> Self {
        Self { counted: Some(counted), ..self }
    }

    /// Where the next connection begins: endpoints take turns.
    pub(super) fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % self.endpoints.len().max(1)
    }

    /// The client has got this endpoint.
    pub(super) fn chose(&self, client: IpAddr, endpoint: SocketAddr, now: Duration) {
        let Some(stay) = self.affinity else { return };
        let mut clients = self.clients.lock();
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            clients.retain(|_, (_, since)| now.saturating_sub(*since) < stay);
            if clients.len() >= CLIENTS_MAX {
                clients.clear();
            }
        }
        clients.insert(client, (endpoint, now));
    }

    /// The index of the endpoint that the client is to stay with; `now` is monotonic.
    pub(super) fn remembered(&self, client: IpAddr, now: Duration) -> Option<usize> {
        let stay = self.affinity?;
        let (endpoint, since) = *self.clients.lock().get(&client)?;
        let stays = now.saturating_sub(since) < stay;
        self.endpoints.iter().position(|one| stays && *one == endpoint)
    }

    /// Takes over what the route before it knew of its clients.
    fn follow(&self, before: &Self) {
        self.next.store(before.next.load(Ordering::Relaxed), Ordering::Relaxed);
        std::mem::swap(&mut *self.clients.lock(), &mut *before.clients.lock());
    }
}

/// All doors. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Routes(Arc<Table>);

#[derive(Debug)]
struct Table {
    doors: RwLock<Doors>,
    /// Counts changes.
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Doors {
    routes: HashMap<Door, Arc<Route>>,
    /// How many doors each address has.
    addresses: HashMap<IpAddr, usize>,
}

impl Default for Routes {
    fn default() -> Self {
        Self(Arc::new(Table { doors: RwLock::default(), version: watch::channel(0).0 }))
    }
}

impl Routes {
    /// Opens, changes and (`None`) closes doors, all at once.
    pub fn apply(&self, changes: impl IntoIterator<Item = (Door, Option<Route>)>) {
        let mut doors = self.0.doors.write();
        for (door, route) in changes {
            match route {
                Some(route) => doors.open(door, route),
                None => doors.close(door),
            }
        }
        drop(doors);
        self.changed();
    }

    pub fn get(&self, door: Door) -> Option<Arc<Route>> {
        self.0.doors.read().routes.get(&door).cloned()
    }

    /// Whether some door has this address.
    pub(super) fn leads_from(&self, address: IpAddr) -> bool {
        self.0.doors.read().addresses.contains_key(&address)
    }

    /// Tells those who wait for another way.
    pub fn changed(&self) {
        self.0.version.send_modify(|version| *version += 1);
    }

    /// Counts changes: of doors, and of who listens.
    pub fn version(&self) -> u64 {
        *self.0.version.borrow()
    }

    /// Waits until the version is another one.
    pub async fn changed_since(&self, version: u64) {
        // Fails only when the sender is gone, and we hold the sender.
        let _ = self.0.version.subscribe().wait_for(|now| *now != version).await;
    }
}

impl Doors {
    fn open(&mut self, door: Door, route: Route) {
        match self.routes.get(&door) {
            Some(before) => route.follow(before),
            None => *self.addresses.entry(door.address.ip()).or_default() += 1,
        }
        self.routes.insert(door, Arc::new(route));
    }

    fn close(&mut self, door: Door) {
        if self.routes.remove(&door).is_none() {
            return;
        }
        if let Entry::Occupied(mut doors) = self.addresses.entry(door.address.ip()) {
            *doors.get_mut() -= 1;
            if *doors.get() == 0 {
                doors.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 42, 0, n], 80))
    }

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 42, 0, 9));

    #[test]
    fn endpoints_take_turns() {
        let route = Route::new((1..=3).map(endpoint).collect(), None);
        let turns: Vec<_> = (0..6).map(|_| route.turn()).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
        assert_eq!(Route::default().turn(), 0);
    }

    #[test]
    fn an_address_is_one_as_long_as_a_door_is_there() {
        let routes = Routes::default();
        let door = |port| Door {
            address: SocketAddr::new(endpoint(100).ip(), port),
            protocol: Protocol::Tcp,
        };
        let leads = || routes.leads_from(endpoint(100).ip());
        routes.apply([(door(1), Some(Route::default())), (door(2), Some(Route::default()))]);
        routes.apply([(door(2), Some(Route::default())), (door(1), None), (door(1), None)]);
        assert!(leads() && !routes.leads_from(CLIENT));
        routes.apply([(door(2), None)]);
        assert!(!leads());
    }

    #[test]
    fn a_client_stays_until_its_time_is_up_or_its_endpoint_is_gone() {
        let stay = Duration::from_secs(10);
        let routes = Routes::default();
        let door = Door { address: endpoint(100), protocol: Protocol::Tcp };
        let apply = |endpoints: Vec<SocketAddr>| {
            routes.apply([(door, Some(Route::new(endpoints, Some(stay))))]);
            routes.get(door).unwrap()
        };
        let route = apply((1..=3).map(endpoint).collect());
        route.chose(CLIENT, endpoint(2), Duration::ZERO);
        assert_eq!(route.remembered(CLIENT, Duration::from_secs(9)), Some(1));
        let route = apply(vec![endpoint(2), endpoint(4)]);
        assert_eq!(route.remembered(CLIENT, Duration::from_secs(9)), Some(0));
        assert_eq!(route.remembered(CLIENT, Duration::from_secs(10)), None);
        let route = apply(vec![endpoint(4)]);
        assert_eq!(route.remembered(CLIENT, Duration::from_secs(9)), None);
    }
}
