//! NetworkPolicies: what they come to for each Pod, written into `node::network`.
//!
//! Upstream: `networking.k8s.io/v1` NetworkPolicySpec. Policies that select a Pod add up.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Container, Namespace, Pod};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::start::Context;
use crate::api::object::ObjectKey;
use crate::api::selector::Labels;
use crate::client::cache::key_of;
use crate::node::network::{Network, Peer, Port, PortNumber, Protocol, Rule, Rules};

type Compiled = HashMap<ObjectKey, Rules>;

/// Follows the caches until the proxy stops.
pub(super) async fn run(ctx: Arc<Context>) {
    tokio::select! {
        () = ctx.stop.cancelled() => {}
        () = follow(&ctx) => {}
    }
}

async fn follow(ctx: &Context) {
    let rooms = &ctx.rooms;
    tokio::join!(rooms.network_policies.synced(), rooms.pods.synced(), rooms.namespaces.synced());
    let mut changes = futures::stream::select(
        rooms.network_policies.changes().map(drop),
        futures::stream::select(
            rooms.pods.changes().map(drop),
            rooms.namespaces.changes().map(drop),
        ),
    );
    let mut applied = Compiled::new();
    loop {
        let policies = rooms.network_policies.list();
        // Pods change all the time, and most clusters have no policies.
        let compiled = match policies.is_empty() {
            true => Compiled::new(),
            false => compile(&policies, &rooms.pods.list(), &rooms.namespaces.list()),
        };
        apply(&rooms.network, &applied, &compiled);
        applied = compiled;
        if changes.next().await.is_none() {
            return;
        }
        // What else is known by now costs one round together.
        while let Some(Some(())) = changes.next().now_or_never() {}
    }
}

fn apply(network: &Network, before: &Compiled, after: &Compiled) {
    let gone = before.keys().filter(|pod| !after.contains_key(pod));
    let gone = gone.map(|pod| (pod.clone(), None));
    let changed = after.iter().filter(|(pod, rules)| before.get(pod) != Some(rules));
    let changed = changed.map(|(pod, rules)| (pod.clone(), Some(rules.clone())));
    let changes: Vec<_> = gone.chain(changed).collect();
    if !changes.is_empty() {
        tracing::debug!(pods = changes.len(), "Network policies changed");
        network.policies().apply(changes);
    }
}

/// What selectors are compared with.
struct World {
    pods: Vec<Candidate>,
    namespaces: Vec<(String, BTreeMap<String, String>)>,
}

struct Candidate {
    key: ObjectKey,
    labels: BTreeMap<String, String>,
    /// Name, protocol, number.
    ports: Vec<(String, Protocol, u16)>,
}

fn compile(
    policies: &[Arc<NetworkPolicy>],
    pods: &[Arc<Pod>],
    namespaces: &[Arc<Namespace>],
) -> Compiled {
    let of_namespace = |namespace: &Arc<Namespace>| {
        let labels = namespace.metadata.labels.clone().unwrap_or_default();
        (namespace.metadata.name.clone().unwrap_or_default(), labels)
    };
    let world = World {
        pods: pods.iter().map(|pod| Candidate::of(pod)).chain([Candidate::name_server()]).collect(),
        namespaces: namespaces.iter().map(of_namespace).collect(),
    };
    let mut compiled = Compiled::new();
    for policy in policies {
        let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
        if let Some(spec) = &policy.spec {
            world.add(&mut compiled, namespace, spec);
        }
    }
    compiled
}

impl Candidate {
    fn of(pod: &Pod) -> Self {
        let containers = pod.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
        Self {
            key: key_of(pod),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            ports: containers.iter().flat_map(named_ports).collect(),
        }
    }

    /// The Pods that other clusters have in its place are found by these.
    fn name_server() -> Self {
        let port = |name: &str, protocol| (name.to_owned(), protocol, 53);
        Self {
            key: Network::name_server().clone(),
            labels: [("k8s-app".to_owned(), "kube-dns".to_owned())].into(),
            ports: vec![port("dns", Protocol::Udp), port("dns-tcp", Protocol::Tcp)],
        }
    }
}

fn named_ports(container: &Container) -> impl Iterator<Item = (String, Protocol, u16)> {
    container.ports.iter().flatten().filter_map(|port| {
        let number = u16::try_from(port.container_port).ok()?;
        Some((port.name.clone()?, protocol(port.protocol.as_deref())?, number))
    })
}

/// `None` for SCTP, which nobody here speaks.
fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        _ => None,
    }
}

impl World {
    fn add(&self, compiled: &mut Compiled, namespace: &str, spec: &NetworkPolicySpec) {
        let is_about = |kind: &str| spec.policy_types.iter().flatten().any(|one| one == kind);
        let ingress = is_about("Ingress").then(|| {
            let rules = spec.ingress.iter().flatten();
            let rules =
                rules.map(|rule| self.rule(namespace, rule.from.as_deref(), rule.ports.as_deref()));
            rules.collect::<Vec<Rule>>()
        });
        let egress = is_about("Egress").then(|| {
            let rules = spec.egress.iter().flatten();
            let rules =
                rules.map(|rule| self.rule(namespace, rule.to.as_deref(), rule.ports.as_deref()));
            rules.collect::<Vec<Rule>>()
        });
        let selector = spec.pod_selector.clone().unwrap_or_default();
        for pod in self.select(&selector, |of| of == namespace) {
            let rules = compiled.entry(pod.clone()).or_default();
            if let Some(ingress) = &ingress {
                rules.ingress.get_or_insert_default().extend_from_slice(ingress);
            }
            if let Some(egress) = &egress {
                rules.egress.get_or_insert_default().extend_from_slice(egress);
            }
        }
    }

    /// An empty list of peers or ports is about all, as a missing one is.
    fn rule(
        &self,
        namespace: &str,
        peers: Option<&[NetworkPolicyPeer]>,
        ports: Option<&[NetworkPolicyPort]>,
    ) -> Rule {
        let peers = peers.filter(|peers| !peers.is_empty());
        let ports = ports.filter(|ports| !ports.is_empty());
        Rule {
            peers: peers
                .map(|peers| peers.iter().filter_map(|one| self.peer(namespace, one)).collect()),
            ports: ports.map(|ports| ports.iter().filter_map(|one| self.port(one)).collect()),
        }
    }

    fn peer(&self, namespace: &str, peer: &NetworkPolicyPeer) -> Option<Peer> {
        if let Some(block) = &peer.ip_block {
            let except = block.except.iter().flatten();
            return Some(Peer::Block {
                block: block.cidr.parse::<IpNet>().ok()?,
                except: except.filter_map(|net| net.parse().ok()).collect(),
            });
        }
        let all = LabelSelector::default();
        let pods = peer.pod_selector.as_ref().unwrap_or(&all);
        let selected: HashSet<ObjectKey> = match &peer.namespace_selector {
            None => self.select(pods, |of| of == namespace).cloned().collect(),
            Some(selector) => {
                let selector = Labels::from_typed(Some(selector)).ok()?;
                let fits = |(_, labels): &&(_, _)| selector.matches(labels);
                let names: HashSet<&str> =
                    self.namespaces.iter().filter(fits).map(|(name, _)| name.as_str()).collect();
                self.select(pods, |of| names.contains(of)).cloned().collect()
            }
        };
        Some(Peer::Pods(Arc::new(selected)))
    }

    fn select(
        &self,
        selector: &LabelSelector,
        is_in: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = &ObjectKey> {
        // Validation lets no bad selector in; one would select nothing.
        let labels = Labels::from_typed(Some(selector)).unwrap_or_else(|_| Labels::nothing());
        let fits = move |pod: &&Candidate| is_in(&pod.key.namespace) && labels.matches(&pod.labels);
        self.pods.iter().filter(fits).map(|pod| &pod.key)
    }

    fn port(&self, port: &NetworkPolicyPort) -> Option<Port> {
        let protocol = protocol(port.protocol.as_deref())?;
        let number = match &port.port {
            None => PortNumber::All,
            Some(IntOrString::Int(first)) => {
                let first = u16::try_from(*first).ok()?;
                let last = port.end_port.map_or(Some(first), |last| u16::try_from(last).ok())?;
                PortNumber::Range(first..=last)
            }
            Some(IntOrString::String(name)) => {
                let ports = self.pods.iter().flat_map(|pod| {
                    let is_it = |(known, of, _): &&(String, Protocol, u16)| {
                        known == name && *of == protocol
                    };
                    let found = pod.ports.iter().find(is_it);
                    found.map(|(_, _, number)| (pod.key.clone(), *number))
                });
                PortNumber::Named(Arc::new(ports.collect()))
            }
        };
        Some(Port { protocol, number })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(namespace: &str, name: &str, app: &str) -> Arc<Pod> {
        let ports = json!([{"name": "web", "containerPort": 8080}]);
        let pod = json!({
            "metadata": {"namespace": namespace, "name": name, "labels": {"app": app}},
            "spec": {"containers": [{"name": "c", "ports": ports}]},
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn namespace(name: &str, team: &str) -> Arc<Namespace> {
        let namespace = json!({"metadata": {"name": name, "labels": {"team": team}}});
        Arc::new(serde_json::from_value(namespace).unwrap())
    }

    fn compiled(specs: &[Value]) -> Compiled {
        let policy = |spec: &Value| -> Arc<NetworkPolicy> {
            let policy = json!({"metadata": {"namespace": "a", "name": "p"}, "spec": spec});
            Arc::new(serde_json::from_value(policy).unwrap())
        };
        let policies: Vec<_> = specs.iter().map(policy).collect();
        let pods = [pod("a", "web", "web"), pod("a", "db", "db"), pod("b", "web", "web")];
        let namespaces =
            [namespace("a", "x"), namespace("b", "y"), namespace("kube-system", "system")];
        compile(&policies, &pods, &namespaces)
    }

    fn key(text: &str) -> ObjectKey {
        let (namespace, name) = text.split_once('/').unwrap();
        ObjectKey::new(namespace, name)
    }

    fn names(peer: &Peer) -> Vec<String> {
        let Peer::Pods(pods) = peer else { return Vec::new() };
        let mut names: Vec<String> = pods.iter().map(ToString::to_string).collect();
        names.sort();
        names
    }

    #[test]
    fn a_policy_is_about_the_pods_it_selects_in_its_namespace() {
        let deny = json!({"podSelector": {}, "policyTypes": ["Ingress"]});
        let all = compiled(std::slice::from_ref(&deny));
        assert_eq!(all.len(), 2);
        let closed = Rules { ingress: Some(Vec::new()), egress: None };
        assert_eq!(all[&key("a/web")], closed);
        let one = json!({"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Egress"]});
        let both = compiled(&[deny, one]);
        let closed = Rules { ingress: Some(Vec::new()), egress: Some(Vec::new()) };
        assert_eq!(both[&key("a/db")], closed);
        assert_eq!(both[&key("a/web")].egress, None);
    }

    #[test]
    fn peers_are_found_by_their_labels_and_their_namespaces() {
        let from = json!([
            {"podSelector": {"matchLabels": {"app": "web"}}},
            {"namespaceSelector": {"matchLabels": {"team": "y"}}},
            {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}},
            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
        ]);
        let spec = json!({
            "podSelector": {"matchLabels": {"app": "db"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": from}],
        });
        let rules = compiled(&[spec])[&key("a/db")].ingress.clone().unwrap();
        let peers = rules[0].peers.as_ref().unwrap();
        assert_eq!(names(&peers[0]), ["a/web"]);
        assert_eq!(names(&peers[1]), ["b/web"]);
        assert_eq!(names(&peers[2]), ["kube-system/kube-dns"]);
        assert!(matches!(&peers[3], Peer::Block { except, .. } if except.len() == 1));
    }

    #[test]
    fn ports_are_numbers_ranges_and_names() {
        let ports = json!([
            {"protocol": "TCP", "port": 80},
            {"protocol": "UDP", "port": 1000, "endPort": 2000},
            {"protocol": "TCP", "port": "web"},
            {"protocol": "UDP"},
            {"protocol": "SCTP", "port": 9},
        ]);
        let spec = json!({
            "podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": ports, "to": []}],
        });
        let rules = compiled(&[spec])[&key("a/db")].egress.clone().unwrap();
        assert_eq!(rules[0].peers, None);
        let numbers: Vec<_> =
            rules[0].ports.iter().flatten().map(|port| port.number.clone()).collect();
        assert_eq!(numbers.len(), 4, "nobody speaks SCTP");
        assert_eq!(numbers[0], PortNumber::Range(80..=80));
        assert_eq!(numbers[1], PortNumber::Range(1000..=2000));
        let PortNumber::Named(named) = &numbers[2] else { panic!("{:?}", numbers[2]) };
        assert_eq!((named.len(), named[&key("b/web")]), (3, 8080));
        assert_eq!(numbers[3], PortNumber::All);
    }
}
