//! The Node object.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus,
    NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::host;
use crate::node::kubelet::lifecycle::Config;

/// Pods are sandboxes in one process, not cgroups and network namespaces: many more fit than
/// upstream's 110.
const PODS_MAX: u32 = 10_000;
/// The API that this kubelet speaks.
const KUBELET_VERSION: &str = concat!("v1.33.0+sampan-", env!("CARGO_PKG_VERSION"));
/// The version in Cargo.toml.
const RUNTIME_VERSION: &str = "wasmtime://48.0.8";

/// What Pods may use: all that the host has, or what the operator says.
pub(in crate::node::kubelet) fn allocatable(config: &Config) -> BTreeMap<String, Quantity> {
    let disk_bytes = host::disk_bytes(&config.pods_directory);
    let amounts = [
        ("cpu", host::cpus().to_string()),
        ("ephemeral-storage", format!("{}Ki", disk_bytes >> 10)),
        ("memory", format!("{}Ki", host::memory_bytes() >> 10)),
        ("pods", PODS_MAX.to_string()),
    ];
    let amounts = amounts.map(|(name, amount)| (name.to_owned(), Quantity(amount)));
    amounts.into_iter().chain(config.capacity.clone()).collect()
}

/// The node as it registers. Its labels say linux: guests are WASI programs, but the manifests that
/// people have ask for `kubernetes.io/os: linux` and mean "an ordinary node".
pub(super) fn node(
    config: &Config,
    allocatable: &BTreeMap<String, Quantity>,
    cidr: String,
    now: Timestamp,
) -> Node {
    let labels = [
        ("beta.kubernetes.io/arch", host::architecture()),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", host::architecture()),
        ("kubernetes.io/hostname", config.node.as_str()),
        ("kubernetes.io/os", "linux"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Node {
        metadata: ObjectMeta {
            name: Some(config.node.clone()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidrs: Some(vec![cidr.clone()]),
            pod_cidr: Some(cidr),
            provider_id: Some(format!("sampan://{}", config.node)),
            ..NodeSpec::default()
        }),
        status: Some(status(config, allocatable, now)),
    }
}

fn status(config: &Config, allocatable: &BTreeMap<String, Quantity>, now: Timestamp) -> NodeStatus {
    let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
    NodeStatus {
        addresses: Some(vec![
            address("InternalIP", config.address.to_string()),
            address("Hostname", config.node.clone()),
        ]),
        capacity: Some(allocatable.clone()),
        allocatable: Some(allocatable.clone()),
        conditions: Some(conditions(now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            // Logs, exec and attach come through the API server; there is no port to connect to.
            kubelet_endpoint: Some(DaemonEndpoint { port: 0 }),
        }),
        node_info: Some(info()),
        ..NodeStatus::default()
    }
}

fn info() -> NodeSystemInfo {
    NodeSystemInfo {
        architecture: host::architecture().to_owned(),
        container_runtime_version: RUNTIME_VERSION.to_owned(),
        kernel_version: host::kernel(),
        kubelet_version: KUBELET_VERSION.to_owned(),
        kube_proxy_version: String::new(),
        operating_system: "linux".to_owned(),
        os_image: concat!("sampan ", env!("CARGO_PKG_VERSION"), " (WASI 0.2)").to_owned(),
        ..NodeSystemInfo::default()
    }
}

/// In upstream's order and words.
pub(super) fn conditions(now: Timestamp) -> Vec<NodeCondition> {
    [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    .map(|(type_, status, reason, message)| NodeCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    })
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_version_is_the_one_that_is_linked() {
        let manifest = include_str!("../../../../Cargo.toml");
        let version = RUNTIME_VERSION.strip_prefix("wasmtime://").unwrap();
        assert!(manifest.contains(&format!("wasmtime = {{ version = \"={version}\"")));
    }

    #[test]
    fn the_host_tells_what_it_has() {
        let mut config = Config {
            node: "n".to_owned(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            capacity: BTreeMap::new(),
            pods_directory: "/".into(),
            volumes_directory: "/".into(),
        };
        let found = allocatable(&config);
        assert!(host::memory_bytes() > 64 << 20 && host::cpus() > 0);
        assert_eq!(found["pods"].0, "10000");
        for name in ["memory", "ephemeral-storage"] {
            let number: u64 = found[name].0.strip_suffix("Ki").unwrap().parse().unwrap();
            assert!(number > 64 << 10, "{name}");
        }
        config.capacity.insert("pods".to_owned(), Quantity("7".to_owned()));
        assert_eq!(allocatable(&config)["pods"].0, "7");
        assert_eq!(allocatable(&config)["memory"], found["memory"]);
    }
}
