//! What a Service comes to: its doors, its names, its ports on the host. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::{endpoints, names};
use crate::node::network::{Door, Protocol, Records};

/// Where the plan is to be carried out.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) node: String,
    /// `--node-address`
    pub(super) node_address: IpAddr,
    pub(super) cluster_domain: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) doors: BTreeMap<Door, Leads>,
    pub(super) names: BTreeMap<String, Records>,
    /// Those of the doors where the host listens.
    pub(super) host: BTreeMap<Door, HostPort>,
}

/// Where a door leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leads {
    pub(super) rank: Rank,
    pub(super) endpoints: Vec<SocketAddr>,
    /// How long a client stays with its endpoint.
    pub(super) affinity: Option<Duration>,
}

/// Whose claim to an address counts first: nobody takes another Service's ClusterIP by naming it as an
/// external IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    ClusterIp,
    NodePort,
    Other,
    HostPort,
}

/// A port of the host's that stands for a Service or a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPort {
    pub(super) kind: HostPortKind,
    /// Who may come (`loadBalancerSourceRanges`); empty: everybody.
    pub(super) sources: Vec<IpNet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostPortKind {
    NodePort,
    /// With the NodePort that leads to the same, if there is one.
    LoadBalancer {
        node_port: Option<u16>,
    },
    /// Tells how many endpoints the Service has on this node.
    HealthCheck,
    /// A Pod's.
    HostPort,
}

/// What `service` is to be on this node, given all of its slices.
pub(super) fn plan(service: &Service, slices: &[Arc<EndpointSlice>], site: &Site) -> Plan {
    let mut plan =
        Plan { names: names::names(service, slices, &site.cluster_domain), ..Plan::default() };
    let Some(spec) = service.spec.as_ref().filter(|spec| !is_external_name(spec)) else {
        return plan;
    };
    for port in spec.ports.iter().flatten().filter(|_| !is_headless(spec)) {
        plan.port(service, spec, port, slices, site);
    }
    if let Some(number) = health_check_port(spec) {
        let address = SocketAddr::new(site.node_address, number);
        let door = Door { address, protocol: Protocol::Tcp };
        let port = HostPort { kind: HostPortKind::HealthCheck, sources: Vec::new() };
        plan.host.insert(door, port);
    }
    plan
}

impl HostPortKind {
    pub(super) fn rank(self) -> Rank {
        match self {
            Self::NodePort | Self::HealthCheck => Rank::NodePort,
            Self::LoadBalancer { .. } => Rank::Other,
            Self::HostPort => Rank::HostPort,
        }
    }
}

impl Plan {
    fn port(
        &mut self,
        service: &Service,
        spec: &ServiceSpec,
        port: &ServicePort,
        slices: &[Arc<EndpointSlice>],
        site: &Site,
    ) {
        let (Some(protocol), Some(number)) = (protocol(port), port_number(port.port)) else {
            return;
        };
        let leads = |rank, policy: &Option<String>| Leads {
            rank,
            endpoints: endpoints::of_port(slices, port, is_local(policy).then_some(&*site.node)),
            affinity: affinity(spec),
        };
        let door = |ip: IpAddr, number| Door { address: SocketAddr::new(ip, number), protocol };
        let internal = leads(Rank::ClusterIp, &spec.internal_traffic_policy);
        for ip in cluster_ips(spec) {
            self.doors.insert(door(ip.into(), number), internal.clone());
        }
        let external = leads(Rank::Other, &spec.external_traffic_policy);
        let node_port = port.node_port.and_then(port_number);
        if let Some(node_port) = node_port {
            let door = door(site.node_address, node_port);
            let port = HostPort { kind: HostPortKind::NodePort, sources: Vec::new() };
            self.doors.insert(door, Leads { rank: Rank::NodePort, ..external.clone() });
            self.host.insert(door, port);
        }
        let sources = source_ranges(spec);
        let ips = external_ips(spec).chain(ingress_ips(service));
        for ip in ips {
            let door = door(ip, number);
            self.doors.insert(door, external.clone());
            if ip == site.node_address || ip.is_loopback() {
                let kind = HostPortKind::LoadBalancer { node_port };
                self.host.insert(door, HostPort { kind, sources: sources.clone() });
            }
        }
    }
}

pub(super) fn is_external_name(spec: &ServiceSpec) -> bool {
    spec.type_.as_deref() == Some("ExternalName")
}

pub(super) fn is_headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ip.as_deref() == Some("None")
}

pub(super) fn cluster_ips(spec: &ServiceSpec) -> impl Iterator<Item = Ipv4Addr> {
    let one = spec.cluster_ip.iter().filter(|_| spec.cluster_ips.is_none());
    spec.cluster_ips.iter().flatten().chain(one).filter_map(|ip| ip.parse().ok())
}

fn external_ips(spec: &ServiceSpec) -> impl Iterator<Item = IpAddr> {
    spec.external_ips.iter().flatten().filter_map(|ip| ip.parse().ok())
}

/// The addresses that load balancers have.
pub(super) fn ingress_ips(service: &Service) -> impl Iterator<Item = IpAddr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.into_iter().flat_map(|balancer| balancer.ingress.iter().flatten());
    ingress.filter_map(|one| one.ip.as_deref()?.parse().ok())
}

pub(super) fn protocol(port: &ServicePort) -> Option<Protocol> {
    protocol_named(port.protocol.as_deref())
}

/// `None` for SCTP, which no guest can speak.
pub(super) fn protocol_named(name: Option<&str>) -> Option<Protocol> {
    match name {
        None | Some("TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some(_) => None,
    }
}

/// Upstream: `NeedsHealthCheck` (`pkg/api/v1/service/util.go`).
fn health_check_port(spec: &ServiceSpec) -> Option<u16> {
    let is_asked =
        spec.type_.as_deref() == Some("LoadBalancer") && is_local(&spec.external_traffic_policy);
    spec.health_check_node_port.filter(|_| is_asked).and_then(port_number)
}

pub(super) fn port_number(number: i32) -> Option<u16> {
    number.try_into().ok().filter(|number| *number > 0)
}

fn is_local(policy: &Option<String>) -> bool {
    policy.as_deref() == Some("Local")
}

fn affinity(spec: &ServiceSpec) -> Option<Duration> {
    /// Three hours, as the API server fills in.
    const SECONDS: i32 = 10_800;
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec.session_affinity_config.as_ref();
    let config = config.and_then(|config| config.client_ip.as_ref());
    let seconds = config.and_then(|config| config.timeout_seconds).unwrap_or(SECONDS);
    Some(Duration::from_secs(seconds.try_into().unwrap_or_default()))
}

fn source_ranges(spec: &ServiceSpec) -> Vec<IpNet> {
    let ranges = spec.load_balancer_source_ranges.iter().flatten();
    ranges.filter_map(|range| range.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn site() -> Site {
        Site {
            node: "sampan".to_owned(),
            node_address: Ipv4Addr::LOCALHOST.into(),
            cluster_domain: "cluster.local".to_owned(),
        }
    }

    fn slices(endpoints: &Value) -> Vec<Arc<EndpointSlice>> {
        let slice = json!({
            "metadata": {}, "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        });
        vec![Arc::new(serde_json::from_value(slice).unwrap())]
    }

    fn of(spec: Value, status: Value, endpoints: Value) -> Plan {
        let service = json!({
            "metadata": {"name": "web", "namespace": "n"}, "spec": spec, "status": status,
        });
        plan(&serde_json::from_value(service).unwrap(), &slices(&endpoints), &site())
    }

    fn spec(more: Value) -> Value {
        let mut spec = json!({
            "clusterIP": "10.43.0.7", "clusterIPs": ["10.43.0.7"],
            "ports": [{"name": "http", "port": 80, "nodePort": 30080}],
        });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    }

    fn endpoint(n: u8, conditions: Value) -> Value {
        json!({"addresses": [format!("10.42.0.{n}")], "conditions": conditions})
    }

    fn at(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 42, 0, n], 8080))
    }

    fn tcp(address: &str) -> Door {
        Door { address: address.parse().unwrap(), protocol: Protocol::Tcp }
    }

    #[test]
    fn each_address_of_a_service_is_a_door() {
        let status = json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}});
        let endpoints = json!([endpoint(2, json!({})), endpoint(3, json!({"ready": true}))]);
        let spec = spec(json!({"externalIPs": ["192.0.2.7"], "type": "LoadBalancer"}));
        let plan = of(spec, status, endpoints);
        let doors: Vec<Door> = plan.doors.keys().copied().collect();
        let mut expect =
            ["10.43.0.7:80", "127.0.0.1:80", "127.0.0.1:30080", "192.0.2.7:80"].map(tcp);
        expect.sort();
        assert_eq!(doors, expect);
        assert!(plan.doors.values().all(|leads| leads.endpoints == [at(2), at(3)]));
        let host: Vec<_> = plan.host.iter().map(|(door, port)| (*door, port.kind)).collect();
        let balancer = HostPortKind::LoadBalancer { node_port: Some(30_080) };
        let node_port = (tcp("127.0.0.1:30080"), HostPortKind::NodePort);
        assert_eq!(host, [(tcp("127.0.0.1:80"), balancer), node_port]);
    }

    #[test]
    fn a_balancer_with_a_local_policy_tells_its_health() {
        let health = |more: Value| {
            let mut spec = spec(json!({"type": "LoadBalancer", "healthCheckNodePort": 30090}));
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let plan = of(spec, json!({}), json!([]));
            let mut host = plan.host.into_iter();
            host.find(|(_, port)| port.kind == HostPortKind::HealthCheck).map(|(door, _)| door)
        };
        let local = || json!({"externalTrafficPolicy": "Local"});
        assert_eq!(health(local()), Some(tcp("127.0.0.1:30090")));
        assert_eq!(health(json!({"externalTrafficPolicy": "Cluster"})), None);
    }

    #[test]
    fn those_that_are_ending_serve_when_there_is_no_other() {
        let endpoints = |ready: bool| {
            json!([
                endpoint(2, json!({"ready": ready})),
                endpoint(3, json!({"ready": false, "serving": true, "terminating": true})),
                endpoint(4, json!({"ready": false, "serving": false, "terminating": true})),
            ])
        };
        let leads = |ready| of(spec(json!({})), json!({}), endpoints(ready)).doors;
        assert_eq!(leads(true)[&tcp("10.43.0.7:80")].endpoints, [at(2)]);
        assert_eq!(leads(false)[&tcp("10.43.0.7:80")].endpoints, [at(3)]);
    }

    #[test]
    fn a_local_policy_takes_endpoints_of_this_node_only() {
        let mut here = endpoint(2, json!({}));
        here["nodeName"] = json!("sampan");
        let endpoints = json!([here, endpoint(3, json!({}))]);
        let plan = of(spec(json!({"externalTrafficPolicy": "Local"})), json!({}), endpoints);
        assert_eq!(plan.doors[&tcp("127.0.0.1:30080")].endpoints, [at(2)]);
        assert_eq!(plan.doors[&tcp("10.43.0.7:80")].endpoints, [at(2), at(3)]);
    }

    #[test]
    fn ports_meet_by_name_and_protocol_and_clients_stay() {
        let mut spec = spec(json!({
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
        }));
        spec["ports"] = json!([
            {"name": "http", "port": 80},
            {"name": "http-udp", "port": 80, "protocol": "UDP"},
            {"name": "sctp", "port": 80, "protocol": "SCTP"},
        ]);
        let plan = of(spec, json!({}), json!([endpoint(2, json!({}))]));
        let udp = Door { protocol: Protocol::Udp, ..tcp("10.43.0.7:80") };
        assert_eq!(plan.doors.len(), 2);
        assert_eq!(plan.doors[&tcp("10.43.0.7:80")].endpoints, [at(2)]);
        assert_eq!(plan.doors[&udp].endpoints, []);
        assert!(plan.doors.values().all(|leads| leads.affinity == Some(Duration::from_secs(60))));
    }

    #[test]
    fn services_without_an_address_have_names_only() {
        let headless = json!({"clusterIP": "None", "ports": [{"name": "http", "port": 80}]});
        let external = json!({"type": "ExternalName", "externalName": "example.com"});
        for spec in [headless, external] {
            let plan = of(spec, json!({}), json!([endpoint(2, json!({}))]));
            assert!(plan.doors.is_empty() && !plan.names.is_empty());
        }
    }
}
