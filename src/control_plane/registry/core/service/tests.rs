//! Services: what is filled in, what is refused, what is shown.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::Services;
use crate::control_plane::registry::{AllocationError, Resource, ServiceRanges};

fn service(spec: Value) -> Service {
    let mut service: Service =
        serde_json::from_value(json!({"metadata": {"name": "s", "namespace": "n"}, "spec": spec}))
            .unwrap();
    Services::default(&mut service);
    service
}

#[track_caller]
fn check(spec: Value, expect: &[&str]) {
    let service = service(spec);
    let texts: Vec<String> = Services::validate(&service).iter().map(ToString::to_string).collect();
    assert_eq!(texts, expect);
}

#[track_caller]
fn check_update(old: Value, new: Value, expect: &[&str]) {
    let old = service(old);
    let mut new = service(new);
    Services::prepare_for_update(&mut new, &old);
    let faults = Services::validate_update(&new, &old);
    assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
}

#[test]
fn what_is_left_out_is_filled_in() {
    let balancer = service(json!({"type": "LoadBalancer", "sessionAffinity": "ClientIP",
        "ports": [{"port": 80}]}));
    assert_eq!(
        serde_json::to_value(balancer.spec).unwrap(),
        json!({
            "type": "LoadBalancer",
            "allocateLoadBalancerNodePorts": true,
            "externalTrafficPolicy": "Cluster",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        })
    );
    assert_eq!(serde_json::to_value(balancer.status).unwrap(), json!({"loadBalancer": {}}));
    let name =
        service(json!({"type": "ExternalName", "externalName": "example.org"})).spec.unwrap();
    assert_eq!((name.internal_traffic_policy, name.external_traffic_policy), (None, None));
}

#[test]
fn faults_of_ports_are_worded_as_upstream() {
    check(json!({}), &["spec.ports: Required value"]);
    check(json!({"clusterIP": "None", "clusterIPs": ["None"]}), &[]);
    check(
        json!({"ports": [{"port": 0}, {"port": 80, "name": "a", "targetPort": "Web"},
            {"port": 80, "name": "a", "protocol": "ICMP", "nodePort": 30000}]}),
        &[
            "spec.ports[0].name: Required value",
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[1].targetPort: Invalid value: \"Web\": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
            "spec.ports[2].name: Duplicate value: \"a\"",
            "spec.ports[2].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "spec.ports[2].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ],
    );
    check(
        json!({"type": "NodePort", "ports": [{"name": "a", "port": 53, "nodePort": 30053},
            {"name": "b", "port": 53, "nodePort": 30053, "protocol": "UDP"},
            {"name": "c", "port": 53, "nodePort": 30053, "protocol": "UDP"}]}),
        &[
            "spec.ports[2].nodePort: Duplicate value: 30053",
            "spec.ports[2]: Duplicate value: {\"port\":53,\"protocol\":\"UDP\"}",
        ],
    );
}

#[test]
fn each_type_has_its_own_fields() {
    let ports = json!([{"port": 80}]);
    check(
        json!({"type": "Magic", "ports": ports}),
        &[
            "spec.type: Unsupported value: \"Magic\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ],
    );
    check(
        json!({"type": "NodePort", "clusterIP": "None", "clusterIPs": ["None"], "ports": ports}),
        &[
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
        ],
    );
    check(
        json!({"type": "ExternalName", "clusterIP": "10.43.0.9", "clusterIPs": ["10.43.0.9"]}),
        &[
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
            "spec.externalName: Required value",
        ],
    );
    check(
        json!({"ports": ports, "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001,
            "loadBalancerClass": "a/b", "loadBalancerSourceRanges": ["10.0.0.0/33"],
            "externalIPs": ["169.254.169.254"]}),
        &[
            "spec.externalIPs[0]: Invalid value: \"169.254.169.254\": may not be in the link-local range (169.254.0.0/16, fe80::/10)",
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.LoadBalancerSourceRanges[0]: Invalid value: \"10.0.0.0/33\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ],
    );
}

#[test]
fn an_address_lasts() {
    let with = |ip: &str| json!({"clusterIP": ip, "clusterIPs": [ip], "ports": [{"port": 80}]});
    check_update(with("10.43.0.5"), with("10.43.0.5"), &[]);
    check_update(
        with("10.43.0.5"),
        with("10.43.0.6"),
        &["spec.clusterIPs[0]: Invalid value: [\"10.43.0.6\"]: may not change once set"],
    );
    check_update(
        with("10.43.0.5"),
        with("None"),
        &["spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"],
    );
    check_update(
        with("10.43.0.5"),
        json!({"type": "ExternalName", "externalName": "example.org", "ports": [{"port": 80}],
            "clusterIP": "10.43.0.5", "clusterIPs": ["10.43.0.5"]}),
        &[],
    );
}

#[test]
fn a_change_of_type_lets_node_ports_go() {
    let old = service(json!({"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}],
        "externalTrafficPolicy": "Local", "healthCheckNodePort": 30081}));
    let mut new = old.clone();
    new.spec.as_mut().unwrap().type_ = Some("ClusterIP".to_owned());
    Services::prepare_for_update(&mut new, &old);
    let spec = new.spec.as_ref().unwrap();
    assert_eq!(spec.ports.as_ref().unwrap()[0].node_port, None);
    assert_eq!((spec.health_check_node_port, spec.allocate_load_balancer_node_ports), (None, None));
    assert_eq!(spec.external_traffic_policy, None);
    assert_eq!(Services::validate_update(&new, &old), []);
}

#[test]
fn rows_say_where_a_service_is_reached() {
    let row = |service: &Service| {
        let row = Services::row(service, Timestamp::UNIX_EPOCH);
        let cells = row[1..5].iter().chain(&row[6..]).map(|cell| cell.as_str().unwrap().to_owned());
        cells.collect::<Vec<_>>()
    };
    let mut web = service(json!({"type": "LoadBalancer", "clusterIP": "10.43.0.9",
        "clusterIPs": ["10.43.0.9"], "selector": {"app": "web"},
        "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]}));
    let ports = "80:30080/TCP,53/UDP";
    assert_eq!(row(&web), ["LoadBalancer", "10.43.0.9", "<pending>", ports, "app=web"]);
    web.status =
        serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}))
            .unwrap();
    assert_eq!(row(&web)[2], "127.0.0.1");
    let name = service(json!({"type": "ExternalName", "externalName": "example.org"}));
    assert_eq!(row(&name), ["ExternalName", "<none>", "example.org", "<none>", "<none>"]);
    let headless =
        service(json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 80}]}));
    assert_eq!(row(&headless), ["ClusterIP", "None", "<none>", "80/TCP", "<none>"]);
}

#[test]
fn only_a_balancers_status_has_addresses() {
    let faults = |service: &Service| {
        let faults = Services::validate_status_update(service, service);
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut plain = service(json!({"ports": [{"port": 80}]}));
    plain.status =
        serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}))
            .unwrap();
    assert_eq!(
        faults(&plain),
        [
            "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is \"LoadBalancer\""
        ]
    );
    plain.spec.as_mut().unwrap().type_ = Some("LoadBalancer".to_owned());
    Services::default(&mut plain);
    assert_eq!(faults(&plain), [""; 0]);
}

/// What a Service of `spec` gets, as `[clusterIP, ports and health check]`, beside `others`.
fn allocated(
    spec: Value,
    old: Option<&Service>,
    others: &[&Service],
) -> Result<Service, Vec<String>> {
    let mut new = service(spec);
    new.metadata.uid = Some("5f6b0a3e".to_owned());
    let others: Vec<_> = others.iter().map(|other| Arc::new((*other).clone())).collect();
    match Services::allocate(&mut new, old, &others, &ServiceRanges::default()) {
        Ok(()) => {
            assert_eq!(Services::validate(&new), []);
            Ok(new)
        }
        Err(AllocationError::Invalid(faults)) => {
            Err(faults.iter().map(ToString::to_string).collect())
        }
        Err(AllocationError::Exhausted(text)) => Err(vec![text]),
    }
}

fn ports_of(service: &Service) -> Vec<i32> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.map(|port| port.node_port.unwrap_or(0)).collect()
}

#[test]
fn a_service_gets_an_address_behind_the_band_of_those_who_choose() {
    let first = allocated(json!({"ports": [{"port": 80}]}), None, &[]).unwrap();
    let spec = first.spec.clone().unwrap();
    let ip: std::net::Ipv4Addr = spec.cluster_ip.clone().unwrap().parse().unwrap();
    assert!(ip.octets()[..2] == [10, 43] && ip.octets()[2] > 0, "{ip}");
    assert_eq!(spec.cluster_ips, Some(vec![ip.to_string()]));
    assert_eq!(spec.ip_families.unwrap(), ["IPv4"]);
    assert_eq!(spec.ip_family_policy.unwrap(), "SingleStack");
    // The same seed, and the first choice is taken.
    let second = allocated(json!({"ports": [{"port": 80}]}), None, &[&first]).unwrap();
    assert_ne!(second.spec.unwrap().cluster_ip.unwrap(), ip.to_string());
}

#[test]
fn a_chosen_address_is_in_range_and_free() {
    let with = |ip: &str| json!({"clusterIP": ip, "ports": [{"port": 80}]});
    let first = allocated(with("10.43.0.10"), None, &[]).unwrap();
    assert_eq!(
        allocated(with("10.43.0.10"), None, &[&first]).unwrap_err(),
        [
            "spec.clusterIPs: Invalid value: [\"10.43.0.10\"]: failed to allocate IP 10.43.0.10: provided IP is already allocated"
        ]
    );
    assert_eq!(
        allocated(with("10.0.0.10"), None, &[]).unwrap_err(),
        [
            "spec.clusterIPs: Invalid value: [\"10.0.0.10\"]: failed to allocate IP 10.0.0.10: the provided IP (10.0.0.10) is not in the valid range. The range of valid IPs is 10.43.0.0/16"
        ]
    );
    assert_eq!(
        allocated(with("web"), None, &[]).unwrap_err(),
        [
            "spec.clusterIPs[0]: Invalid value: \"web\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        ]
    );
    assert_eq!(
        allocated(with("fd00::1"), None, &[]).unwrap_err(),
        [
            "spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"
        ]
    );
    assert_eq!(
        allocated(json!({"ipFamilies": ["IPv6"], "ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]}), None, &[]).unwrap_err(),
        [
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
            "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
        ]
    );
}

#[test]
fn node_ports_are_one_services_whatever_the_protocol() {
    let dns = json!({"type": "NodePort", "ports": [{"name": "a", "port": 53},
        {"name": "b", "port": 53, "protocol": "UDP"}, {"name": "c", "port": 80}]});
    let dns = allocated(dns, None, &[]).unwrap();
    let ports = ports_of(&dns);
    assert_eq!(ports[0], ports[1]);
    assert_ne!(ports[0], ports[2]);
    let with = |port: i32| json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "UDP", "nodePort": port}]});
    assert_eq!(
        allocated(with(ports[0]), None, &[&dns]).unwrap_err(),
        [format!(
            "spec.ports[0].nodePort: Invalid value: {}: provided port is already allocated",
            ports[0]
        )]
    );
    assert_eq!(
        allocated(with(80), None, &[]).unwrap_err(),
        [
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"
        ]
    );
    let taken = json!({"type": "NodePort", "ports": [{"port": 1, "name": "a", "nodePort": 30000},
        {"port": 2, "name": "b", "nodePort": 30000}]});
    assert_eq!(
        allocated(taken, None, &[]).unwrap_err(),
        ["spec.ports[1].nodePort: Invalid value: 30000: provided port is already allocated"]
    );
}

#[test]
fn a_service_keeps_what_it_has_and_gets_what_its_new_type_needs() {
    let old = allocated(json!({"ports": [{"port": 80}]}), None, &[]).unwrap();
    let spec =
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]});
    let new = allocated(spec, Some(&old), &[]).unwrap();
    let (before, after) = (old.spec.clone().unwrap(), new.spec.clone().unwrap());
    assert_eq!(before.cluster_ip, after.cluster_ip);
    let health = after.health_check_node_port.unwrap();
    assert!(ports_of(&new)[0] >= 30_000 && health != ports_of(&new)[0]);
    // Applied again without the numbers, nothing changes.
    let again =
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]});
    assert_eq!(allocated(again, Some(&new), &[]).unwrap().spec, new.spec);
    let name = json!({"type": "ExternalName", "externalName": "a.b"});
    let name = allocated(name, None, &[]).unwrap();
    let back = allocated(json!({"ports": [{"port": 80}]}), Some(&name), &[&old]).unwrap();
    assert!(
        back.spec.unwrap().cluster_ip.is_some_and(|ip| Some(&ip) != before.cluster_ip.as_ref())
    );
}

#[test]
fn a_balancer_may_do_without_node_ports() {
    let spec = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]});
    assert_eq!(ports_of(&allocated(spec, None, &[]).unwrap()), [0]);
}

#[test]
fn a_headless_service_without_selector_takes_endpoints_of_both_families() {
    let spec = allocated(json!({"clusterIP": "None"}), None, &[]).unwrap().spec.unwrap();
    assert_eq!(spec.ip_families.unwrap(), ["IPv4", "IPv6"]);
    let spec = json!({"clusterIP": "None", "selector": {"a": "b"}});
    let spec = allocated(spec, None, &[]).unwrap().spec.unwrap();
    assert_eq!((spec.ip_families.unwrap().len(), spec.cluster_ips.unwrap().len()), (1, 1));
}

#[test]
fn a_full_range_says_so() {
    let ranges =
        ServiceRanges { cluster_ips: "10.9.0.0/28".parse().unwrap(), node_ports: 30_000..=30_001 };
    let mut others = Vec::new();
    let error = loop {
        let mut new = service(json!({"type": "NodePort", "ports": [{"port": 80}]}));
        match Services::allocate(&mut new, None, &others, &ranges) {
            Ok(()) => others.push(Arc::new(new)),
            Err(error) => break error,
        }
    };
    assert_eq!(others.len(), 2);
    let text = "failed to allocate a nodePort: range is full".to_owned();
    assert_eq!(error, AllocationError::Exhausted(text));
    while let Ok(new) = {
        let mut new = service(json!({"ports": [{"port": 80}]}));
        Services::allocate(&mut new, None, &others, &ranges).map(|()| new)
    } {
        others.push(Arc::new(new));
    }
    assert_eq!(others.len(), 14);
}
