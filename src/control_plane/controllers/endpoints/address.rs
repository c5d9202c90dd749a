//! What a Pod is to a Service that selects it. Pure.
//!
//! Upstream: `podToEndpoint`, `getEndpointPorts` in `k8s.io/endpointslice/utils.go`, `FindPort` in
//! `pkg/api/v1/pod/util.go`, `ShouldPodBeInEndpoints` in `k8s.io/endpointslice/util`.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The Pod has an address and has not ended. One that is ending still counts.
pub(super) fn counts(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed")) && !ips(pod).is_empty()
}

pub(super) fn ips(pod: &Pod) -> Vec<&str> {
    let Some(status) = &pod.status else { return Vec::new() };
    let all: Vec<&str> = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).collect();
    if all.is_empty() { status.pod_ip.iter().map(String::as_str).collect() } else { all }
}

pub(super) fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some_and(|(status, _)| status == "True")
}

/// When the Pod last became ready, or ceased to be.
pub(super) fn ready_changed(pod: &Pod) -> Option<Timestamp> {
    ready_condition(pod).and_then(|(_, at)| at)
}

fn ready_condition(pod: &Pod) -> Option<(&str, Option<Timestamp>)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some((ready.status.as_str(), ready.last_transition_time.as_ref().map(|time| time.0)))
}

pub(super) fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

pub(super) fn publishes_not_ready(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false)
}

/// A Pod that names the Service as its subdomain is found under a name of its own.
pub(super) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let hostname = spec.hostname.clone().filter(|hostname| !hostname.is_empty())?;
    (spec.subdomain == service.metadata.name
        && pod.metadata.namespace == service.metadata.namespace)
        .then_some(hostname)
}

pub(super) fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

pub(super) fn node_name(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone().filter(|node| !node.is_empty())
}

/// `IPv4` or `IPv6`.
pub(super) fn family(ip: &str) -> &'static str {
    if ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) { "IPv6" } else { "IPv4" }
}

/// The Pod as an endpoint of that family; `None` if it has no address of it.
///
/// One that is ending takes no new traffic while others are there (`ready` is false), but may have
/// to while none is (`serving`).
pub(super) fn endpoint(pod: &Pod, service: &Service, of_family: &str) -> Option<Endpoint> {
    let address = ips(pod).into_iter().find(|ip| family(ip) == of_family)?;
    let (serving, terminating) = (is_ready(pod), is_terminating(pod));
    Some(Endpoint {
        addresses: vec![address.to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(publishes_not_ready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname(pod, service),
        node_name: node_name(pod),
        target_ref: Some(reference(pod)),
        ..Endpoint::default()
    })
}

/// The Service's ports as this Pod has them; what the Pod has no port for is left out.
pub(super) fn ports(pod: &Pod, service: &Service) -> Vec<EndpointPort> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let port = |port: &ServicePort| {
        Some(EndpointPort {
            app_protocol: port.app_protocol.clone(),
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(find_port(pod, port)?),
            protocol: port.protocol.clone(),
        })
    };
    ports.iter().filter_map(port).collect()
}

/// A port that is named is the container's that has a port of that name.
fn find_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(is_sidecar);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    let mut named = ports.filter(|candidate| {
        candidate.name.as_ref() == Some(name)
            && candidate.protocol.as_deref().unwrap_or("TCP")
                == port.protocol.as_deref().unwrap_or("TCP")
    });
    named.next().map(|port| port.container_port)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "n"}, "spec": spec}))
            .unwrap()
    }

    fn pod(status: Value, more: Value) -> Pod {
        let mut pod = json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {
                "nodeName": "sampan", "hostname": "zero", "subdomain": "web",
                "containers": [{"name": "c", "ports": [
                    {"name": "http", "containerPort": 8080},
                    {"name": "dns", "containerPort": 53, "protocol": "UDP"}]}],
            },
            "status": status,
        });
        for (key, value) in more.as_object().unwrap() {
            pod["metadata"][key] = value.clone();
        }
        serde_json::from_value(pod).unwrap()
    }

    fn status(ready: &str) -> Value {
        json!({"phase": "Running", "podIP": "10.42.0.5",
            "conditions": [{"type": "Ready", "status": ready}]})
    }

    /// ready, serving, terminating
    fn conditions(pod: &Pod, service: &Service) -> [bool; 3] {
        let conditions = endpoint(pod, service, "IPv4").unwrap().conditions.unwrap();
        [conditions.ready, conditions.serving, conditions.terminating].map(Option::unwrap)
    }

    #[test]
    fn a_pod_that_ends_is_not_ready_but_may_serve() {
        let web = service(json!({}));
        let deleted = json!({"deletionTimestamp": "2026-11-22T17:00:00Z"});
        assert_eq!(conditions(&pod(status("True"), json!({})), &web), [true, true, false]);
        assert_eq!(conditions(&pod(status("False"), json!({})), &web), [false, false, false]);
        assert_eq!(conditions(&pod(status("True"), deleted.clone()), &web), [false, true, true]);
        let early = service(json!({"publishNotReadyAddresses": true}));
        assert_eq!(conditions(&pod(status("False"), json!({})), &early), [true, false, false]);
        assert_eq!(conditions(&pod(status("False"), deleted), &early), [true, false, true]);
    }

    #[test]
    fn a_pod_counts_from_its_address_to_its_end() {
        assert!(counts(&pod(status("False"), json!({}))));
        assert!(!counts(&pod(json!({"phase": "Pending"}), json!({}))));
        assert!(!counts(&pod(json!({"phase": "Succeeded", "podIP": "10.42.0.5"}), json!({}))));
    }

    #[test]
    fn named_ports_are_the_containers() {
        let web = service(json!({"ports": [
            {"name": "a", "port": 80, "protocol": "TCP", "targetPort": "http"},
            {"name": "b", "port": 53, "protocol": "UDP", "targetPort": "dns"},
            {"name": "c", "port": 53, "protocol": "TCP", "targetPort": "dns"},
            {"name": "d", "port": 81, "protocol": "TCP", "targetPort": 9090}]}));
        let ports = ports(&pod(status("True"), json!({})), &web);
        let found: Vec<_> = ports.iter().map(|p| (p.name.as_deref().unwrap(), p.port)).collect();
        assert_eq!(found, [("a", Some(8080)), ("b", Some(53)), ("d", Some(9090))]);
    }

    #[test]
    fn a_hostname_is_told_to_its_own_subdomain() {
        let pod = pod(status("True"), json!({}));
        assert_eq!(hostname(&pod, &service(json!({}))), Some("zero".to_owned()));
        let mut other = service(json!({}));
        other.metadata.name = Some("other".to_owned());
        assert_eq!(hostname(&pod, &other), None);
    }
}
