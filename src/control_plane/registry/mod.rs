//! What the server knows of each kind: the table `RESOURCES`, one file per kind.
//!
//! Enter by [`AnyResource`], which the table holds. To add a kind: one file with a [`Resource`],
//! one line in the table. Everything here is a pure function of objects.

mod amounts;
mod any;
mod apps;
mod authentication;
mod authorization;
mod autoscaling;
mod batch;
mod certificates;
mod changes;
mod coordination;
mod core;
mod discovery;
mod draft;
mod metrics;
mod networking;
mod policy;
mod print;
mod ranges;
mod rbac;
mod resource;
mod rules;
mod scheduling;
mod storage;

pub(super) use any::*;
pub(super) use authentication::TokenRequests;
pub(super) use autoscaling::Scales;
pub(super) use draft::*;
pub(super) use metrics::{NodeMetrics, PodMetrics};
pub(super) use policy::Evictions;
pub use ranges::ServiceRanges;
pub(super) use resource::*;
pub(super) use scheduling::SYSTEM_PRIORITIES;

/// Every kind that the server knows. To add one: `&Kind::<Pods>::NEW`.
pub(super) static RESOURCES: &[&dyn AnyResource] = &[
    &Kind::<apps::ControllerRevisions>::NEW,
    &Kind::<apps::DaemonSets>::NEW,
    &Kind::<apps::Deployments>::NEW,
    &Kind::<apps::ReplicaSets>::NEW,
    &Kind::<apps::StatefulSets>::NEW,
    &Kind::<autoscaling::HorizontalPodAutoscalers>::NEW,
    &Kind::<batch::CronJobs>::NEW,
    &Kind::<batch::Jobs>::NEW,
    &Kind::<certificates::CertificateSigningRequests>::NEW,
    &Kind::<core::Bindings>::NEW,
    &Kind::<core::ConfigMaps>::NEW,
    &Kind::<core::EndpointsObjects>::NEW,
    &Kind::<core::Events>::NEW,
    &Kind::<core::LimitRanges>::NEW,
    &Kind::<core::Namespaces>::NEW,
    &Kind::<core::Nodes>::NEW,
    &Kind::<core::PersistentVolumeClaims>::NEW,
    &Kind::<core::PersistentVolumes>::NEW,
    &Kind::<core::Pods>::NEW,
    &Kind::<core::ReplicationControllers>::NEW,
    &Kind::<core::ResourceQuotas>::NEW,
    &Kind::<core::Secrets>::NEW,
    &Kind::<core::ServiceAccounts>::NEW,
    &Kind::<core::Services>::NEW,
    &Kind::<coordination::Leases>::NEW,
    &Kind::<discovery::EndpointSlices>::NEW,
    &Kind::<metrics::NodeMetricsObjects>::NEW,
    &Kind::<metrics::PodMetricsObjects>::NEW,
    &Kind::<networking::IngressClasses>::NEW,
    &Kind::<networking::Ingresses>::NEW,
    &Kind::<networking::NetworkPolicies>::NEW,
    &Kind::<policy::PodDisruptionBudgets>::NEW,
    &Kind::<rbac::ClusterRoleBindings>::NEW,
    &Kind::<rbac::ClusterRoles>::NEW,
    &Kind::<rbac::RoleBindings>::NEW,
    &Kind::<rbac::Roles>::NEW,
    &Kind::<scheduling::PriorityClasses>::NEW,
    &Kind::<storage::StorageClasses>::NEW,
    &Kind::<authentication::SelfSubjectReviews>::NEW,
    &Kind::<authorization::LocalSubjectAccessReviews>::NEW,
    &Kind::<authorization::SelfSubjectAccessReviews>::NEW,
    &Kind::<authorization::SelfSubjectRulesReviews>::NEW,
    &Kind::<authorization::SubjectAccessReviews>::NEW,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn no_two_kinds_of_a_group_share_a_name() {
        let mut taken = BTreeSet::new();
        for kind in RESOURCES {
            let names = kind.names();
            // Some words have no plural of their own (`endpoints`).
            let mut own = BTreeSet::from([names.plural, names.singular]);
            own.extend(names.short);
            own.remove("");
            for name in own {
                assert!(taken.insert((kind.group(), name)), "{name} names two kinds");
            }
            assert!(taken.insert((kind.group(), kind.kind())), "{} is there twice", kind.kind());
        }
    }

    #[test]
    fn names_are_the_kind_in_lower_case() {
        for kind in RESOURCES.iter().filter(|kind| kind.group() != "metrics.k8s.io") {
            assert_eq!(kind.names().singular, kind.kind().to_lowercase());
            // `networkpolicy` is `networkpolicies`.
            let stem = kind.names().singular.trim_end_matches('y');
            assert!(kind.names().plural.starts_with(stem));
        }
    }

    /// Names of the columns, those of `-o wide` in parentheses.
    fn columns_of(kind: &dyn AnyResource) -> String {
        let name = |column: &Column| match column.priority {
            0 => column.name.to_owned(),
            _ => format!("({})", column.name),
        };
        kind.columns().iter().map(name).collect::<Vec<_>>().join(" | ")
    }

    /// As a real server answered; scripts read them.
    #[test]
    fn columns_are_those_of_kubernetes() {
        let expect = [
            (
                "certificatesigningrequests",
                "Name | Age | SignerName | Requestor | RequestedDuration | Condition",
            ),
            ("clusterrolebindings", "Name | Role | Age | (Users) | (Groups) | (ServiceAccounts)"),
            ("clusterroles", "Name | Created At"),
            ("configmaps", "Name | Data | Age"),
            ("controllerrevisions", "Name | Controller | Revision | Age"),
            (
                "cronjobs",
                "Name | Schedule | Timezone | Suspend | Active | Last Schedule | Age | \
                 (Containers) | (Images) | (Selector)",
            ),
            (
                "daemonsets",
                "Name | Desired | Current | Ready | Up-to-date | Available | Node Selector | Age | \
                 (Containers) | (Images) | (Selector)",
            ),
            (
                "deployments",
                "Name | Ready | Up-to-date | Available | Age | (Containers) | (Images) | (Selector)",
            ),
            ("endpoints", "Name | Endpoints | Age"),
            ("endpointslices", "Name | AddressType | Ports | Endpoints | Age"),
            (
                "events",
                "Last Seen | Type | Reason | Object | (Subobject) | (Source) | Message | \
                 (First Seen) | (Count) | (Name)",
            ),
            (
                "horizontalpodautoscalers",
                "Name | Reference | Targets | MinPods | MaxPods | Replicas | Age",
            ),
            ("ingressclasses", "Name | Controller | Parameters | Age"),
            ("ingresses", "Name | Class | Hosts | Address | Ports | Age"),
            (
                "jobs",
                "Name | Status | Completions | Duration | Age | (Containers) | (Images) | (Selector)",
            ),
            ("leases", "Name | Holder | Age"),
            ("limitranges", "Name | Created At"),
            ("namespaces", "Name | Status | Age"),
            ("networkpolicies", "Name | Pod-Selector | Age"),
            (
                "nodes",
                "Name | Status | Roles | Age | Version | (Internal-IP) | (External-IP) | \
                 (OS-Image) | (Kernel-Version) | (Container-Runtime)",
            ),
            (
                "persistentvolumeclaims",
                "Name | Status | Volume | Capacity | Access Modes | StorageClass | \
                 VolumeAttributesClass | Age | (VolumeMode)",
            ),
            (
                "persistentvolumes",
                "Name | Capacity | Access Modes | Reclaim Policy | Status | Claim | StorageClass | \
                 VolumeAttributesClass | Reason | Age | (VolumeMode)",
            ),
            (
                "poddisruptionbudgets",
                "Name | Min Available | Max Unavailable | Allowed Disruptions | Age",
            ),
            (
                "pods",
                "Name | Ready | Status | Restarts | Age | (IP) | (Node) | (Nominated Node) | \
                 (Readiness Gates)",
            ),
            ("priorityclasses", "Name | Value | Global-Default | Age | PreemptionPolicy"),
            (
                "replicasets",
                "Name | Desired | Current | Ready | Age | (Containers) | (Images) | (Selector)",
            ),
            (
                "replicationcontrollers",
                "Name | Desired | Current | Ready | Age | (Containers) | (Images) | (Selector)",
            ),
            ("resourcequotas", "Name | Request | Limit | Age"),
            ("rolebindings", "Name | Role | Age | (Users) | (Groups) | (ServiceAccounts)"),
            ("roles", "Name | Created At"),
            ("secrets", "Name | Type | Data | Age"),
            ("serviceaccounts", "Name | Age"),
            ("services", "Name | Type | Cluster-IP | External-IP | Port(s) | Age | (Selector)"),
            ("statefulsets", "Name | Ready | Age | (Containers) | (Images)"),
            (
                "storageclasses",
                "Name | Provisioner | ReclaimPolicy | VolumeBindingMode | AllowVolumeExpansion | Age",
            ),
        ];
        let stored = RESOURCES.iter().filter(|kind| kind.is_stored());
        let mut found: Vec<_> =
            stored.map(|kind| (kind.names().plural, columns_of(*kind))).collect();
        found.sort();
        assert_eq!(found, expect.map(|(plural, columns)| (plural, columns.to_owned())));
    }

    #[test]
    fn rows_have_a_cell_for_each_column() {
        for kind in RESOURCES {
            let mut object = kind.decode(example(*kind)).expect("the example is one of its kind");
            kind.default(&mut *object);
            let row = kind.row(&*object, Timestamp::UNIX_EPOCH);
            assert_eq!(row.len(), kind.columns().len(), "{}", kind.kind());
        }
    }

    #[test]
    fn examples_survive_and_defaults_settle() {
        for kind in RESOURCES {
            let example = example(*kind);
            let mut object = kind.decode(example.clone()).expect("the example is one of its kind");
            let plain = shown(&*object);
            for (field, value) in example.as_object().expect("it is an object") {
                if field != "metadata" {
                    assert_eq!(plain.get(field), Some(value), "{}", kind.kind());
                }
            }
            kind.default(&mut *object);
            let once = shown(&*object);
            kind.default(&mut *object);
            assert_eq!(shown(&*object), once);
            assert_eq!(kind.validate(&*object), [], "{}", kind.kind());
        }
    }

    fn shown(object: &dyn AnyObject) -> serde_json::Value {
        let json = object.to_json().expect("the example is JSON");
        serde_json::from_slice(&json).expect("the example is JSON")
    }

    fn example(kind: &dyn AnyResource) -> serde_json::Value {
        let mut example = match kind.kind() {
            "Binding" => json!({"target": {"kind": "Node", "name": "n"}}),
            "CertificateSigningRequest" => {
                let key = rcgen::KeyPair::generate().expect("ring makes keys");
                let request = rcgen::CertificateParams::default().serialize_request(&key);
                let pem = request.and_then(|request| request.pem()).expect("it is whole");
                let request = k8s_openapi::ByteString(pem.into_bytes());
                json!({"spec": {"request": request, "usages": ["client auth"],
                    "signerName": "kubernetes.io/kube-apiserver-client"}})
            }
            "ConfigMap" => json!({"data": {"key": "value"}}),
            "ControllerRevision" => json!({"data": {"spec": {}}, "revision": 1}),
            "CronJob" => json!({"spec": {"schedule": "@daily", "jobTemplate": {"spec": {
                "template": {"spec": {"restartPolicy": "Never",
                    "containers": [{"name": "c", "image": "busybox"}]}}}}}}),
            "Job" => json!({"spec": {
                "manualSelector": true,
                "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}},
                    "spec": {"restartPolicy": "Never",
                        "containers": [{"name": "c", "image": "busybox"}]}},
            }}),
            "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet" => json!({"spec": {
                "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}},
                    "spec": {"containers": [{"name": "c", "image": "busybox"}]}},
            }}),
            "EndpointSlice" => {
                json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.42.0.2"]}]})
            }
            "Event" => json!({"involvedObject": {"kind": "Pod", "namespace": "b", "name": "p"}}),
            "HorizontalPodAutoscaler" => json!({"spec": {"maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "web"}}}),
            "Ingress" => {
                let service = json!({"name": "web", "port": {"number": 80}});
                json!({"spec": {"defaultBackend": {"service": service}}})
            }
            "IngressClass" => json!({"spec": {"controller": "example.org/ingress"}}),
            "NodeMetrics" => json!({"timestamp": "2026-11-23T05:34:05Z", "window": "10.5s",
                "usage": {"cpu": "1234567n", "memory": "64Mi"}}),
            "PodMetrics" => json!({"timestamp": "2026-11-23T05:34:05Z", "window": "10s",
                "containers": [{"name": "c", "usage": {"cpu": "0", "memory": "64Mi"}}]}),
            "LimitRange" => json!({"spec": {"limits": [
                {"type": "Container", "max": {"cpu": "1"}}]}}),
            "NetworkPolicy" => json!({"spec": {"podSelector": {}}}),
            "PersistentVolume" => json!({"spec": {"capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv"}}}),
            "PersistentVolumeClaim" => json!({"spec": {"accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}}}}),
            "Pod" => json!({"spec": {"containers": [{"name": "c", "image": "busybox"}]}}),
            "PodDisruptionBudget" => json!({"spec": {"minAvailable": 1, "selector": {}}}),
            "ReplicationController" => json!({"spec": {
                "template": {"metadata": {"labels": {"app": "a"}},
                    "spec": {"containers": [{"name": "c", "image": "busybox"}]}},
            }}),
            "ResourceQuota" => json!({"spec": {"hard": {"pods": "3"}}}),
            "PriorityClass" => json!({"value": 5}),
            "Service" => json!({"spec": {"ports": [{"port": 80}]}}),
            "RoleBinding" | "ClusterRoleBinding" => json!({"roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}),
            "LocalSubjectAccessReview" => {
                return json!({"apiVersion": kind.api_version(), "kind": kind.kind(),
                    "metadata": {"namespace": "b"}, "spec": {"user": "u",
                        "resourceAttributes": {"namespace": "b", "verb": "get"}}});
            }
            "Secret" => json!({"data": {"key": "dmFsdWU="}}),
            "SelfSubjectAccessReview" => {
                return json!({"apiVersion": kind.api_version(), "kind": kind.kind(),
                    "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}});
            }
            "SubjectAccessReview" => {
                return json!({"apiVersion": kind.api_version(), "kind": kind.kind(),
                    "spec": {"user": "u", "nonResourceAttributes": {"path": "/", "verb": "get"}}});
            }
            "StorageClass" => json!({"provisioner": "example.org/disk"}),
            "SelfSubjectRulesReview" => json!({"spec": {"namespace": "b"}}),
            _ => json!({}),
        };
        let namespace = (kind.scope() == Scope::Namespaced).then_some("b");
        example["apiVersion"] = json!(kind.api_version());
        example["kind"] = json!(kind.kind());
        example["metadata"] = json!({"name": "a", "namespace": namespace});
        example
    }
}
