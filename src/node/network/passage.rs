//! A new connection's way through a Service's door: which endpoints to try, in which order, and when
//! to wait for another one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::routes::{Door, Route};
use super::{Bell, Error, Network};
use crate::telemetry::{OpenConnection, ServiceConnections};

/// How long a connection to a Service waits for another way when its endpoints have gone: by then the
/// proxy has heard of those that came after them. And how long connections wait for a Pod that has
/// not listened yet, counted from the first of them.
const DETOUR_MAX: Duration = Duration::from_secs(1);
/// How long it waits for a Service that sleeps: long enough for a program's first compilation.
const WAKE_MAX: Duration = Duration::from_secs(60);

/// Tries a door's endpoints in turn: ask for the [`Passage::next`], and say whether the connection
/// [`Passage::failed`] there or [`Passage::arrived`].
#[derive(Debug)]
pub struct Passage {
    network: Network,
    door: Door,
    client: IpAddr,
    entered: Duration,
    /// Of the table, when `route` was read.
    version: u64,
    route: Arc<Route>,
    /// Who listens already behind a door that leads nowhere yet.
    early: Option<SocketAddr>,
    round: Round,
    last: Error,
    /// The Service slept: its bell, and when this connection rang.
    rang: Option<(Bell, Duration)>,
}

/// One time through all endpoints: first those that stay, then those that are ending.
#[derive(Debug)]
struct Round {
    /// The client's own endpoint, if it has one.
    preferred: Option<usize>,
    start: usize,
    step: usize,
}

/// What may still come of an endpoint that took no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outlook {
    /// It has gone or is going: the proxy is about to hear of it, and of who comes in its place.
    Leaving,
    /// Its Pod has not listened yet, as one without a readiness probe that is counted ready when it
    /// runs; and since when connections wait for that.
    Beginning { awaited_since: Duration },
    /// It is there and does not listen: nothing will come of it soon.
    Settled,
}

impl Network {
    /// The way through a door for a connection from `client`; `None` if nobody has opened the door.
    pub fn enter(&self, door: Door, client: IpAddr) -> Option<Passage> {
        let version = self.routes().version();
        let route = self.routes().get(door)?;
        let now = self.clock().monotonic();
        Some(Passage {
            round: Round::new(&route, client, now),
            network: self.clone(),
            door,
            client,
            entered: now,
            version,
            route,
            early: None,
            last: Error::Refused,
            rang: None,
        })
    }

    fn outlook(&self, endpoint: SocketAddr) -> Outlook {
        let IpAddr::V4(ip) = endpoint.ip() else { return Outlook::Settled };
        match self.pod(ip) {
            None if self.is_of_pods(ip) => Outlook::Leaving,
            None => Outlook::Settled,
            Some(pod) if pod.is_draining() => Outlook::Leaving,
            Some(pod) => match pod.awaited_since() {
                Some(awaited_since) => Outlook::Beginning { awaited_since },
                None => Outlook::Settled,
            },
        }
    }
}

impl Passage {
    /// The next endpoint to try, without waiting; `None` after the last one.
    pub fn try_next(&mut self) -> Option<SocketAddr> {
        let is_draining = |endpoint| self.network.is_draining(endpoint);
        let endpoints = match self.route.endpoints.as_slice() {
            [] => self.early.as_slice(),
            endpoints => endpoints,
        };
        self.round.next(endpoints, is_draining)
    }

    /// The next endpoint to try. After the last one waits, for a second at most, for those that come
    /// in their place, or until a Service that sleeps has woken; `None` when there is no use in waiting
    /// or in waiting on.
    pub async fn next(&mut self) -> Option<SocketAddr> {
        loop {
            if let Some(endpoint) = self.try_next() {
                return Some(endpoint);
            }
            let may_change = self.ring() || self.changed().await;
            if !may_change || self.look_again().is_none() {
                self.refused();
                return None;
            }
        }
    }

    /// Asks, once, for somebody to come to a door behind which there is nobody.
    fn ring(&mut self) -> bool {
        if self.rang.is_some() || !self.route.endpoints.is_empty() {
            return false;
        }
        let Some(bell) = self.network.bells().get(self.door) else { return false };
        bell.ring();
        self.rang = Some((bell, self.network.clock().monotonic()));
        true
    }

    /// Waits, while that is of use, until something has changed since the route was read; answers
    /// whether it has.
    async fn changed(&self) -> bool {
        if !matches!(self.last, Error::Refused | Error::HostUnreachable) {
            return false;
        }
        let outlooks = self.route.endpoints.iter().map(|endpoint| self.network.outlook(*endpoint));
        let rang = self.rang.as_ref().map(|(_, since)| *since);
        let (routes, clock) = (self.network.routes(), self.network.clock());
        let until = wait_until(outlooks, self.entered, rang);
        let Some(until) = until.filter(|until| clock.monotonic() < *until) else {
            // Who began to listen after it was tried, and before it was judged, is tried again.
            return routes.version() != self.version;
        };
        tokio::select! {
            () = routes.changed_since(self.version) => true,
            () = clock.sleep_until(until) => false,
        }
    }

    /// Begins anew with where the door leads now; `None` if it has been closed.
    fn look_again(&mut self) -> Option<()> {
        self.version = self.network.routes().version();
        self.route = self.network.routes().get(self.door)?;
        self.early = self.rang.as_ref().and_then(|(bell, _)| bell.early());
        let now = self.network.clock().monotonic();
        self.round = Round::new(&self.route, self.client, now);
        Some(())
    }

    /// The endpoint did not take the connection.
    pub fn failed(&mut self, error: Error) {
        self.last = error;
    }

    /// Counts a connection as the Service's; to be kept for as long as it is open.
    pub fn open(&self) -> Option<OpenConnection> {
        self.route.counted.as_ref().map(ServiceConnections::open)
    }

    /// Nobody takes it, and nobody is asked any more; [`Passage::next`] says so by itself.
    pub fn refused(&self) {
        self.route.counted.iter().for_each(ServiceConnections::refused);
    }

    /// The endpoint has it.
    pub fn arrived(&self, endpoint: SocketAddr) {
        let now = self.network.clock().monotonic();
        self.route.chose(self.client, endpoint, now);
        self.route.counted.iter().for_each(ServiceConnections::taken);
        if let Some((bell, since)) = &self.rang {
            bell.answered(now.saturating_sub(*since));
        }
    }

    /// Why the last endpoint failed; [`Error::Refused`] if there was none.
    pub fn error(&self) -> Error {
        self.last
    }
}

/// Until when a connection that no endpoint took waits for another way; `None` if there is no use in
/// it. `entered` is when it came, `rang` when it rang; all on the monotonic clock.
fn wait_until(
    outlooks: impl Iterator<Item = Outlook>,
    entered: Duration,
    rang: Option<Duration>,
) -> Option<Duration> {
    let mut outlooks = outlooks.peekable();
    if let Some(rang) = rang {
        let sleeps = outlooks.peek().is_none();
        let is_awaited = sleeps || outlooks.any(|outlook| outlook != Outlook::Settled);
        return is_awaited.then_some(rang + WAKE_MAX);
    }
    let until = |outlook| match outlook {
        Outlook::Leaving => Some(entered + DETOUR_MAX),
        Outlook::Beginning { awaited_since } => Some(awaited_since + DETOUR_MAX),
        Outlook::Settled => None,
    };
    outlooks.filter_map(until).max()
}

impl Round {
    fn new(route: &Route, client: IpAddr, now: Duration) -> Self {
        Self { preferred: route.remembered(client, now), start: route.turn(), step: 0 }
    }

    /// Each endpoint once.
    fn next(
        &mut self,
        endpoints: &[SocketAddr],
        is_draining: impl Fn(SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let count = endpoints.len();
        // Steps: the client's own; all, for those that stay; all again, for those that are ending.
        while self.step <= 2 * count {
            let step = self.step;
            self.step += 1;
            let Some(at) = step.checked_sub(1) else {
                let preferred = self.preferred.map(|at| endpoints[at]);
                match preferred.filter(|endpoint| !is_draining(*endpoint)) {
                    Some(endpoint) => return Some(endpoint),
                    None => {
                        self.preferred = None;
                        continue;
                    }
                }
            };
            let at_end = at >= count;
            let index = (self.start + at) % count;
            let endpoint = endpoints[index];
            if self.preferred != Some(index) && is_draining(endpoint) == at_end {
                return Some(endpoint);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 42, 0, n], 80))
    }

    #[track_caller]
    fn check(preferred: Option<usize>, start: usize, draining: &[u8], expect: &[u8]) {
        let endpoints: Vec<_> = (1..=3).map(endpoint).collect();
        let mut round = Round { preferred, start, step: 0 };
        let is_draining = |one| draining.iter().any(|n| endpoint(*n) == one);
        let order: Vec<_> = std::iter::from_fn(|| round.next(&endpoints, is_draining)).collect();
        assert_eq!(order, expect.iter().map(|n| endpoint(*n)).collect::<Vec<_>>());
    }

    #[test]
    fn each_is_tried_once_and_those_that_are_ending_last() {
        check(None, 0, &[], &[1, 2, 3]);
        check(None, 2, &[], &[3, 1, 2]);
        check(None, 0, &[1], &[2, 3, 1]);
        check(None, 1, &[1, 2, 3], &[2, 3, 1]);
        check(Some(1), 0, &[], &[2, 1, 3]);
        check(Some(1), 0, &[2], &[1, 3, 2]);
        let mut nobody = Round { preferred: None, start: 0, step: 0 };
        assert_eq!(nobody.next(&[], |_| false), None);
    }

    #[test]
    fn only_what_may_change_soon_is_waited_for() {
        use Outlook::{Beginning, Leaving, Settled};
        let second = Duration::from_secs;
        let begins = |since| Beginning { awaited_since: second(since) };
        let check = |outlooks: &[Outlook], rang, expect| {
            let until = wait_until(outlooks.iter().copied(), second(10), rang);
            assert_eq!(until, expect, "{outlooks:?}, rang: {rang:?}");
        };
        check(&[], None, None);
        check(&[Settled, Settled], None, None);
        check(&[Settled, Leaving], None, Some(second(11)));
        check(&[begins(3), Settled], None, Some(second(4)));
        check(&[begins(10), begins(3)], None, Some(second(11)));
        check(&[], Some(second(12)), Some(second(72)));
        check(&[begins(3)], Some(second(12)), Some(second(72)));
        check(&[Settled], Some(second(12)), None);
    }
}
