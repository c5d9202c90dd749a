//! The cluster's names. The proxy writes the table; Pods' resolvers and the DNS server read it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use parking_lot::RwLock;

/// What a name stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    pub addresses: Vec<Ipv4Addr>,
    /// It is another name for this one (ExternalName).
    pub alias: Option<String>,
    pub services: Vec<ServiceRecord>,
    /// For `in-addr.arpa`: the name of the address.
    pub pointers: Vec<String>,
}

/// Of an SRV record; all that one name has are worth the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRecord {
    pub port: u16,
    /// Fully qualified, without the last dot.
    pub target: String,
}

/// Fully qualified names, lower case, without the last dot. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<RwLock<HashMap<String, Arc<Records>>>>);

impl Names {
    /// Sets and (`None`) removes names, all at once.
    pub fn apply(&self, changes: impl IntoIterator<Item = (String, Option<Records>)>) {
        let mut names = self.0.write();
        for (name, records) in changes {
            match records {
                Some(records) => drop(names.insert(name, Arc::new(records))),
                None => drop(names.remove(&name)),
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<Arc<Records>> {
        self.0.read().get(name).cloned()
    }

    /// The same, and names of Pods (`10-42-0-7.default.pod.cluster.local`), which are true without
    /// being written down: whoever knows the name knows the address.
    ///
    /// Upstream: CoreDNS' `pods insecure`, as kubeadm sets it up.
    pub fn lookup(&self, name: &str, cluster_domain: &str) -> Option<Arc<Records>> {
        let of_pod = || {
            let stem = name.strip_suffix(cluster_domain)?.strip_suffix(".pod.")?;
            let (address, _namespace) =
                stem.split_once('.').filter(|(_, rest)| !rest.contains('.'))?;
            let address = address.replace('-', ".").parse().ok()?;
            Some(Arc::new(Records { addresses: vec![address], ..Records::default() }))
        };
        self.get(name).or_else(of_pod)
    }
}

/// The name under which an address is looked up: `7.0.43.10.in-addr.arpa`.
pub fn reverse_name(ip: Ipv4Addr) -> String {
    let [a, b, c, d] = ip.octets();
    format!("{d}.{c}.{b}.{a}.in-addr.arpa")
}

/// How a Pod looks names up: its /etc/resolv.conf and /etc/hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Whether the cluster's names are asked for at all (`dnsPolicy` ClusterFirst); else the host's only.
    pub uses_cluster: bool,
    pub search: Vec<String>,
    /// A name with fewer dots is sought in `search` first.
    pub ndots: usize,
    /// Beyond all DNS: the Pod's own names and hostAliases.
    pub hosts: Vec<(IpAddr, Vec<String>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("Name or service not known")]
    NotFound,
    /// The host's resolver does not answer now.
    #[error("Temporary failure in name resolution")]
    TryAgain,
    #[error("invalid name")]
    Invalid,
}

/// Bound: aliases followed for one name.
const ALIASES_MAX: usize = 8;

/// What the cluster's own names say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Addresses(Vec<IpAddr>),
    /// An alias leads to a name outside the cluster.
    Elsewhere(String),
    /// It is one of the cluster's domain and does not exist.
    Nowhere,
    /// It is not a name of the cluster's.
    Unknown,
}

impl Names {
    /// Looks one full name up, without any search list.
    pub(super) fn find(&self, name: &str, cluster_domain: &str) -> Found {
        let mut name = name.trim_end_matches('.').to_ascii_lowercase();
        for followed in 0..ALIASES_MAX {
            let Some(records) = self.lookup(&name, cluster_domain) else {
                return match belongs_to(&name, cluster_domain) {
                    true => Found::Nowhere,
                    false if followed > 0 => Found::Elsewhere(name),
                    false => Found::Unknown,
                };
            };
            match &records.alias {
                Some(alias) => name = alias.trim_end_matches('.').to_ascii_lowercase(),
                None => {
                    let addresses = records.addresses.iter().map(|ip| IpAddr::V4(*ip));
                    return Found::Addresses(addresses.collect());
                }
            }
        }
        Found::Nowhere
    }
}

fn belongs_to(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl Resolver {
    /// The full names to try, in order, as the C library does with `search` and `ndots`.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(full) = name.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let searched = self.search.iter().map(|domain| format!("{name}.{domain}"));
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        if dots >= self.ndots {
            std::iter::once(name.to_owned()).chain(searched).collect()
        } else {
            searched.chain(std::iter::once(name.to_owned())).collect()
        }
    }

    /// What /etc/hosts says.
    pub(super) fn in_hosts(&self, name: &str) -> Vec<IpAddr> {
        let is_it = |known: &String| known.eq_ignore_ascii_case(name);
        let entries = self.hosts.iter().filter(|(_, names)| names.iter().any(is_it));
        entries.map(|(address, _)| *address).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_searched_first_and_long_ones_last() {
        let resolver = Resolver {
            search: vec!["b.svc.cluster.local".to_owned(), "cluster.local".to_owned()],
            ndots: 5,
            ..Resolver::default()
        };
        assert_eq!(
            resolver.candidates("web"),
            ["web.b.svc.cluster.local", "web.cluster.local", "web"]
        );
        assert_eq!(resolver.candidates("web."), ["web"]);
        assert_eq!(resolver.candidates("a.b.c.d.e.f")[0], "a.b.c.d.e.f");
    }

    #[test]
    fn aliases_are_followed_and_loops_end() {
        let names = Names::default();
        let address =
            Records { addresses: vec![Ipv4Addr::new(10, 43, 0, 7)], ..Records::default() };
        let host = Records { addresses: vec![Ipv4Addr::new(10, 42, 0, 1)], ..Records::default() };
        let alias = |to: &str| Records { alias: Some(to.to_owned()), ..Records::default() };
        names.apply([
            ("web.cluster.local".to_owned(), Some(address)),
            ("also.cluster.local".to_owned(), Some(alias("web.cluster.local."))),
            ("out.cluster.local".to_owned(), Some(alias("example.com"))),
            ("host.sampan.internal".to_owned(), Some(host)),
            ("node.cluster.local".to_owned(), Some(alias("host.sampan.internal"))),
            ("loop.cluster.local".to_owned(), Some(alias("loop.cluster.local"))),
        ]);
        let find = |name| names.find(name, "cluster.local");
        let web = Found::Addresses(vec![Ipv4Addr::new(10, 43, 0, 7).into()]);
        assert_eq!(find("WEB.cluster.local."), web);
        assert_eq!(find("also.cluster.local"), web);
        assert_eq!(
            find("node.cluster.local"),
            Found::Addresses(vec![Ipv4Addr::new(10, 42, 0, 1).into()])
        );
        assert_eq!(find("out.cluster.local"), Found::Elsewhere("example.com".to_owned()));
        assert_eq!(find("loop.cluster.local"), Found::Nowhere);
        assert_eq!(find("no.cluster.local"), Found::Nowhere);
        assert_eq!(find("notcluster.local"), Found::Unknown);
        let pod = Found::Addresses(vec![Ipv4Addr::new(10, 42, 0, 7).into()]);
        assert_eq!(find("10-42-0-7.default.pod.cluster.local"), pod);
        assert_eq!(find("10-42-0-7.x.y.pod.cluster.local"), Found::Nowhere);
    }
}
