//! NetworkPolicies, as the network needs them: for each Pod, who may talk to it and with whom it may
//! talk. The proxy writes them; every connection and datagram of a Pod reads them. Replies always
//! pass: they belong to what was let through.
//!
//! Upstream: `networking.k8s.io/v1` NetworkPolicySpec; documentation "Network Policies", "The two
//! sorts of pod isolation" and "Network traffic filtering".

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::RwLock;

use super::Protocol;
use crate::api::object::ObjectKey;

/// What the policies that select a Pod come to together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Who may talk to the Pod: whoever one of them lets in. `None`: no policy is about it, so all.
    pub ingress: Option<Vec<Rule>>,
    /// The same for those it talks to.
    pub egress: Option<Vec<Rule>>,
}

/// Lets through what is of one of the peers and for one of the ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `None`: all.
    pub peers: Option<Vec<Peer>>,
    /// `None`: all.
    pub ports: Option<Vec<Port>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// By name, for a Pod's address is known later than its labels.
    Pods(Arc<HashSet<ObjectKey>>),
    Block {
        block: IpNet,
        except: Vec<IpNet>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub protocol: Protocol,
    pub number: PortNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortNumber {
    All,
    Range(RangeInclusive<u16>),
    /// What the port's name means in each Pod that is talked to.
    Named(Arc<HashMap<ObjectKey, u16>>),
}

/// All Pods' rules. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Policies(Arc<RwLock<HashMap<ObjectKey, Arc<Rules>>>>);

/// One side of what is to be decided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party<'a> {
    /// `None`: not a Pod.
    pub(super) pod: Option<&'a ObjectKey>,
    pub(super) ip: IpAddr,
}

/// What the receiving side is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Port(Protocol, u16),
    /// An echo: policies do not speak of it, so it goes where anything at all may go.
    Echo,
}

impl Policies {
    /// Sets and (`None`) removes Pods' rules, all at once. Open connections stay.
    pub fn apply(&self, changes: impl IntoIterator<Item = (ObjectKey, Option<Rules>)>) {
        let mut policies = self.0.write();
        for (pod, rules) in changes {
            match rules {
                Some(rules) => drop(policies.insert(pod, Arc::new(rules))),
                None => drop(policies.remove(&pod)),
            }
        }
    }

    pub fn get(&self, pod: &ObjectKey) -> Option<Arc<Rules>> {
        self.0.read().get(pod).cloned()
    }

    /// Whether the policies of both sides let this through; a side that is not a Pod has none.
    pub(super) fn allow(&self, from: Party<'_>, to: Party<'_>, asked: Asked) -> bool {
        let rules = |party: Party<'_>| party.pod.and_then(|pod| self.get(pod));
        let leaves = rules(from).is_none_or(|rules| {
            rules
                .egress
                .as_ref()
                .is_none_or(|egress| egress.iter().any(|rule| rule.is(to, to, asked)))
        });
        leaves
            && rules(to).is_none_or(|rules| {
                let ingress = rules.ingress.as_ref();
                ingress.is_none_or(|ingress| ingress.iter().any(|rule| rule.is(from, to, asked)))
            })
    }
}

impl Rule {
    fn is(&self, peer: Party<'_>, to: Party<'_>, asked: Asked) -> bool {
        let of_peers = self.peers.as_ref();
        let for_ports = self.ports.as_ref();
        of_peers.is_none_or(|peers| peers.iter().any(|one| one.is(peer)))
            && for_ports.is_none_or(|ports| ports.iter().any(|port| port.is(to, asked)))
    }
}

impl Peer {
    fn is(&self, party: Party<'_>) -> bool {
        match self {
            Self::Pods(pods) => party.pod.is_some_and(|pod| pods.contains(pod)),
            Self::Block { block, except } => {
                block.contains(&party.ip) && !except.iter().any(|net| net.contains(&party.ip))
            }
        }
    }
}

impl Port {
    fn is(&self, to: Party<'_>, asked: Asked) -> bool {
        let Asked::Port(protocol, port) = asked else { return true };
        self.protocol == protocol
            && match &self.number {
                PortNumber::All => true,
                PortNumber::Range(range) => range.contains(&port),
                PortNumber::Named(ports) => to.pod.is_some_and(|pod| ports.get(pod) == Some(&port)),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
        ObjectKey::new(namespace, name)
    }

    fn pods(names: &[&str]) -> Peer {
        Peer::Pods(Arc::new(names.iter().map(|name| key(name)).collect()))
    }

    fn block(block: &str, except: &[&str]) -> Peer {
        let except = except.iter().map(|net| net.parse().unwrap()).collect();
        Peer::Block { block: block.parse().unwrap(), except }
    }

    fn tcp(range: RangeInclusive<u16>) -> Port {
        Port { protocol: Protocol::Tcp, number: PortNumber::Range(range) }
    }

    fn ingress(rules: Vec<Rule>) -> Rules {
        Rules { ingress: Some(rules), egress: None }
    }

    fn egress(rules: Vec<Rule>) -> Rules {
        Rules { ingress: None, egress: Some(rules) }
    }

    fn peers(peers: Vec<Peer>) -> Rule {
        Rule { peers: Some(peers), ports: None }
    }

    fn ports(ports: Vec<Port>) -> Rule {
        Rule { peers: None, ports: Some(ports) }
    }

    /// Pods have 10.42.0.<length of the name>; whoever is an address is outside.
    fn allowed(policies: &Policies, from: &str, to: &str, asked: Asked) -> bool {
        let (from_key, to_key) = (key(from), key(to));
        let party = |text: &str, key| match text.parse() {
            Ok(ip) => Party { pod: None, ip },
            Err(_) => {
                let ip = IpAddr::from([10, 42, 0, u8::try_from(text.len()).unwrap()]);
                Party { pod: Some(key), ip }
            }
        };
        // The keys live as long as the question.
        policies.allow(party(from, &from_key), party(to, &to_key), asked)
    }

    /// Who of these reaches `web`, and whom `web` reaches, on TCP port 80.
    #[track_caller]
    fn check(rules: Rules, reach_it: &[&str], it_reaches: &[&str]) {
        const ALL: &[&str] = &["db", "other/db", "192.0.2.1", "198.51.100.1"];
        let policies = Policies::default();
        policies.apply([(key("web"), Some(rules))]);
        let asked = Asked::Port(Protocol::Tcp, 80);
        let one = |from: &str, to: &str| allowed(&policies, from, to, asked);
        let inward: Vec<_> = ALL.iter().copied().filter(|peer| one(peer, "web")).collect();
        let outward: Vec<_> = ALL.iter().copied().filter(|peer| one("web", peer)).collect();
        assert_eq!((&*inward, &*outward), (reach_it, it_reaches));
        assert!(one("db", "other/db"), "nobody spoke of these");
    }

    const ALL: &[&str] = &["db", "other/db", "192.0.2.1", "198.51.100.1"];

    #[test]
    fn a_pod_nobody_selects_is_open_and_a_selected_one_closed() {
        check(Rules::default(), ALL, ALL);
        check(ingress(vec![]), &[], ALL);
        check(egress(vec![]), ALL, &[]);
        check(Rules { ingress: Some(vec![]), egress: Some(vec![]) }, &[], &[]);
        check(ingress(vec![Rule { peers: None, ports: None }]), ALL, ALL);
    }

    #[test]
    fn rules_add_up_and_peers_are_pods_or_blocks() {
        check(ingress(vec![peers(vec![pods(&["db"])])]), &["db"], ALL);
        check(egress(vec![peers(vec![pods(&["other/db"])])]), ALL, &["other/db"]);
        let both = vec![peers(vec![pods(&["db"])]), peers(vec![block("192.0.2.0/24", &[])])];
        check(ingress(both), &["db", "192.0.2.1"], ALL);
        check(ingress(vec![peers(vec![])]), &[], ALL);
        let all_but = block("0.0.0.0/0", &["192.0.2.0/24", "10.42.0.0/16"]);
        check(ingress(vec![peers(vec![all_but])]), &["198.51.100.1"], ALL);
        // A block speaks of Pods' addresses too: db has 10.42.0.2.
        check(ingress(vec![peers(vec![block("10.42.0.2/32", &[])])]), &["db"], ALL);
    }

    #[test]
    fn ports_are_of_a_protocol_and_ranges_include_their_ends() {
        let policies = Policies::default();
        let udp = Port { protocol: Protocol::Udp, number: PortNumber::All };
        policies.apply([(key("web"), Some(ingress(vec![ports(vec![tcp(80..=82), udp])])))]);
        let one = |protocol, port| allowed(&policies, "db", "web", Asked::Port(protocol, port));
        assert_eq!(
            [79, 80, 82, 83].map(|port| one(Protocol::Tcp, port)),
            [false, true, true, false]
        );
        assert!(one(Protocol::Udp, 53));
        assert!(allowed(&policies, "db", "web", Asked::Echo));
        policies.apply([(key("web"), None)]);
        assert!(one(Protocol::Tcp, 79));
    }

    #[test]
    fn a_port_s_name_means_what_the_receiver_calls_so() {
        let named = PortNumber::Named(Arc::new([(key("web"), 8080), (key("db"), 5432)].into()));
        let rule = ports(vec![Port { protocol: Protocol::Tcp, number: named }]);
        let policies = Policies::default();
        policies.apply([
            (key("web"), Some(ingress(vec![rule.clone()]))),
            (key("client"), Some(egress(vec![rule]))),
        ]);
        let one = |from, to, port| allowed(&policies, from, to, Asked::Port(Protocol::Tcp, port));
        assert!(one("client", "web", 8080) && one("client", "db", 5432));
        assert!(!one("client", "web", 5432) && !one("client", "db", 8080));
        assert!(!one("client", "192.0.2.1", 8080) && one("db", "web", 8080));
    }

    #[test]
    fn both_sides_must_agree() {
        let policies = Policies::default();
        policies.apply([
            (key("web"), Some(ingress(vec![peers(vec![pods(&["client"])])]))),
            (key("client"), Some(egress(vec![peers(vec![pods(&["db"])])]))),
        ]);
        let one = |from, to| allowed(&policies, from, to, Asked::Port(Protocol::Tcp, 80));
        assert!(!one("client", "web") && one("client", "db") && !one("db", "web"));
        assert!(!allowed(&policies, "client", "web", Asked::Echo));
    }
}
