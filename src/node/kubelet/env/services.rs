//! Variables that tell where the namespace's Services are.
//!
//! Upstream: `pkg/kubelet/envvars/envvars.go`, `pkg/kubelet/kubelet_pods.go` (`getServiceEnvVarMap`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};

/// Every Pod is told of this one, in whichever namespace it is.
const MASTER: (&str, &str) = ("default", "kubernetes");

/// Of these Services the variables that a Pod gets, by name.
pub(in crate::node::kubelet) fn of_services(
    pod: &Pod,
    services: &[Arc<Service>],
) -> BTreeMap<String, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
    let mut variables = BTreeMap::new();
    // The Pod's own come last: a Service of its own may be called `kubernetes` too.
    for of_pod in [false, true] {
        for service in services {
            let meta = &service.metadata;
            let name = meta.name.as_deref().unwrap_or_default();
            let of = meta.namespace.as_deref().unwrap_or_default();
            let is_meant =
                if (of, name) == MASTER { !of_pod } else { of_pod && links && of == namespace };
            if is_meant {
                variables.extend(of_service(name, service));
            }
        }
    }
    variables
}

/// None for a Service without an address of its own.
fn of_service(name: &str, service: &Service) -> Vec<(String, String)> {
    let spec = service.spec.as_ref();
    let address = spec.and_then(|spec| spec.cluster_ip.as_deref());
    let address = address.filter(|ip| !ip.is_empty() && *ip != "None");
    let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let (Some(address), Some(first)) = (address, ports.first()) else { return Vec::new() };
    let prefix = variable(name);
    let mut variables = vec![
        (format!("{prefix}_SERVICE_HOST"), address.to_owned()),
        (format!("{prefix}_SERVICE_PORT"), first.port.to_string()),
    ];
    for port in ports {
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let name = format!("{prefix}_SERVICE_PORT_{}", variable(name));
            variables.push((name, port.port.to_string()));
        }
    }
    variables.push((format!("{prefix}_PORT"), url(address, first)));
    for port in ports {
        let protocol = protocol(port);
        let of_port = format!("{prefix}_PORT_{}_{}", port.port, protocol.to_uppercase());
        variables.extend([
            (format!("{of_port}_PROTO"), protocol),
            (format!("{of_port}_PORT"), port.port.to_string()),
            (format!("{of_port}_ADDR"), address.to_owned()),
            (of_port, url(address, port)),
        ]);
    }
    variables
}

fn variable(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.as_deref().unwrap_or("TCP").to_lowercase()
}

fn url(address: &str, port: &ServicePort) -> String {
    let address = match address.parse() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => address.to_owned(),
    };
    format!("{}://{address}:{}", protocol(port), port.port)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(namespace: &str, name: &str, ip: &str, ports: Value) -> Arc<Service> {
        let service = json!({
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": ip, "ports": ports},
        });
        Arc::new(serde_json::from_value(service).unwrap())
    }

    fn services() -> Vec<Arc<Service>> {
        vec![
            service("default", "kubernetes", "10.43.0.1", json!([{"name": "https", "port": 443}])),
            service("ns", "my-db", "10.43.0.7", json!([{"port": 80, "protocol": "TCP"}])),
            service("ns", "headless", "None", json!([{"port": 80}])),
            service("other", "far", "10.43.0.8", json!([{"port": 80}])),
        ]
    }

    fn lines(spec: Value) -> Vec<String> {
        let pod = json!({"metadata": {"namespace": "ns"}, "spec": spec});
        let pod = serde_json::from_value(pod).unwrap();
        let all = of_services(&pod, &services());
        all.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    const OF_MASTER: [&str; 8] = [
        "KUBERNETES_PORT=tcp://10.43.0.1:443",
        "KUBERNETES_PORT_443_TCP=tcp://10.43.0.1:443",
        "KUBERNETES_PORT_443_TCP_ADDR=10.43.0.1",
        "KUBERNETES_PORT_443_TCP_PORT=443",
        "KUBERNETES_PORT_443_TCP_PROTO=tcp",
        "KUBERNETES_SERVICE_HOST=10.43.0.1",
        "KUBERNETES_SERVICE_PORT=443",
        "KUBERNETES_SERVICE_PORT_HTTPS=443",
    ];

    #[test]
    fn a_pod_is_told_of_its_namespace_and_of_the_api_server() {
        let of_db = [
            "MY_DB_PORT=tcp://10.43.0.7:80",
            "MY_DB_PORT_80_TCP=tcp://10.43.0.7:80",
            "MY_DB_PORT_80_TCP_ADDR=10.43.0.7",
            "MY_DB_PORT_80_TCP_PORT=80",
            "MY_DB_PORT_80_TCP_PROTO=tcp",
            "MY_DB_SERVICE_HOST=10.43.0.7",
            "MY_DB_SERVICE_PORT=80",
        ];
        assert_eq!(lines(json!({"containers": []})), [&OF_MASTER[..], &of_db].concat());
    }

    #[test]
    fn without_links_only_the_api_server_is_named() {
        assert_eq!(lines(json!({"containers": [], "enableServiceLinks": false})), OF_MASTER);
    }
}
