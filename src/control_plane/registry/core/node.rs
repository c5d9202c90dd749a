//! Nodes.
//!
//! Upstream: `pkg/registry/core/node/strategy.go`, `ValidateNode` and `ValidateNodeUpdate`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use serde_json::Value;

use crate::control_plane::registry::print::{self, AGE, NAME, column, or, wide};
use crate::control_plane::registry::{
    Column, Names, RequestContext, Resource, STATUS_VERBS, Scope, Subresource,
};

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
    fn prepare_for_create(_node: &mut Node, _ctx: &RequestContext) {}

    fn prepare_for_update(node: &mut Node, old: &Node, _ctx: &RequestContext) {
        node.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(node: &mut Node, old: &Node) {
        node.spec.clone_from(&old.spec);
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
