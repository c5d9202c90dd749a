//! A new connection's way through a Service's door: which endpoints to try, in which order, and when
//! to wait for another one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::routes::{Door, Route};
use super::{Bell, Error, Network};

/// How long a connection to a Service waits for another way when every endpoint it knew has gone, or
/// does not listen yet: by then the proxy has heard of those that came after them.
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
    /// Of the table, when `route` was read.
    version: u64,
    route: Arc<Route>,
    round: Round,
    give_up: Duration,
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
            version,
            route,
            give_up: now + DETOUR_MAX,
            last: Error::Refused,
            rang: None,
        })
    }
}

impl Passage {
    /// The next endpoint to try, without waiting; `None` after the last one.
    pub fn try_next(&mut self) -> Option<SocketAddr> {
        let is_draining = |endpoint| self.network.is_draining(endpoint);
        self.round.next(&self.route.endpoints, is_draining)
    }

    /// The next endpoint to try. After the last one waits, for a second at most, for those that come
    /// in their place, or until a Service that sleeps has woken; `None` when there is no use in waiting
    /// or in waiting on.
    pub async fn next(&mut self) -> Option<SocketAddr> {
        loop {
            if let Some(endpoint) = self.try_next() {
                return Some(endpoint);
            }
            let is_late = matches!(self.last, Error::Refused | Error::HostUnreachable);
            let has_rung = self.rang.is_some();
            let is_awaited = !self.route.endpoints.is_empty() || self.ring();
            // One that comes while others wait may find what they wait for.
            let is_there =
                !has_rung && self.rang.as_ref().is_some_and(|(bell, _)| bell.early().is_some());
            if !is_late || !is_awaited || !(is_there || self.changed().await) {
                return None;
            }
            if let Some(endpoint) = self.early() {
                return Some(endpoint);
            }
            self.version = self.network.routes().version();
            self.route = self.network.routes().get(self.door)?;
            let now = self.network.clock().monotonic();
            self.round = Round::new(&self.route, self.client, now);
        }
    }

    /// Asks for somebody to come to a door behind which there is nobody; answers whether there is hope.
    fn ring(&mut self) -> bool {
        if self.rang.is_none() {
            let Some(bell) = self.network.bells().get(self.door) else { return false };
            let now = self.network.clock().monotonic();
            bell.ring();
            self.rang = Some((bell, now));
            self.give_up = now + WAKE_MAX;
        }
        true
    }

    /// Somebody listens before the Service's endpoints say so.
    fn early(&mut self) -> Option<SocketAddr> {
        let (bell, _) = self.rang.as_ref()?;
        let endpoint = bell.early()?;
        self.version = self.network.routes().version();
        Some(endpoint)
    }

    /// Whether something has changed since the route was read; waits for it.
    async fn changed(&self) -> bool {
        let changed = self.network.routes().changed_since(self.version);
        tokio::select! {
            () = changed => true,
            () = self.network.clock().sleep_until(self.give_up) => false,
        }
    }

    /// The endpoint did not take the connection.
    pub fn failed(&mut self, error: Error) {
        self.last = error;
    }

    /// The endpoint has it.
    pub fn arrived(&self, endpoint: SocketAddr) {
        let now = self.network.clock().monotonic();
        self.route.chose(self.client, endpoint, now);
        if let Some((bell, since)) = &self.rang {
            bell.answered(now.saturating_sub(*since));
        }
    }

    /// Why the last endpoint failed; [`Error::Refused`] if there was none.
    pub fn error(&self) -> Error {
        self.last
    }
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
}
