//! The roles and bindings that every cluster has.
//!
//! Enter by [`cluster_roles`] and [`cluster_role_bindings`], which say what shall be there, and
//! [`merged_role`] and [`merged_binding`], which say what becomes of what is there: what is missing is
//! added, nothing is taken away, and what says `autoupdate: "false"` is left alone.
//!
//! Upstream: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`, `pkg/registry/rbac/reconciliation`.

mod merge;
pub(super) mod roles;
pub(super) mod row;
mod users;

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{
    AggregationRule, ClusterRole, ClusterRoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

pub use merge::{merged_binding, merged_role};

use super::identity::{AUTHENTICATED, MASTERS, UNAUTHENTICATED};
use super::rbac::{GROUP, aggregate};
use row::Row;

const LABEL: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");
/// `"false"` keeps an object as its owner made it.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// A ClusterRole of the table.
struct Entry {
    name: &'static str,
    rules: &'static [Row],
    /// Gathers the rules of those that are `part_of` it.
    gathers: bool,
    /// The role that gathers this one's rules.
    part_of: Option<&'static str>,
}

const fn role(name: &'static str, rules: &'static [Row]) -> Entry {
    Entry { name, rules, gathers: false, part_of: None }
}

/// In such an order that what is gathered comes before who gathers it.
static CLUSTER_ROLES: &[Entry] = &[
    role("cluster-admin", roles::EVERYTHING),
    Entry { part_of: Some("view"), ..role("system:aggregate-to-view", users::VIEW) },
    Entry { part_of: Some("edit"), ..role("system:aggregate-to-edit", users::EDIT) },
    Entry { part_of: Some("admin"), ..role("system:aggregate-to-admin", users::ADMIN) },
    Entry { gathers: true, part_of: Some("edit"), ..role("view", &[]) },
    Entry { gathers: true, part_of: Some("admin"), ..role("edit", &[]) },
    Entry { gathers: true, ..role("admin", &[]) },
    role("system:auth-delegator", roles::AUTH_DELEGATOR),
    role("system:basic-user", roles::BASIC_USER),
    role("system:certificates.k8s.io:certificatesigningrequests:nodeclient", roles::NODE_CLIENT),
    role(
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        roles::SELF_NODE_CLIENT,
    ),
    role("system:certificates.k8s.io:kube-apiserver-client-approver", roles::CLIENT_APPROVER),
    role(
        "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
        roles::KUBELET_CLIENT_APPROVER,
    ),
    role("system:certificates.k8s.io:kubelet-serving-approver", roles::SERVING_APPROVER),
    role("system:certificates.k8s.io:legacy-unknown-approver", roles::LEGACY_APPROVER),
    role("system:discovery", roles::DISCOVERY_PATHS),
    role("system:heapster", roles::HEAPSTER),
    role("system:kube-aggregator", roles::KUBE_AGGREGATOR),
    role("system:kube-controller-manager", roles::CONTROLLER_MANAGER),
    role("system:kube-dns", roles::KUBE_DNS),
    role("system:kube-scheduler", roles::SCHEDULER),
    role("system:kubelet-api-admin", roles::KUBELET_API_ADMIN),
    role("system:monitoring", roles::MONITORING),
    role("system:node", roles::NODE),
    role("system:node-bootstrapper", roles::NODE_BOOTSTRAPPER),
    role("system:node-problem-detector", roles::NODE_PROBLEM_DETECTOR),
    role("system:node-proxier", roles::NODE_PROXIER),
    role("system:persistent-volume-provisioner", roles::VOLUME_PROVISIONER),
    role("system:public-info-viewer", roles::PUBLIC_INFO),
    role("system:service-account-issuer-discovery", roles::ISSUER_DISCOVERY),
    role("system:volume-scheduler", roles::VOLUME_SCHEDULER),
];

enum To {
    User(&'static str),
    Group(&'static str),
    /// Of kube-system.
    ServiceAccount(&'static str),
}

/// Bindings are called as their roles. `system:node` is given to nobody: the node of this process is
/// told by its identity.
static CLUSTER_ROLE_BINDINGS: &[(&str, &[To])] = &[
    ("cluster-admin", &[To::Group(MASTERS)]),
    ("system:basic-user", &[To::Group(AUTHENTICATED)]),
    ("system:discovery", &[To::Group(AUTHENTICATED)]),
    ("system:kube-controller-manager", &[To::User("system:kube-controller-manager")]),
    ("system:kube-dns", &[To::ServiceAccount("kube-dns")]),
    ("system:kube-scheduler", &[To::User("system:kube-scheduler")]),
    ("system:monitoring", &[To::Group("system:monitoring")]),
    ("system:node", &[]),
    ("system:node-proxier", &[To::User("system:kube-proxy")]),
    ("system:public-info-viewer", &[To::Group(AUTHENTICATED), To::Group(UNAUTHENTICATED)]),
    ("system:service-account-issuer-discovery", &[To::Group("system:serviceaccounts")]),
    ("system:volume-scheduler", &[To::User("system:kube-scheduler")]),
];

/// The ClusterRoles that shall be there, with what they gather from each other.
pub fn cluster_roles() -> Vec<ClusterRole> {
    let mut made: Vec<ClusterRole> = Vec::with_capacity(CLUSTER_ROLES.len());
    for entry in CLUSTER_ROLES {
        let mut role = cluster_role(entry);
        if let Some(rule) = &role.aggregation_rule {
            role.rules = Some(aggregate(entry.name, rule, &made));
        }
        made.push(role);
    }
    made
}

fn cluster_role(entry: &Entry) -> ClusterRole {
    let mut metadata = metadata(entry.name);
    if let Some(whole) = entry.part_of {
        metadata.labels.get_or_insert_default().insert(part_of(whole), "true".to_owned());
    }
    let gathered = |name: &str| AggregationRule {
        cluster_role_selectors: Some(vec![LabelSelector {
            match_labels: Some(BTreeMap::from([(part_of(name), "true".to_owned())])),
            ..LabelSelector::default()
        }]),
    };
    ClusterRole {
        metadata,
        aggregation_rule: entry.gathers.then(|| gathered(entry.name)),
        rules: Some(entry.rules.iter().map(Row::rule).collect()),
    }
}

fn part_of(role: &str) -> String {
    format!("{GROUP}/aggregate-to-{role}")
}

/// The ClusterRoleBindings that shall be there.
pub fn cluster_role_bindings() -> Vec<ClusterRoleBinding> {
    let binding = |(name, subjects): &(&str, &[To])| ClusterRoleBinding {
        metadata: metadata(name),
        role_ref: RoleRef {
            api_group: GROUP.to_owned(),
            kind: "ClusterRole".to_owned(),
            name: (*name).to_owned(),
        },
        subjects: Some(subjects.iter().map(subject).collect::<Vec<_>>())
            .filter(|subjects| !subjects.is_empty()),
    };
    CLUSTER_ROLE_BINDINGS.iter().map(binding).collect()
}

fn subject(to: &To) -> Subject {
    let (kind, name, namespace) = match to {
        To::User(name) => ("User", name, None),
        To::Group(name) => ("Group", name, None),
        To::ServiceAccount(name) => ("ServiceAccount", name, Some("kube-system".to_owned())),
    };
    Subject {
        api_group: namespace.is_none().then(|| GROUP.to_owned()),
        kind: kind.to_owned(),
        name: (*name).to_owned(),
        namespace,
    }
}

fn metadata(name: &str) -> ObjectMeta {
    let (label, value) = LABEL;
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(BTreeMap::from([(label.to_owned(), value.to_owned())])),
        annotations: Some(BTreeMap::from([(AUTOUPDATE.to_owned(), "true".to_owned())])),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binding_is_to_a_role_of_the_table() {
        let roles = cluster_roles();
        for binding in cluster_role_bindings() {
            let named =
                |role: &ClusterRole| role.metadata.name.as_deref() == Some(&binding.role_ref.name);
            assert!(roles.iter().any(named), "{:?}", binding.role_ref);
        }
    }

    #[test]
    fn an_editor_may_what_a_viewer_may_and_an_admin_both() {
        let roles = cluster_roles();
        let rules = |name: &str| {
            let named = |role: &&ClusterRole| role.metadata.name.as_deref() == Some(name);
            roles.iter().find(named).unwrap().rules.clone().unwrap()
        };
        let (view, edit, admin) = (rules("view"), rules("edit"), rules("admin"));
        assert_eq!(view, rules("system:aggregate-to-view"));
        assert!(view.iter().all(|rule| edit.contains(rule)));
        assert!(edit.iter().all(|rule| admin.contains(rule)));
        assert_eq!(edit.len(), users::VIEW.len() + users::EDIT.len());
        assert_eq!(admin.len(), edit.len() + users::ADMIN.len());
    }

    #[test]
    fn names_are_there_once() {
        let mut names: Vec<&str> = CLUSTER_ROLES.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CLUSTER_ROLES.len());
    }
}
