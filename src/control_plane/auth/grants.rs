//! The fixed table of who may do what, until RBAC comes.
//!
//! Upstream: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`.

use super::authorize::Attributes;
use super::identity::{AUTHENTICATED, CONTROLLERS, Identity, MASTERS, UNAUTHENTICATED};

/// Everything of a list.
const ALL: &str = "*";

/// One permission.
#[derive(Debug)]
pub(super) enum Rule {
    Resources {
        verbs: &'static [&'static str],
        groups: &'static [&'static str],
        /// `pods`, `pods/status`; `*` is every resource and subresource.
        resources: &'static [&'static str],
    },
    Paths {
        verbs: &'static [&'static str],
        /// Whole paths, or beginnings that end in `*`.
        paths: &'static [&'static str],
    },
}

struct Grant {
    to: Subject,
    rules: &'static [Rule],
}

enum Subject {
    User(&'static str),
    Group(&'static str),
}

const READ: &[&str] = &["get", "list", "watch"];
const REPORT: &[&str] = &["create", "patch", "update"];

static GRANTS: &[Grant] = &[
    Grant { to: Subject::Group(MASTERS), rules: EVERYTHING },
    Grant { to: Subject::Group(CONTROLLERS), rules: EVERYTHING },
    Grant { to: Subject::User("system:kube-scheduler"), rules: SCHEDULER },
    Grant { to: Subject::Group("system:nodes"), rules: NODE },
    Grant { to: Subject::User("system:kube-proxy"), rules: PROXY },
    Grant { to: Subject::Group(AUTHENTICATED), rules: BASIC_USER },
    Grant { to: Subject::Group(AUTHENTICATED), rules: DISCOVERY },
    Grant { to: Subject::Group(AUTHENTICATED), rules: PUBLIC_INFO },
    Grant { to: Subject::Group(UNAUTHENTICATED), rules: PUBLIC_INFO },
];

const EVERYTHING: &[Rule] = &[
    Rule::Resources { verbs: &[ALL], groups: &[ALL], resources: &[ALL] },
    Rule::Paths { verbs: &[ALL], paths: &[ALL] },
];

const SCHEDULER: &[Rule] = &[
    Rule::Resources {
        verbs: READ,
        groups: &[""],
        resources: &["nodes", "pods", "namespaces", "persistentvolumes", "persistentvolumeclaims"],
    },
    Rule::Resources { verbs: READ, groups: &["storage.k8s.io"], resources: &["storageclasses"] },
    // Claims that wait for their first Pod.
    Rule::Resources {
        verbs: &["patch", "update"],
        groups: &[""],
        resources: &["persistentvolumes", "persistentvolumeclaims"],
    },
    Rule::Resources { verbs: &["delete"], groups: &[""], resources: &["pods"] },
    Rule::Resources { verbs: &["create"], groups: &[""], resources: &["bindings", "pods/binding"] },
    Rule::Resources { verbs: &["patch", "update"], groups: &[""], resources: &["pods/status"] },
    EVENTS,
    LEASES,
];

/// What a kubelet needs; that it touches only its own Node and Pods comes with the node authorizer.
const NODE: &[Rule] = &[
    Rule::Resources {
        verbs: &["create", "get", "list", "watch", "patch", "update"],
        groups: &[""],
        resources: &["nodes", "nodes/status"],
    },
    Rule::Resources {
        verbs: &["get", "list", "watch", "create", "delete"],
        groups: &[""],
        resources: &["pods"],
    },
    Rule::Resources {
        verbs: &["get", "patch", "update"],
        groups: &[""],
        resources: &["pods/status"],
    },
    Rule::Resources {
        verbs: READ,
        groups: &[""],
        resources: &[
            "configmaps",
            "namespaces",
            "persistentvolumeclaims",
            "persistentvolumes",
            "secrets",
            "serviceaccounts",
            "services",
        ],
    },
    Rule::Resources { verbs: &["create"], groups: &[""], resources: &["serviceaccounts/token"] },
    // The finalizer of volumes that are its own directories.
    Rule::Resources { verbs: &["patch"], groups: &[""], resources: &["persistentvolumes"] },
    EVENTS,
    LEASES,
];

/// Upstream's `system:node-proxier`, and what a cloud's load balancers write: here the node is both.
const PROXY: &[Rule] = &[
    Rule::Resources {
        verbs: READ,
        groups: &[""],
        resources: &["endpoints", "nodes", "pods", "services"],
    },
    Rule::Resources { verbs: READ, groups: &["discovery.k8s.io"], resources: &["endpointslices"] },
    Rule::Resources { verbs: &["patch", "update"], groups: &[""], resources: &["services/status"] },
    // Scale to zero.
    Rule::Resources { verbs: &["patch"], groups: &[""], resources: &["services"] },
    Rule::Resources {
        verbs: &["get", "list", "patch", "watch"],
        groups: &["apps"],
        resources: &["deployments"],
    },
    EVENTS,
];

const EVENTS: Rule =
    Rule::Resources { verbs: REPORT, groups: &["", "events.k8s.io"], resources: &["events"] };

const LEASES: Rule = Rule::Resources {
    verbs: &["create", "delete", "get", "list", "watch", "patch", "update"],
    groups: &["coordination.k8s.io"],
    resources: &["leases"],
};

/// Everybody may ask about themselves.
const BASIC_USER: &[Rule] = &[
    Rule::Resources {
        verbs: &["create"],
        groups: &["authorization.k8s.io"],
        resources: &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    Rule::Resources {
        verbs: &["create"],
        groups: &["authentication.k8s.io"],
        resources: &["selfsubjectreviews"],
    },
];

const DISCOVERY: &[Rule] = &[Rule::Paths {
    verbs: &["get"],
    paths: &["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"],
}];

const PUBLIC_INFO: &[Rule] = &[Rule::Paths {
    verbs: &["get"],
    paths: &["/healthz", "/livez", "/readyz", "/version", "/version/"],
}];

/// Everything `identity` may do.
pub(super) fn rules_of(identity: &Identity) -> impl Iterator<Item = &'static Rule> {
    GRANTS
        .iter()
        .filter(|grant| match grant.to {
            Subject::User(user) => identity.user == user,
            Subject::Group(group) => identity.is_in(group),
        })
        .flat_map(|grant| grant.rules)
}

impl Rule {
    pub(super) fn allows(&self, attributes: &Attributes<'_>) -> bool {
        match (self, *attributes) {
            (
                Self::Resources { verbs, groups, resources },
                Attributes::Resource { verb, group, resource, subresource, .. },
            ) => {
                let named = match subresource {
                    "" => has(resources, resource),
                    _ => has(resources, &format!("{resource}/{subresource}")),
                };
                named && has(verbs, verb) && has(groups, group)
            }
            (Self::Paths { verbs, paths }, Attributes::Path { verb, path }) => {
                has(verbs, verb) && paths.iter().any(|pattern| matches_path(pattern, path))
            }
            _ => false,
        }
    }
}

fn has(list: &[&str], word: &str) -> bool {
    list.iter().any(|one| *one == ALL || *one == word)
}

fn matches_path(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => pattern == path,
    }
}
