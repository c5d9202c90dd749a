//! What users are given in a namespace: `view`, `edit` and `admin`, each gathered from parts.
//!
//! Upstream: `viewRules` and `editRules` in
//! `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`.

use super::roles::{APPS, AUTHORIZATION, COORDINATION, CORE, DISCOVERY, POLICY, READ};
use super::row::{Row, Words};

const WRITE: Words = &["create", "delete", "deletecollection", "patch", "update"];
const READ_WRITE: Words =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

const AUTOSCALING: Words = &["autoscaling"];
const BATCH: Words = &["batch"];
const EXTENSIONS: Words = &["extensions"];
const NETWORKING: Words = &["networking.k8s.io"];

pub(super) const ADMIN: &[Row] = &[
    Row::on(AUTHORIZATION, &["localsubjectaccessreviews"], &["create"]),
    Row::on(&["rbac.authorization.k8s.io"], &["rolebindings", "roles"], READ_WRITE),
];

pub(super) const EDIT: &[Row] = &[
    // Reading these is as much as being somebody else.
    Row::on(
        CORE,
        &[
            "pods/attach",
            "pods/exec",
            "pods/portforward",
            "pods/proxy",
            "secrets",
            "services/proxy",
        ],
        READ,
    ),
    Row::on(CORE, &["serviceaccounts"], &["impersonate"]),
    Row::on(CORE, &["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"], WRITE),
    Row::on(CORE, &["pods/eviction"], &["create"]),
    Row::on(
        CORE,
        &[
            "configmaps",
            "events",
            "persistentvolumeclaims",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "secrets",
            "serviceaccounts",
            "services",
            "services/proxy",
        ],
        WRITE,
    ),
    Row::on(CORE, &["serviceaccounts/token"], &["create"]),
    Row::on(
        APPS,
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
        WRITE,
    ),
    Row::on(AUTOSCALING, &["horizontalpodautoscalers"], WRITE),
    Row::on(BATCH, &["cronjobs", "jobs"], WRITE),
    Row::on(
        EXTENSIONS,
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "ingresses",
            "networkpolicies",
            "replicasets",
            "replicasets/scale",
            "replicationcontrollers/scale",
        ],
        WRITE,
    ),
    Row::on(POLICY, &["poddisruptionbudgets"], WRITE),
    Row::on(NETWORKING, &["ingresses", "networkpolicies"], WRITE),
    Row::on(COORDINATION, &["leases"], READ_WRITE),
];

pub(super) const VIEW: &[Row] = &[
    Row::on(
        CORE,
        &[
            "configmaps",
            "endpoints",
            "persistentvolumeclaims",
            "persistentvolumeclaims/status",
            "pods",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "serviceaccounts",
            "services",
            "services/status",
        ],
        READ,
    ),
    Row::on(
        CORE,
        &[
            "bindings",
            "events",
            "limitranges",
            "namespaces/status",
            "pods/log",
            "pods/status",
            "replicationcontrollers/status",
            "resourcequotas",
            "resourcequotas/status",
        ],
        READ,
    ),
    // In a namespace this is that namespace alone.
    Row::on(CORE, &["namespaces"], READ),
    Row::on(DISCOVERY, &["endpointslices"], READ),
    Row::on(
        APPS,
        &[
            "controllerrevisions",
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "statefulsets",
            "statefulsets/scale",
            "statefulsets/status",
        ],
        READ,
    ),
    Row::on(AUTOSCALING, &["horizontalpodautoscalers", "horizontalpodautoscalers/status"], READ),
    Row::on(BATCH, &["cronjobs", "cronjobs/status", "jobs", "jobs/status"], READ),
    Row::on(
        EXTENSIONS,
        &[
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "ingresses",
            "ingresses/status",
            "networkpolicies",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "replicationcontrollers/scale",
        ],
        READ,
    ),
    Row::on(POLICY, &["poddisruptionbudgets", "poddisruptionbudgets/status"], READ),
    Row::on(NETWORKING, &["ingresses", "ingresses/status", "networkpolicies"], READ),
];
