//! A Pod's ports on the host (`hostPort`; all ports of a Pod with `hostNetwork`). Pure.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};

use super::plan::{HostPort, HostPortKind, Leads, Plan, Rank, Site, port_number, protocol_named};
use crate::node::network::Door;

/// Whether the Pod asks for a port of the host's.
pub(super) fn has_any(pod: &Pod) -> bool {
    ports(pod).next().is_some()
}

/// Where the host listens for a Pod of this node, from when it has an address until it ends.
pub(super) fn plan(pod: &Pod, site: &Site) -> Plan {
    let mut plan = Plan::default();
    let Some(ip) = address(pod, site) else { return plan };
    for (port, number) in ports(pod) {
        let protocol = protocol_named(port.protocol.as_deref());
        let (Some(protocol), Some(target)) = (protocol, port_number(port.container_port)) else {
            continue;
        };
        let door = Door { address: SocketAddr::new(host_ip(port, site), number), protocol };
        let endpoints = vec![SocketAddr::new(ip, target)];
        plan.doors.insert(door, Leads { rank: Rank::HostPort, endpoints, affinity: None });
        let kind = HostPortKind::HostPort;
        plan.host.insert(door, HostPort { kind, sources: Vec::new() });
    }
    plan
}

/// Those of the containers that run side by side, with their numbers.
fn ports(pod: &Pod) -> impl Iterator<Item = (&ContainerPort, u16)> {
    let containers = pod.spec.iter().flat_map(|spec| {
        let init = spec.init_containers.iter().flatten();
        let is_sidecar = |one: &&Container| one.restart_policy.as_deref() == Some("Always");
        init.filter(is_sidecar).chain(&spec.containers)
    });
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports.filter_map(|port| Some((port, port_number(port.host_port?)?)))
}

/// The Pod's own; `None` of one that has ended, or is another node's.
fn address(pod: &Pod, site: &Site) -> Option<IpAddr> {
    let status = pod.status.as_ref()?;
    let is_here = pod.spec.as_ref()?.node_name.as_deref() == Some(&*site.node);
    let has_ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    status.pod_ip.as_deref().filter(|_| is_here && !has_ended)?.parse().ok()
}

/// Where NodePorts are, unless the Pod says otherwise.
fn host_ip(port: &ContainerPort, site: &Site) -> IpAddr {
    let chosen = port.host_ip.as_deref().and_then(|ip| ip.parse().ok());
    chosen.filter(|ip: &IpAddr| !ip.is_unspecified()).unwrap_or(site.node_address)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan_of(node: &str, status: Value) -> Vec<String> {
        let pod = json!({
            "spec": {"nodeName": node, "containers": [{"name": "c", "ports": [
                {"containerPort": 80, "hostPort": 8080},
                {"containerPort": 53, "hostPort": 5353, "protocol": "UDP", "hostIP": "127.0.0.9"},
                {"containerPort": 81},
                {"containerPort": 9, "hostPort": 9, "protocol": "SCTP"},
            ]}]},
            "status": status,
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert!(has_any(&pod));
        let site = Site {
            node: "sampan".to_owned(),
            node_address: "192.0.2.1".parse().unwrap(),
            cluster_domain: String::new(),
        };
        let plan = plan(&pod, &site);
        assert!(plan.host.keys().eq(plan.doors.keys()));
        let text = |(door, leads): (&Door, &Leads)| {
            format!("{:?} {} -> {}", door.protocol, door.address, leads.endpoints[0])
        };
        plan.doors.iter().map(text).collect()
    }

    #[test]
    fn a_pods_ports_are_open_while_it_is_here() {
        let doors = ["Udp 127.0.0.9:5353 -> 10.42.0.3:53", "Tcp 192.0.2.1:8080 -> 10.42.0.3:80"];
        assert_eq!(plan_of("sampan", json!({"podIP": "10.42.0.3", "phase": "Running"})), doors);
        let none: [&str; 0] = [];
        assert_eq!(plan_of("sampan", json!({"podIP": "10.42.0.3", "phase": "Failed"})), none);
        assert_eq!(plan_of("sampan", json!({"phase": "Pending"})), none);
        assert_eq!(plan_of("other", json!({"podIP": "10.42.0.3", "phase": "Running"})), none);
    }
}
