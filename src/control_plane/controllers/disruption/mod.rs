//! Keeps count of how many Pods of each PodDisruptionBudget may be evicted; takes back what Pods say of
//! disruptions that never came.
//!
//! What is right is decided in [`decide`]; the eviction itself is `apiserver/subresources/eviction`, which
//! takes off from the count what it grants.
//!
//! Upstream: `pkg/controller/disruption`.

mod decide;
#[cfg(test)]
mod model;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::ownership::{Concern, Object, namespace, reference, revision, uid};
use super::reconcile::{self, Next, is_gone};
use super::{Caches, Context};
use crate::api::disruption::{self, DISRUPTION_TARGET};
use crate::api::object::ObjectKey;
use crate::client::cache::{Cache, controller_of, key_of};
use crate::client::clock::whole_second;
use crate::client::events::EventType;
use decide::{Scale, Verdict, View};

pub(super) async fn run(ctx: Context) {
    let caches = &ctx.caches;
    caches.disruption_budgets.synced().await;
    caches.pods.synced().await;
    caches.replica_sets.synced().await;
    caches.deployments.synced().await;
    caches.stateful_sets.synced().await;
    caches.replication_controllers.synced().await;
    futures::future::join(run_budgets(ctx.clone()), run_targets(ctx.clone())).await;
}

async fn run_budgets(ctx: Context) {
    let budgets = ctx.caches.disruption_budgets.clone();
    let own = budgets.changes();
    // Whoever manages a Pod: budgets go by its labels.
    let of_pods = ctx.caches.pods.changes_as(|pod| {
        let labels = pod.metadata.labels.iter().flatten();
        let labels = labels.map(|(key, value)| (key.clone(), value.clone())).collect();
        Some(Concern::Free(namespace(&pod.metadata).to_owned(), labels))
    });
    let of_pods =
        of_pods.flat_map(move |concern| stream::iter(concern.keys(&budgets, disruption::selector)));
    let keys = stream::select(own, of_pods);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("disruption-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { reconcile_budget(&ctx, &key).await }
    })
    .await;
}

async fn reconcile_budget(ctx: &Context, key: &ObjectKey) -> Result<Next, kube::Error> {
    let Some(budget) = ctx.caches.disruption_budgets.get(key) else { return Ok(Next::Done) };
    let Some(spec) = &budget.spec else { return Ok(Next::Done) };
    let mut pods = ctx.caches.pods.list_in(&key.namespace);
    pods.retain(|pod| disruption::covers(&budget, pod));
    if pods.is_empty() {
        tell(ctx, &*budget, EventType::Normal, "NoPods", "No matching pods found".to_owned());
    }
    let now = whole_second(ctx.clock.now());
    let verdict = decide::judge(&View {
        budget: &budget,
        spec,
        pods: &pods,
        scale: &|owner| scale_of(&ctx.caches, &key.namespace, owner),
        now,
    });
    let (status, next) = match verdict {
        Ok(verdict) => {
            tell_verdict(ctx, &budget, &verdict);
            (verdict.status, verdict.again.map_or(Next::Done, Next::After))
        }
        Err(why) => {
            let text = format!("Failed to calculate the number of expected pods: {why}");
            tell(ctx, &*budget, EventType::Warning, "CalculateExpectedPodCountFailed", text);
            let mut status = budget.status.clone().unwrap_or_default();
            disruption::note_failed(&mut status, why, now);
            (status, Next::Done)
        }
    };
    report(ctx, &budget, status).await?;
    Ok(next)
}

fn tell_verdict(ctx: &Context, budget: &PodDisruptionBudget, verdict: &Verdict) {
    if verdict.has_unmanaged {
        let selector = disruption::selector(budget);
        let text = format!(
            "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be \
             unmanaged. As a result, the status of the PDB cannot be calculated correctly, which \
             may result in undefined behavior. To account for these pods please set \
             \".spec.minAvailable\" field of the PDB to an integer value."
        );
        tell(ctx, budget, EventType::Warning, "UnmanagedPods", text);
    }
    for pod in &verdict.not_deleted {
        let key = key_of(budget);
        let text = format!("Pod was expected by PDB {key} to be deleted but it wasn't");
        tell(ctx, &**pod, EventType::Warning, "NotDeleted", text);
    }
}

/// With the `resourceVersion` that was looked at: an eviction that was granted meanwhile must not be
/// forgotten.
async fn report(
    ctx: &Context,
    budget: &PodDisruptionBudget,
    status: PodDisruptionBudgetStatus,
) -> Result<(), kube::Error> {
    if budget.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let mut changed = budget.clone();
    changed.status = Some(status);
    let name = budget.metadata.name.as_deref().unwrap_or_default();
    let api: Api<PodDisruptionBudget> =
        Api::namespaced(ctx.client.kube(), namespace(&budget.metadata));
    match api.replace_status(name, &PostParams::default(), &changed).await {
        Ok(written) => {
            ctx.caches.disruption_budgets.reached(revision(&written.metadata)).await;
            Ok(())
        }
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// How many Pods the owner wants; a ReplicaSet's Deployment speaks for it.
///
/// Upstream: the `finders` of `disruption.go`.
fn scale_of(
    caches: &Caches,
    namespace: &str,
    owner: &OwnerReference,
) -> Result<Option<Scale>, String> {
    let scale = match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("apps/v1", "ReplicaSet") => {
            let Some(set) = owner_in(&caches.replica_sets, namespace, owner) else {
                return Ok(None);
            };
            match controller_of(&set.metadata).filter(|above| above.kind == "Deployment") {
                Some(above) => {
                    let deployment = owner_in(&caches.deployments, namespace, above);
                    deployment.map(|one| {
                        (one.metadata.clone(), one.spec.as_ref().and_then(|s| s.replicas))
                    })
                }
                None => Some((set.metadata.clone(), set.spec.as_ref().and_then(|s| s.replicas))),
            }
        }
        ("apps/v1", "StatefulSet") => {
            let set = owner_in(&caches.stateful_sets, namespace, owner);
            set.map(|set| (set.metadata.clone(), set.spec.as_ref().and_then(|s| s.replicas)))
        }
        ("v1", "ReplicationController") => {
            let one = owner_in(&caches.replication_controllers, namespace, owner);
            one.map(|one| (one.metadata.clone(), one.spec.as_ref().and_then(|s| s.replicas)))
        }
        ("apps/v1", "DaemonSet") => return Err(without_scale("daemonsets.apps")),
        ("batch/v1", "Job") => return Err(without_scale("jobs.batch")),
        _ => None,
    };
    let found = |(meta, replicas): (ObjectMeta, Option<i32>)| {
        (uid(&meta).to_owned(), replicas.unwrap_or(1))
    };
    Ok(scale.map(found))
}

fn without_scale(resource: &str) -> String {
    format!("{resource} does not implement the scale subresource")
}

fn owner_in<O: Object>(
    cache: &Cache<O>,
    namespace: &str,
    owner: &OwnerReference,
) -> Option<std::sync::Arc<O>> {
    let found = cache.get(&ObjectKey::new(namespace, owner.name.clone()))?;
    (uid(found.metadata()) == owner.uid).then_some(found)
}

fn tell<O: Object>(
    ctx: &Context,
    object: &O,
    type_: EventType,
    reason: &'static str,
    text: String,
) {
    ctx.recorder.record(&reference(object), type_, reason, text);
}

async fn run_targets(ctx: Context) {
    let clock = ctx.clock.clone();
    let keys = ctx
        .caches
        .pods
        .changes_as(move |pod| decide::target_left(pod, clock.now()).map(|_| key_of(pod)));
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("disruption-controller-targets", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { forget_target(&ctx, &key).await }
    })
    .await;
}

async fn forget_target(ctx: &Context, key: &ObjectKey) -> Result<Next, kube::Error> {
    let Some(pod) = ctx.caches.pods.get(key) else { return Ok(Next::Done) };
    let now = ctx.clock.now();
    match decide::target_left(&pod, now) {
        None => return Ok(Next::Done),
        Some(left) if !left.is_zero() => return Ok(Next::After(left)),
        Some(_) => {}
    }
    let condition = json!({"type": DISRUPTION_TARGET, "status": "False", "reason": null,
        "message": null, "lastTransitionTime": whole_second(now)});
    let patch = json!({"metadata": {"uid": pod.metadata.uid},
        "status": {"conditions": [condition]}});
    let api: Api<Pod> = Api::namespaced(ctx.client.kube(), &key.namespace);
    let patch = Patch::Strategic(&patch);
    match api.patch_status(&key.name, &PatchParams::default(), &patch).await {
        Ok(written) => ctx.caches.pods.reached(revision(&written.metadata)).await,
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(Next::Done)
}
