//! Nodes.
//!
//! Upstream: `pkg/registry/core/node/strategy.go`, `ValidateNode` and `ValidateNodeUpdate`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::Value;

use super::TAINT_EFFECTS;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::api::quantity::Quantity;
use crate::control_plane::registry::print::{self, AGE, NAME, column, or, wide};
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

#[derive(Debug)]
pub(crate) struct Nodes;

impl Resource for Nodes {
    type Object = Node;

    const NAMES: Names =
        Names { plural: "nodes", singular: "node", short: &["no"], categories: &[] };
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] =
        &[Subresource { name: "status", kind: ("", "", "Node"), verbs: STATUS_VERBS }];

    fn default(node: &mut Node) {
        node.spec.get_or_insert_default();
        let status = node.status.get_or_insert_default();
        if status.allocatable.is_none() {
            status.allocatable.clone_from(&status.capacity);
        }
    }

    /// A kubelet registers itself with its status, so unlike other kinds' it is kept.
    fn prepare_for_create(_node: &mut Node) {}

    fn prepare_for_update(node: &mut Node, old: &Node) {
        node.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(node: &mut Node, old: &Node) {
        node.spec.clone_from(&old.spec);
    }

    fn validate(node: &Node) -> Vec<FieldError> {
        // Upstream has the taints under `metadata`.
        let path = Path::new("metadata").child("taints");
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref());
        let mut faults = validate_taints(taints.unwrap_or_default(), &path);
        faults.extend(validate_resources(node));
        faults
    }

    fn validate_update(node: &Node, old: &Node) -> Vec<FieldError> {
        let mut faults = Self::validate(node);
        let (new, old) = (node.spec.clone(), old.spec.clone());
        let (new, old) = (new.unwrap_or_default(), old.unwrap_or_default());
        let cidrs = old.pod_cidrs.filter(|cidrs| !cidrs.is_empty());
        let provider = old.provider_id.filter(|provider| !provider.is_empty());
        let fixed = [
            ("podCIDRs", "podCIDR", cidrs.is_some() && new.pod_cidrs != cidrs),
            ("providerID", "providerID", provider.is_some() && new.provider_id != provider),
        ];
        for (field, name, changed) in fixed {
            if changed {
                let detail =
                    format!("node updates may not change {name} except from \"\" to valid");
                faults.push(FieldError::forbidden(Path::new("spec").child(field), detail));
            }
        }
        faults
    }

    fn validate_status_update(node: &Node, _old: &Node) -> Vec<FieldError> {
        validate_resources(node)
    }

    fn fields(node: &Node) -> Vec<(&'static str, String)> {
        vec![("spec.unschedulable", unschedulable(node).to_string())]
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Status", "Whether the node is Ready, and whether it takes new Pods."),
            column("Roles", "What the labels node-role.kubernetes.io/… name."),
            AGE,
            column("Version", "The kubelet's version."),
            wide("Internal-IP", "Where the node is reached from inside the cluster."),
            wide("External-IP", "Where the node is reached from outside."),
            wide("OS-Image", "The operating system, as it calls itself."),
            wide("Kernel-Version", "The kernel's version and architecture."),
            wide("Container-Runtime", "What runs the containers, and its version."),
        ];
        COLUMNS
    }

    fn row(node: &Node, now: Timestamp) -> Vec<Value> {
        let info = node.status.as_ref().and_then(|status| status.node_info.clone());
        let info = info.unwrap_or_default();
        let kernel = match (info.kernel_version.as_str(), info.architecture.as_str()) {
            ("", _) => "<unknown>".to_owned(),
            (version, "") => version.to_owned(),
            (version, architecture) => format!("{version} ({architecture})"),
        };
        vec![
            print::name(&node.metadata),
            status_words(node).into(),
            roles(node).into(),
            print::age(&node.metadata, now),
            info.kubelet_version.into(),
            address(node, "InternalIP").into(),
            address(node, "ExternalIP").into(),
            or(Some(&info.os_image), "<unknown>").into(),
            kernel.into(),
            or(Some(&info.container_runtime_version), "<unknown>").into(),
        ]
    }
}

fn validate_taints(taints: &[Taint], path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        let (key, effect) = (taint.key.as_str(), taint.effect.as_str());
        let value = taint.value.as_deref().unwrap_or_default();
        faults.extend(invalid_each(&path.child("key"), key, meta::qualified_name(key)));
        let complaints = meta::label_value(value);
        if !complaints.is_empty() {
            faults.push(FieldError::invalid(path.child("value"), value, complaints.join(";")));
        }
        let effect_path = path.child("effect");
        if effect.is_empty() {
            faults.push(FieldError::required(effect_path, ""));
        } else if !TAINT_EFFECTS.contains(&effect) {
            faults.push(FieldError::not_supported(effect_path, effect, TAINT_EFFECTS));
        }
        if !seen.insert((key, effect)) {
            let taint = serde_json::to_value(taint).unwrap_or_default();
            let mut fault = FieldError::duplicate(path, taint);
            "taints must be unique by key and effect pair".clone_into(&mut fault.detail);
            faults.push(fault);
        }
    }
    faults
}

fn validate_resources(node: &Node) -> Vec<FieldError> {
    let path = Path::new("status");
    let status = node.status.as_ref();
    let lists = [
        ("capacity", status.and_then(|status| status.capacity.as_ref())),
        ("allocatable", status.and_then(|status| status.allocatable.as_ref())),
    ];
    let mut faults = Vec::new();
    for (field, list) in lists {
        for (name, amount) in list.into_iter().flatten() {
            let path = path.child(field).child(name.clone());
            faults.extend(
                complaint(amount)
                    .map(|complaint| FieldError::invalid(path, amount.0.as_str(), complaint)),
            );
        }
    }
    faults
}

fn complaint(amount: &ApiQuantity) -> Option<String> {
    match Quantity::of(amount) {
        Err(error) => Some(error.to_string()),
        Ok(amount) if amount.is_negative() => Some("must be greater than or equal to 0".to_owned()),
        Ok(_) => None,
    }
}

fn unschedulable(node: &Node) -> bool {
    node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false)
}

/// `Ready`, `NotReady,SchedulingDisabled` …
fn status_words(node: &Node) -> String {
    let conditions = node.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    let ready = conditions.rev().find(|condition| condition.type_ == "Ready");
    let word = match ready {
        None => "Unknown",
        Some(condition) if condition.status == "True" => "Ready",
        Some(_) => "NotReady",
    };
    let disabled = if unschedulable(node) { ",SchedulingDisabled" } else { "" };
    format!("{word}{disabled}")
}

fn roles(node: &Node) -> String {
    const PREFIX: &str = "node-role.kubernetes.io/";
    let role = |(key, value): (&String, &String)| match key.strip_prefix(PREFIX) {
        Some(role) => Some(role.to_owned()),
        None if key == "kubernetes.io/role" => Some(value.clone()),
        None => None,
    };
    let labels = node.metadata.labels.iter().flatten();
    let roles: BTreeSet<String> = labels.filter_map(role).filter(|role| !role.is_empty()).collect();
    if roles.is_empty() {
        return "<none>".to_owned();
    }
    roles.into_iter().collect::<Vec<_>>().join(",")
}

fn address(node: &Node, kind: &str) -> String {
    let addresses = node.status.iter().filter_map(|status| status.addresses.as_ref()).flatten();
    addresses
        .filter(|address| address.type_ == kind)
        .map(|address| address.address.clone())
        .next()
        .unwrap_or_else(|| "<none>".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(value: Value) -> Node {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check(faults: &[FieldError], expect: &[&str]) {
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expect);
    }

    #[test]
    fn a_row_tells_readiness_roles_and_addresses() {
        let mut value = json!({
            "metadata": {"name": "n", "creationTimestamp": "2026-11-22T16:00:00Z",
                "labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}},
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "Unknown"}],
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "nodeInfo": {"architecture": "amd64", "bootID": "", "containerRuntimeVersion": "wasmtime://48",
                    "kernelVersion": "6.1", "kubeProxyVersion": "", "kubeletVersion": "v1.33.0", "machineID": "",
                    "operatingSystem": "linux", "osImage": "", "systemUUID": ""},
            },
        });
        let now = "2026-11-22T17:00:00Z".parse().unwrap();
        let row = |value: &Value| Nodes::row(&node(value.clone()), now);
        assert_eq!(
            row(&value),
            [
                "n",
                "NotReady,SchedulingDisabled",
                "control-plane,worker",
                "60m",
                "v1.33.0",
                "127.0.0.1",
                "<none>",
                "<unknown>",
                "6.1 (amd64)",
                "wasmtime://48"
            ]
            .map(Value::from)
        );
        value["status"]["conditions"][0]["status"] = json!("True");
        value["spec"] = json!({});
        assert_eq!(row(&value)[1], "Ready");
        assert_eq!(Nodes::row(&Node::default(), now)[1..3], ["Unknown", "<none>"].map(Value::from));
    }

    #[test]
    fn taints_are_unique_and_have_an_effect() {
        let taints = json!([
            {"key": "a", "effect": "NoSchedule"},
            {"key": "a", "effect": "NoExecute"},
            {"key": "a", "effect": "NoSchedule"},
            {"key": "b", "effect": ""},
            {"key": "c", "effect": "Perhaps"},
        ]);
        check(
            &Nodes::validate(&node(json!({"spec": {"taints": taints}}))),
            &[
                "metadata.taints[2]: Duplicate value: {\"effect\":\"NoSchedule\",\"key\":\"a\"}: taints must be unique by key and effect pair",
                "metadata.taints[3].effect: Required value",
                "metadata.taints[4].effect: Unsupported value: \"Perhaps\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
            ],
        );
    }

    #[test]
    fn addresses_of_pods_are_given_once() {
        let cidr = |cidr: &str| node(json!({"spec": {"podCIDRs": [cidr]}}));
        check(&Nodes::validate_update(&cidr("10.42.0.0/24"), &Node::default()), &[]);
        check(
            &Nodes::validate_update(&cidr("10.42.1.0/24"), &cidr("10.42.0.0/24")),
            &[
                "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
            ],
        );
    }

    #[test]
    fn all_of_the_capacity_can_be_allocated() {
        let mut node = node(json!({"status": {"capacity": {"memory": "2Gi", "cpu": "-1"}}}));
        Nodes::default(&mut node);
        let allocatable = node.status.as_ref().and_then(|status| status.allocatable.clone());
        assert_eq!(json!(allocatable), json!({"memory": "2Gi", "cpu": "-1"}));
        check(
            &Nodes::validate_status_update(&node, &node),
            &[
                "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
                "status.allocatable.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
            ],
        );
    }
}
