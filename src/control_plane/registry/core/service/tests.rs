//! Services: what is filled in, what is refused, what is shown.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::Services;
use crate::control_plane::registry::Resource;

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
