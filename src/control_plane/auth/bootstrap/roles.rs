//! The ClusterRoles that every cluster has, beside those that users are given in a namespace.
//!
//! Upstream: `clusterRoles` in `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`. Its roles
//! of controllers (`system:controller:…`) are left out: ours live in this process and need none.

use super::row::{Row, Words};

pub(super) const READ: Words = &["get", "list", "watch"];
const READ_UPDATE: Words = &["get", "list", "patch", "update", "watch"];
const CREATE: Words = &["create"];
const GET: Words = &["get"];

pub(super) const CORE: Words = &[""];
pub(super) const APPS: Words = &["apps"];
pub(super) const AUTHORIZATION: Words = &["authorization.k8s.io"];
const AUTHENTICATION: Words = &["authentication.k8s.io"];
const CERTIFICATES: Words = &["certificates.k8s.io"];
pub(super) const COORDINATION: Words = &["coordination.k8s.io"];
pub(super) const DISCOVERY: Words = &["discovery.k8s.io"];
pub(super) const POLICY: Words = &["policy"];
const STORAGE: Words = &["storage.k8s.io"];

const EVENTS: Row = Row::on(&["", "events.k8s.io"], &["events"], &["create", "patch", "update"]);
const TOKEN_REVIEWS: Row = Row::on(AUTHENTICATION, &["tokenreviews"], CREATE);
const ACCESS_REVIEWS: Row = Row::on(AUTHORIZATION, &["subjectaccessreviews"], CREATE);
const CERTIFICATE_REQUESTS: Row =
    Row::on(CERTIFICATES, &["certificatesigningrequests"], &["create", "get", "list", "watch"]);

pub(in super::super) const EVERYTHING: &[Row] =
    &[Row::on(&["*"], &["*"], &["*"]), Row::paths(&["*"], &["*"])];

pub(super) const BASIC_USER: &[Row] = &[
    Row::on(AUTHORIZATION, &["selfsubjectaccessreviews", "selfsubjectrulesreviews"], CREATE),
    Row::on(AUTHENTICATION, &["selfsubjectreviews"], CREATE),
];

pub(super) const DISCOVERY_PATHS: &[Row] = &[Row::paths(
    &[
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ],
    GET,
)];

pub(super) const PUBLIC_INFO: &[Row] =
    &[Row::paths(&["/healthz", "/livez", "/readyz", "/version", "/version/"], GET)];

pub(super) const MONITORING: &[Row] = &[Row::paths(
    &[
        "/healthz",
        "/healthz/*",
        "/livez",
        "/livez/*",
        "/metrics",
        "/metrics/slis",
        "/readyz",
        "/readyz/*",
    ],
    GET,
)];

pub(super) const HEAPSTER: &[Row] = &[
    Row::on(CORE, &["events", "namespaces", "nodes", "pods"], READ),
    Row::on(&["extensions"], &["deployments"], READ),
];

pub(super) const AUTH_DELEGATOR: &[Row] = &[TOKEN_REVIEWS, ACCESS_REVIEWS];

pub(super) const KUBE_AGGREGATOR: &[Row] = &[Row::on(CORE, &["endpoints", "services"], READ)];

pub(super) const KUBE_DNS: &[Row] = &[
    Row::on(CORE, &["endpoints", "services"], &["list", "watch"]),
    Row::on(DISCOVERY, &["endpointslices"], &["list", "watch"]),
];

pub(super) const KUBELET_API_ADMIN: &[Row] = &[
    Row::on(CORE, &["nodes"], READ),
    Row::on(CORE, &["nodes"], &["proxy"]),
    Row::on(CORE, &["nodes/log", "nodes/metrics", "nodes/proxy", "nodes/stats"], &["*"]),
];

pub(super) const NODE_BOOTSTRAPPER: &[Row] = &[CERTIFICATE_REQUESTS];

pub(super) const NODE_PROBLEM_DETECTOR: &[Row] =
    &[Row::on(CORE, &["nodes"], GET), Row::on(CORE, &["nodes/status"], &["patch"]), EVENTS];

pub(in super::super) const NODE_PROXIER: &[Row] = &[
    Row::on(CORE, &["endpoints", "services"], &["list", "watch"]),
    Row::on(CORE, &["nodes"], READ),
    EVENTS,
    Row::on(DISCOVERY, &["endpointslices"], &["list", "watch"]),
];

pub(super) const ISSUER_DISCOVERY: &[Row] =
    &[Row::paths(&["/.well-known/openid-configuration", "/openid/v1/jwks"], GET)];

pub(super) const VOLUME_PROVISIONER: &[Row] = &[
    Row::on(CORE, &["persistentvolumes"], &["create", "delete", "get", "list", "watch"]),
    Row::on(CORE, &["persistentvolumeclaims"], &["get", "list", "update", "watch"]),
    Row::on(STORAGE, &["storageclasses"], READ),
    Row::on(CORE, &["events"], &["watch"]),
    EVENTS,
];

pub(in super::super) const VOLUME_SCHEDULER: &[Row] = &[
    Row::on(CORE, &["persistentvolumes"], READ_UPDATE),
    Row::on(STORAGE, &["storageclasses"], READ),
    Row::on(CORE, &["persistentvolumeclaims"], READ_UPDATE),
];

pub(super) const CONTROLLER_MANAGER: &[Row] = &[
    EVENTS,
    Row::on(COORDINATION, &["leases"], CREATE),
    Row::on(COORDINATION, &["leases"], &["get", "update"]).named(&["kube-controller-manager"]),
    Row::on(CORE, &["secrets", "serviceaccounts"], CREATE),
    Row::on(CORE, &["secrets"], &["delete"]),
    Row::on(CORE, &["configmaps", "namespaces", "secrets", "serviceaccounts"], GET),
    Row::on(CORE, &["secrets", "serviceaccounts"], &["update"]),
    TOKEN_REVIEWS,
    ACCESS_REVIEWS,
    Row::on(&["*"], &["*"], &["list", "watch"]),
    Row::on(CORE, &["serviceaccounts/token"], CREATE),
];

pub(in super::super) const SCHEDULER: &[Row] = &[
    EVENTS,
    Row::on(COORDINATION, &["leases"], CREATE),
    Row::on(COORDINATION, &["leases"], &["get", "update"]).named(&["kube-scheduler"]),
    Row::on(CORE, &["nodes"], READ),
    Row::on(CORE, &["pods"], &["delete", "get", "list", "watch"]),
    Row::on(CORE, &["bindings", "pods/binding"], CREATE),
    Row::on(CORE, &["pods/status"], &["patch", "update"]),
    Row::on(CORE, &["replicationcontrollers", "services"], READ),
    Row::on(&["apps", "extensions"], &["replicasets"], READ),
    Row::on(APPS, &["statefulsets"], READ),
    Row::on(POLICY, &["poddisruptionbudgets"], READ),
    Row::on(CORE, &["persistentvolumeclaims", "persistentvolumes"], READ),
    TOKEN_REVIEWS,
    ACCESS_REVIEWS,
    Row::on(STORAGE, &["csinodes"], READ),
    Row::on(CORE, &["namespaces"], READ),
    Row::on(STORAGE, &["csidrivers"], READ),
    Row::on(STORAGE, &["csistoragecapacities"], READ),
];

pub(in super::super) const NODE: &[Row] = &[
    TOKEN_REVIEWS,
    Row::on(AUTHORIZATION, &["localsubjectaccessreviews", "subjectaccessreviews"], CREATE),
    Row::on(CORE, &["services"], READ),
    Row::on(CORE, &["nodes"], &["create", "get", "list", "watch"]),
    Row::on(CORE, &["nodes/status"], &["patch", "update"]),
    Row::on(CORE, &["nodes"], &["patch", "update"]),
    EVENTS,
    Row::on(CORE, &["pods"], READ),
    Row::on(CORE, &["pods"], &["create", "delete"]),
    Row::on(CORE, &["pods/status"], &["patch", "update"]),
    Row::on(CORE, &["pods/eviction"], CREATE),
    Row::on(CORE, &["configmaps", "secrets"], READ),
    Row::on(CORE, &["persistentvolumeclaims", "persistentvolumes"], GET),
    Row::on(CORE, &["endpoints"], GET),
    CERTIFICATE_REQUESTS,
    Row::on(COORDINATION, &["leases"], &["create", "delete", "get", "patch", "update"]),
    Row::on(STORAGE, &["volumeattachments"], GET),
    Row::on(CORE, &["serviceaccounts/token"], CREATE),
    Row::on(CORE, &["persistentvolumeclaims/status"], &["get", "patch", "update"]),
    Row::on(STORAGE, &["csidrivers"], READ),
    Row::on(STORAGE, &["csinodes"], &["create", "delete", "get", "patch", "update"]),
    Row::on(&["node.k8s.io"], &["runtimeclasses"], READ),
];

pub(super) const NODE_CLIENT: &[Row] =
    &[Row::on(CERTIFICATES, &["certificatesigningrequests/nodeclient"], CREATE)];
pub(super) const SELF_NODE_CLIENT: &[Row] =
    &[Row::on(CERTIFICATES, &["certificatesigningrequests/selfnodeclient"], CREATE)];

const APPROVE: Row = Row::on(CERTIFICATES, &["signers"], &["approve"]);
pub(super) const LEGACY_APPROVER: &[Row] = &[APPROVE.named(&["kubernetes.io/legacy-unknown"])];
pub(super) const SERVING_APPROVER: &[Row] = &[APPROVE.named(&["kubernetes.io/kubelet-serving"])];
pub(super) const CLIENT_APPROVER: &[Row] =
    &[APPROVE.named(&["kubernetes.io/kube-apiserver-client"])];
pub(super) const KUBELET_CLIENT_APPROVER: &[Row] =
    &[APPROVE.named(&["kubernetes.io/kube-apiserver-client-kubelet"])];
