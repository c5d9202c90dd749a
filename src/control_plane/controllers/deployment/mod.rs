//! Rolls a Deployment's template out over ReplicaSets, by their sizes alone.
//!
//! What to do is decided in [`plan`], from what the caches show; this file carries it out.
//!
//! Upstream: `pkg/controller/deployment`.

#[cfg(test)]
mod model;
mod plan;
mod revisions;
mod sizes;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::json;

use super::Context;
use super::ownership::{self, Concern, namespace, owner_of, reference, revision, uid};
use super::pod_writes::is_namespace_going;
use super::pods;
use super::reconcile::{self, Next, is_gone, text_of};
use crate::api::object::ObjectKey;
use crate::api::selector::Labels;
use crate::client::cache::controller_of;
use crate::client::events::EventType;
use plan::{Plan, View};
use sizes::size;
use status::Subject;

pub(super) async fn run(ctx: Context) {
    let caches = &ctx.caches;
    caches.deployments.synced().await;
    caches.replica_sets.synced().await;
    caches.pods.synced().await;
    let own = caches.deployments.changes();
    let of_sets = caches.replica_sets.changes_as(Concern::of::<Deployment, _>);
    let deployments = caches.deployments.clone();
    let of_sets =
        of_sets.flat_map(move |concern| stream::iter(concern.keys(&deployments, selector)));
    // A Pod that has ended lets a Recreate go on.
    let of_pods = caches.pods.changes_as(owner_of::<ReplicaSet, _>);
    let ctx_of_pods = ctx.clone();
    let of_pods =
        of_pods.filter_map(move |set| futures::future::ready(recreating_owner(&ctx_of_pods, &set)));
    let keys = stream::select(own, stream::select(of_sets, of_pods));
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("deployment-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { reconcile_deployment(&ctx, &key).await }
    })
    .await;
}

/// The set's Deployment, if Pods matter to it and not only ReplicaSets.
fn recreating_owner(ctx: &Context, set: &ObjectKey) -> Option<ObjectKey> {
    let set = ctx.caches.replica_sets.get(set)?;
    let owner = controller_of(&set.metadata)?;
    let key = ObjectKey::new(namespace(&set.metadata), owner.name.clone());
    let deployment = ctx.caches.deployments.get(&key)?;
    let recreates = deployment.spec.as_ref().is_some_and(|spec| !sizes::is_rolling(spec));
    recreates.then_some(key)
}

fn selector(deployment: &Deployment) -> Labels {
    // One that cannot be read was refused when it came; it picks nothing.
    let selector = deployment.spec.as_ref().map(|spec| &spec.selector);
    Labels::from_typed(selector).unwrap_or_else(|_| Labels::nothing())
}

async fn reconcile_deployment(ctx: &Context, key: &ObjectKey) -> Result<Next, kube::Error> {
    let Some(deployment) = ctx.caches.deployments.get(key) else { return Ok(Next::Done) };
    let (client, cache) = (&ctx.client, &ctx.caches.replica_sets);
    let selector = selector(&deployment);
    let sets = ownership::claim(client, &*deployment, &selector, cache, |_| true).await?;
    let has_pods = |set: &ReplicaSet| {
        let pods = ctx.caches.pods.controlled_by(uid(&set.metadata));
        pods.iter().any(|pod| !pods::is_over(pod))
    };
    let now = ctx.clock.now();
    let plan = plan::plan(&View { deployment: &deployment, sets: &sets, has_pods: &has_pods, now });
    let mut written = 0;
    for (before, after) in &plan.change {
        written = written.max(change(ctx, &deployment, before, after).await?);
    }
    if let Some(set) = &plan.create {
        written = written.max(create(ctx, &deployment, set).await?);
    }
    for set in &plan.delete {
        delete(ctx, set).await?;
    }
    cache.reached(written).await;
    report(ctx, &deployment, &plan).await?;
    Ok(plan.again.map_or(Next::Done, Next::After))
}

/// Writes what is different and nothing else: sizes, what is noted.
async fn change(
    ctx: &Context,
    deployment: &Deployment,
    before: &ReplicaSet,
    after: &ReplicaSet,
) -> Result<u64, kube::Error> {
    let (from, to) = (size(before), size(after));
    let old: BTreeMap<_, _> = before.metadata.annotations.iter().flatten().collect();
    let new = after.metadata.annotations.iter().flatten();
    let annotations: BTreeMap<_, _> =
        new.filter(|(key, value)| old.get(key) != Some(value)).collect();
    let min_ready = after.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
    let patch = json!({
        "metadata": {"uid": after.metadata.uid, "annotations": annotations},
        "spec": {"replicas": to, "minReadySeconds": min_ready},
    });
    let api = sets(ctx, deployment);
    let name = after.metadata.name.as_deref().unwrap_or_default();
    let written = match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(written) => written,
        Err(error) if is_gone(&error) => return Ok(0),
        Err(error) => return Err(error),
    };
    if from != to {
        let way = if from < to { "up" } else { "down" };
        let text = format!("Scaled {way} replica set {name} from {from} to {to}");
        tell(ctx, deployment, EventType::Normal, "ScalingReplicaSet", text);
    }
    Ok(revision(&written.metadata))
}

/// Makes the ReplicaSet of the current template. If another one has its name, the next attempt takes
/// another hash.
async fn create(
    ctx: &Context,
    deployment: &Arc<Deployment>,
    set: &ReplicaSet,
) -> Result<u64, kube::Error> {
    let api = sets(ctx, deployment);
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let error = match api.create(&PostParams::default(), set).await {
        Ok(written) => {
            let size = size(set);
            if size > 0 {
                let text = format!("Scaled up replica set {name} from 0 to {size}");
                tell(ctx, deployment, EventType::Normal, "ScalingReplicaSet", text);
            }
            return Ok(revision(&written.metadata));
        }
        Err(error) => error,
    };
    if is_namespace_going(&error) {
        // Nothing can be made there any more, and soon nobody will want to.
        return Ok(0);
    }
    let Some(spec) = &deployment.spec else { return Err(error) };
    let subject = Subject { deployment, spec, now: ctx.clock.now() };
    let mut status = subject.old();
    if matches!(&error, kube::Error::Api(answer) if answer.is_already_exists()) {
        let there = api.get(name).await?;
        let owner = controller_of(&there.metadata).map(|owner| owner.uid.as_str());
        if owner == Some(uid(&deployment.metadata)) && revisions::is_of(&spec.template, &there) {
            return Ok(revision(&there.metadata));
        }
        status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
    } else {
        let text = format!("Failed to create new replica set {name:?}: {}", text_of(&error));
        tell(ctx, deployment, EventType::Warning, "ReplicaSetCreateError", text.clone());
        subject.note_not_created(&mut status, text);
    }
    write_status(ctx, deployment, status, None).await?;
    Err(error)
}

async fn delete(ctx: &Context, set: &ReplicaSet) -> Result<(), kube::Error> {
    let precondition = Preconditions { uid: set.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::background() };
    let api: Api<ReplicaSet> = Api::namespaced(ctx.client.kube(), namespace(&set.metadata));
    match api.delete(set.metadata.name.as_deref().unwrap_or_default(), &params).await {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome.map(drop),
    }
}

async fn report(ctx: &Context, deployment: &Deployment, plan: &Plan) -> Result<(), kube::Error> {
    let revision = plan.revision.as_ref();
    let annotations = deployment.metadata.annotations.as_ref();
    let noted = annotations.and_then(|all| all.get(revisions::REVISION));
    if deployment.status.as_ref() == Some(&plan.status) && (revision.is_none() || noted == revision)
    {
        return Ok(());
    }
    write_status(ctx, deployment, plan.status.clone(), revision).await
}

/// With the `resourceVersion` that was looked at: the annotations travel along, and a user's change of
/// them must not be undone.
async fn write_status(
    ctx: &Context,
    deployment: &Deployment,
    status: DeploymentStatus,
    revision: Option<&String>,
) -> Result<(), kube::Error> {
    let mut changed = deployment.clone();
    changed.status = Some(status);
    if let Some(revision) = revision {
        let annotations = changed.metadata.annotations.get_or_insert_default();
        annotations.insert(revisions::REVISION.to_owned(), revision.clone());
    }
    let api: Api<Deployment> = Api::namespaced(ctx.client.kube(), namespace(&changed.metadata));
    let name = changed.metadata.name.as_deref().unwrap_or_default();
    match api.replace_status(name, &PostParams::default(), &changed).await {
        Ok(written) => {
            ctx.caches.deployments.reached(ownership::revision(&written.metadata)).await;
            Ok(())
        }
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn sets(ctx: &Context, deployment: &Deployment) -> Api<ReplicaSet> {
    Api::namespaced(ctx.client.kube(), namespace(&deployment.metadata))
}

fn tell(
    ctx: &Context,
    deployment: &Deployment,
    type_: EventType,
    reason: &'static str,
    text: String,
) {
    ctx.recorder.record(&reference(deployment), type_, reason, text);
}
