//! Looking names up: the Pod's own, the cluster's, and by the host's resolver those outside.

use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use super::fair::Permit;
use super::names::Found;
use super::pod::Pod;
use super::{EgressDefault, Network, PodNetwork, ResolveError};

/// Bound: questions at once to the host's resolver, of all Pods. It keeps a thread and a socket busy
/// with each, for as long as its own servers are silent.
pub(super) const LOOKUPS_MAX: usize = 64;
/// How long a program's resolver waits for its turn, or for an answer that a policy holds back;
/// resolv.conf's default.
const PATIENCE: Duration = Duration::from_secs(5);

/// The right to ask the host's resolver one question.
#[derive(Debug)]
pub struct Lookup(#[expect(dead_code, reason = "given back when it is dropped")] Permit);

impl PodNetwork {
    /// A name's addresses, as a program's resolver would find them.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        self.0.network.resolve(&self.0, name).await
    }

    /// For a question to the host's resolver in the Pod's name; `None` if the Pod has its part of
    /// those that are asked now.
    pub fn begin_lookup(&self) -> Option<Lookup> {
        self.0.lookups.try_take().map(Lookup)
    }
}

impl Network {
    async fn resolve(&self, pod: &Pod, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let resolver = &pod.member.resolver;
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let in_hosts = resolver.in_hosts(name.trim_end_matches('.'));
        if !in_hosts.is_empty() {
            return Ok(in_hosts);
        }
        if !self.allow_lookup(pod) {
            self.clock().sleep(PATIENCE).await;
            return Err(ResolveError::TryAgain);
        }
        let candidates =
            if resolver.uses_cluster { resolver.candidates(name) } else { vec![name.to_owned()] };
        for candidate in candidates {
            let found = match resolver.uses_cluster {
                true => self.names().find(&candidate, &self.0.config.cluster_domain),
                false => Found::Unknown,
            };
            match found {
                Found::Addresses(addresses) if !addresses.is_empty() => return Ok(addresses),
                Found::Elsewhere(name) => return self.ask_outside(pod, &name).await,
                // With a search domain appended it is nobody's name.
                Found::Unknown if candidate == name.trim_end_matches('.') => {
                    return self.ask_outside(pod, &candidate).await;
                }
                Found::Addresses(_) | Found::Nowhere | Found::Unknown => {}
            }
        }
        Err(ResolveError::NotFound)
    }

    async fn ask_outside(&self, pod: &Pod, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let lookup = tokio::select! {
            biased;
            permit = pod.lookups.take() => Lookup(permit),
            () = self.clock().sleep(PATIENCE) => return Err(ResolveError::TryAgain),
        };
        self.resolve_outside(lookup, name).await
    }

    /// By the host's resolver.
    ///
    /// # Errors
    /// [`ResolveError::NotFound`] where egress is denied, too: names are part of what lies outside.
    pub async fn resolve_outside(
        &self,
        lookup: Lookup,
        name: &str,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        if self.0.config.egress.default == EgressDefault::Deny {
            return Err(ResolveError::NotFound);
        }
        let name = name.to_owned();
        // The thread stays busy though nobody waits for the answer any more, and so does its permit.
        let asking = tokio::task::spawn_blocking(move || {
            let _lookup = lookup;
            (name.as_str(), 0).to_socket_addrs().map(Iterator::collect::<Vec<_>>)
        });
        let Ok(Ok(found)) = asking.await else { return Err(ResolveError::NotFound) };
        let mut addresses: Vec<IpAddr> = found.iter().map(|address| address.ip()).collect();
        addresses.dedup();
        // IPv4 first: Pods have no IPv6 address of their own.
        addresses.sort_by_key(IpAddr::is_ipv6);
        if addresses.is_empty() { Err(ResolveError::NotFound) } else { Ok(addresses) }
    }
}
