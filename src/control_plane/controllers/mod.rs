//! The controllers: each brings a part of the cluster to what its objects ask for.
//!
//! Enter by [`run`]. To add one: a file, and a line in [`CONTROLLERS`]. A reconcile gets a key, looks
//! at what is there, and changes nothing the second time.
//!
//! Upstream: `pkg/controller`.

mod certificates;
mod cluster_role_aggregation;
mod cluster_services;
mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod endpoints;
mod ephemeral_volume;
mod garbage_collector;
mod history;
mod horizontal_pod_autoscaler;
mod job;
mod local_path_provisioner;
mod namespace;
mod node_lifecycle;
mod node_pods;
mod ownership;
mod persistent_volume;
mod pod_gc;
mod pod_removal;
mod pod_writes;
mod pods;
mod reconcile;
mod replica_set;
mod resource_quota;
mod root_ca;
mod service_account;
mod stateful_set;
mod storage_protection;
mod taint_eviction;
mod ttl_after_finished;
mod volume_expand;

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use k8s_openapi::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet,
};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    ReplicationController, ResourceQuota, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::api::storage::v1::StorageClass;
use tokio_util::sync::CancellationToken;

use crate::client::ApiClient;
use crate::client::cache::Cache;
use crate::client::clock::Clock;
use crate::client::events::{self, Recorder};
use crate::client::owners::Owners;
use crate::control_plane::auth::signer::Signer;

pub(crate) use cluster_services::API_SERVER_PORT;
pub(super) use cluster_services::ClusterServices;
pub(super) use root_ca::NAME as ROOT_CA;

/// What controllers read.
#[derive(Debug, Clone)]
pub(crate) struct Caches {
    pub(crate) autoscalers: Cache<HorizontalPodAutoscaler>,
    pub(crate) certificate_requests: Cache<CertificateSigningRequest>,
    pub(crate) claims: Cache<PersistentVolumeClaim>,
    pub(crate) cluster_roles: Cache<ClusterRole>,
    pub(crate) config_maps: Cache<ConfigMap>,
    pub(crate) controller_revisions: Cache<ControllerRevision>,
    pub(crate) daemon_sets: Cache<DaemonSet>,
    pub(crate) cron_jobs: Cache<CronJob>,
    pub(crate) deployments: Cache<Deployment>,
    pub(crate) disruption_budgets: Cache<PodDisruptionBudget>,
    pub(crate) endpoint_slices: Cache<EndpointSlice>,
    pub(crate) endpoints: Cache<Endpoints>,
    pub(crate) jobs: Cache<Job>,
    pub(crate) leases: Cache<Lease>,
    pub(crate) namespaces: Cache<Namespace>,
    pub(crate) nodes: Cache<Node>,
    pub(crate) owners: Owners,
    pub(crate) pods: Cache<Pod>,
    pub(crate) quotas: Cache<ResourceQuota>,
    pub(crate) replica_sets: Cache<ReplicaSet>,
    pub(crate) replication_controllers: Cache<ReplicationController>,
    pub(crate) service_accounts: Cache<ServiceAccount>,
    pub(crate) services: Cache<Service>,
    pub(crate) stateful_sets: Cache<StatefulSet>,
    pub(crate) storage_classes: Cache<StorageClass>,
    pub(crate) volumes: Cache<PersistentVolume>,
}

/// What controllers know of this cluster beyond its objects.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) cluster_services: Arc<ClusterServices>,
    /// The API server's certificate authority, in PEM.
    pub(crate) root_ca: Arc<str>,
    /// Signs certificates with that authority.
    pub(crate) signer: Arc<Signer>,
    /// Where the directories of provisioned volumes are.
    pub(crate) volumes_directory: PathBuf,
}

/// What a controller is handed to work with.
#[derive(Clone)]
struct Context {
    /// Speaks for the controller's own identity.
    client: ApiClient,
    caches: Caches,
    settings: Settings,
    clock: Clock,
    /// Events of the controller's own name.
    recorder: Recorder,
    stop: CancellationToken,
}

struct Controller {
    /// The name of its ServiceAccount in kube-system.
    name: &'static str,
    /// Works until its context's `stop`.
    run: fn(Context) -> BoxFuture<'static, ()>,
}

static CONTROLLERS: &[Controller] = &[
    // Three that speak for one ServiceAccount upstream, and are three there too.
    Controller {
        name: "certificate-controller-approver",
        run: |ctx| Box::pin(certificates::approve(ctx)),
    },
    Controller {
        name: "certificate-controller-signer",
        run: |ctx| Box::pin(certificates::sign(ctx)),
    },
    Controller {
        name: "certificate-controller-cleaner",
        run: |ctx| Box::pin(certificates::clean(ctx)),
    },
    Controller {
        name: "clusterrole-aggregation-controller",
        run: |ctx| Box::pin(cluster_role_aggregation::run(ctx)),
    },
    Controller {
        name: "cluster-services-controller",
        run: |ctx| Box::pin(cluster_services::run(ctx)),
    },
    Controller { name: "cronjob-controller", run: |ctx| Box::pin(cron_job::run(ctx)) },
    Controller {
        name: "endpoint-controller",
        run: |ctx| Box::pin(endpoints::write_endpoints(ctx)),
    },
    Controller {
        name: "endpointslice-controller",
        run: |ctx| Box::pin(endpoints::write_slices(ctx)),
    },
    Controller {
        name: "endpointslicemirroring-controller",
        run: |ctx| Box::pin(endpoints::mirror(ctx)),
    },
    Controller { name: "daemonset-controller", run: |ctx| Box::pin(daemon_set::run(ctx)) },
    Controller { name: "deployment-controller", run: |ctx| Box::pin(deployment::run(ctx)) },
    Controller { name: "disruption-controller", run: |ctx| Box::pin(disruption::run(ctx)) },
    Controller {
        name: "ephemeral-volume-controller",
        run: |ctx| Box::pin(ephemeral_volume::run(ctx)),
    },
    Controller { name: "expand-controller", run: |ctx| Box::pin(volume_expand::run(ctx)) },
    Controller {
        name: "generic-garbage-collector",
        run: |ctx| Box::pin(garbage_collector::run(ctx)),
    },
    Controller { name: "job-controller", run: |ctx| Box::pin(job::run(ctx)) },
    Controller {
        name: "horizontal-pod-autoscaler",
        run: |ctx| Box::pin(horizontal_pod_autoscaler::run(ctx)),
    },
    Controller {
        name: "local-path-provisioner",
        run: |ctx| Box::pin(local_path_provisioner::run(ctx)),
    },
    Controller { name: "namespace-controller", run: |ctx| Box::pin(namespace::run(ctx)) },
    Controller { name: "node-controller", run: |ctx| Box::pin(node_lifecycle::run(ctx)) },
    Controller {
        name: "persistentvolume-controller",
        run: |ctx| Box::pin(persistent_volume::run(ctx)),
    },
    Controller { name: "pod-garbage-collector", run: |ctx| Box::pin(pod_gc::run(ctx)) },
    Controller {
        name: "pv-protection-controller",
        run: |ctx| Box::pin(storage_protection::protect_volumes(ctx)),
    },
    Controller {
        name: "pvc-protection-controller",
        run: |ctx| Box::pin(storage_protection::protect_claims(ctx)),
    },
    Controller {
        name: "replicaset-controller",
        run: |ctx| Box::pin(replica_set::run_replica_sets(ctx)),
    },
    Controller {
        name: "replication-controller",
        run: |ctx| Box::pin(replica_set::run_replication_controllers(ctx)),
    },
    Controller { name: "resourcequota-controller", run: |ctx| Box::pin(resource_quota::run(ctx)) },
    Controller { name: "root-ca-cert-publisher", run: |ctx| Box::pin(root_ca::run(ctx)) },
    Controller {
        name: "service-account-controller",
        run: |ctx| Box::pin(service_account::run(ctx)),
    },
    Controller { name: "statefulset-controller", run: |ctx| Box::pin(stateful_set::run(ctx)) },
    Controller { name: "taint-eviction-controller", run: |ctx| Box::pin(taint_eviction::run(ctx)) },
    Controller {
        name: "ttl-after-finished-controller",
        run: |ctx| Box::pin(ttl_after_finished::run(ctx)),
    },
];

/// Runs all controllers until `stop` is cancelled. `client_of` makes the client that speaks for the
/// ServiceAccount of that name in kube-system.
pub(crate) async fn run(
    client_of: impl Fn(&str) -> ApiClient,
    caches: Caches,
    settings: Settings,
    clock: Clock,
    stop: CancellationToken,
) {
    let runs = CONTROLLERS.iter().map(|controller| {
        let client = client_of(controller.name);
        let source = events::Source { component: controller.name.to_owned(), host: None };
        let (recorder, writer) = events::recorder(client.clone(), clock.clone(), source);
        let ctx = Context {
            client,
            caches: caches.clone(),
            settings: settings.clone(),
            clock: clock.clone(),
            recorder,
            stop: stop.clone(),
        };
        futures::future::join((controller.run)(ctx), writer.run(stop.clone()))
    });
    join_all(runs).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_controllers_share_a_name() {
        let mut names: Vec<&str> = CONTROLLERS.iter().map(|controller| controller.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CONTROLLERS.len());
    }
}
