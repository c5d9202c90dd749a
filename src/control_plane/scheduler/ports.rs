//! Ports of the node's that Pods ask for (`hostPort`): each is one Pod's at a time.
//!
//! Upstream: `HostPortInfo` (`pkg/scheduler/framework/types.go`), `GetHostPorts`
//! (`pkg/scheduler/util/utils.go`).

use k8s_openapi::api::core::v1::{ContainerPort, Pod};

/// All of the node's addresses.
const EVERYWHERE: &str = "0.0.0.0";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPort {
    ip: String,
    number: i32,
    protocol: String,
}

impl HostPort {
    pub(super) fn conflicts(&self, other: &Self) -> bool {
        let meet =
            self.ip == other.ip || [&self.ip, &other.ip].into_iter().any(|ip| ip == EVERYWHERE);
        meet && self.number == other.number && self.protocol == other.protocol
    }

    fn of(port: &ContainerPort) -> Option<Self> {
        let text = |text: &Option<String>, default: &str| match text.as_deref() {
            None | Some("") => default.to_owned(),
            Some(text) => text.to_owned(),
        };
        Some(Self {
            ip: text(&port.host_ip, EVERYWHERE),
            number: port.host_port.filter(|number| *number > 0)?,
            protocol: text(&port.protocol, "TCP"),
        })
    }
}

/// Those of the containers that run side by side.
pub(super) fn of_pod(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let init = spec.init_containers.iter().flatten();
    let sidecars = init.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = sidecars.chain(&spec.containers).flat_map(|container| &container.ports).flatten();
    ports.filter_map(HostPort::of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ports(of_main: &Value, of_sidecar: &Value) -> Vec<HostPort> {
        let pod = json!({"spec": {
            "initContainers": [
                {"name": "once", "ports": [{"containerPort": 1, "hostPort": 1}]},
                {"name": "beside", "restartPolicy": "Always", "ports": of_sidecar},
            ],
            "containers": [{"name": "main", "ports": of_main}],
        }});
        of_pod(&serde_json::from_value(pod).unwrap())
    }

    #[track_caller]
    fn check(one: Value, other: Value, expect: bool) {
        let port = |mut port: Value| {
            port["containerPort"] = json!(8080);
            ports(&json!([port]), &json!([])).remove(0)
        };
        let (one, other) = (port(one), port(other));
        assert_eq!((one.conflicts(&other), other.conflicts(&one)), (expect, expect));
    }

    #[test]
    fn ports_conflict_where_their_addresses_meet() {
        check(json!({"hostPort": 80}), json!({"hostPort": 80}), true);
        check(json!({"hostPort": 80}), json!({"hostPort": 81}), false);
        check(json!({"hostPort": 80}), json!({"hostPort": 80, "protocol": "UDP"}), false);
        let on = |ip: &str| json!({"hostPort": 80, "hostIP": ip});
        check(on("127.0.0.1"), on("127.0.0.1"), true);
        check(on("127.0.0.1"), on("127.0.0.2"), false);
        check(on("0.0.0.0"), on("127.0.0.2"), true);
        check(on(""), on("127.0.0.2"), true);
    }

    #[test]
    fn only_containers_that_run_side_by_side_count() {
        let found = ports(
            &json!([{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081}]),
            &json!([{"containerPort": 82, "hostPort": 8082}]),
        );
        let numbers: Vec<i32> = found.iter().map(|port| port.number).collect();
        assert_eq!(numbers, [8082, 8081]);
    }
}
