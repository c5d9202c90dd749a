//! What needs no role: the administrators, this process' own components, and the questions after the
//! server's health. It holds before the first role is read, and whatever becomes of the roles.
//!
//! Upstream: `--authorization-always-allow-paths`, `authorizerfactory.NewPrivilegedGroups`, the node
//! authorizer.

use std::sync::LazyLock;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::Identity;
use super::bootstrap::roles::{EVERYTHING, NODE, NODE_PROXIER, SCHEDULER, VOLUME_SCHEDULER};
use super::bootstrap::row::Row;
use super::identity::{CONTROLLERS, MASTERS};

/// Permissions of a subject, as written and as they are matched.
pub(super) struct Grant {
    to: Subject,
    pub(super) rules: Vec<PolicyRule>,
}

enum Subject {
    User(&'static str),
    Group(&'static str),
    Everybody,
}

/// The commonest first.
static GRANTS: LazyLock<[Grant; 6]> = LazyLock::new(|| {
    [
        grant(Subject::Group(MASTERS), &[EVERYTHING]),
        grant(Subject::Group(CONTROLLERS), &[EVERYTHING]),
        grant(Subject::Group("system:nodes"), &[NODE, NODE_MORE]),
        grant(Subject::User("system:kube-scheduler"), &[SCHEDULER, VOLUME_SCHEDULER]),
        grant(Subject::User("system:kube-proxy"), &[NODE_PROXIER, PROXY_MORE]),
        grant(Subject::Everybody, &[HEALTH]),
    ]
});

fn grant(to: Subject, rows: &[&[Row]]) -> Grant {
    Grant { to, rules: rows.iter().copied().flatten().map(Row::rule).collect() }
}

/// What our kubelet needs more than upstream's; that it touches only its own Node and Pods comes with the
/// node authorizer.
const NODE_MORE: &[Row] = &[
    Row::on(
        &[""],
        &[
            "namespaces",
            "nodes/status",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods/status",
            "serviceaccounts",
        ],
        &["get", "list", "watch"],
    ),
    Row::on(&["coordination.k8s.io"], &["leases"], &["list", "watch"]),
    // The finalizer of volumes that are its own directories.
    Row::on(&[""], &["persistentvolumes"], &["patch"]),
];

/// What a cloud's load balancers write: here the node is both.
const PROXY_MORE: &[Row] = &[
    Row::on(&[""], &["endpoints", "pods", "services"], &["get", "list", "watch"]),
    Row::on(&["discovery.k8s.io"], &["endpointslices"], &["get"]),
    Row::on(&[""], &["services/status"], &["patch", "update"]),
    // Scale to zero.
    Row::on(&[""], &["services"], &["patch"]),
    Row::on(&["apps"], &["deployments"], &["get", "list", "patch", "watch"]),
];

const HEALTH: &[Row] = &[Row::paths(&["/healthz", "/livez", "/readyz"], &["*"])];

/// What `identity` may do by the table.
pub(super) fn grants_of(identity: &Identity) -> impl Iterator<Item = &'static Grant> {
    GRANTS.iter().filter(|grant| match grant.to {
        Subject::User(user) => identity.user == user,
        Subject::Group(group) => identity.is_in(group),
        Subject::Everybody => true,
    })
}
