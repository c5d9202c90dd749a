//! Keeps so many Pods of a template: makes what is missing, deletes what is too many, says how it is.
//!
//! Upstream: `pkg/controller/replicaset/replica_set.go`.

mod decide;
mod writes;

use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};

use super::Context;
use super::ownership::{self, Concern, namespace, revision, uid};
use super::pods;
use super::reconcile::{self, Next, is_gone};
use crate::api::object::ObjectKey;
use crate::api::selector::Labels;
use decide::{Failure, Step};

pub(super) async fn run(ctx: Context) {
    ctx.caches.pods.synced().await;
    ctx.caches.replica_sets.synced().await;
    let sets = ctx.caches.replica_sets.changes();
    let pods = ctx.caches.pods.changes_as(|pod| Some(Concern::of::<ReplicaSet, _>(pod)));
    let cache = ctx.caches.replica_sets.clone();
    let of_pods = pods.flat_map(move |concern| stream::iter(concern.keys(&cache, selector)));
    let keys = stream::select(sets, of_pods);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("replicaset-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { reconcile_set(&ctx, &key).await }
    })
    .await;
}

fn selector(set: &ReplicaSet) -> Labels {
    // One that cannot be read was refused when it came; it picks nothing.
    let selector = set.spec.as_ref().map(|spec| &spec.selector);
    Labels::from_typed(selector).unwrap_or_else(|_| Labels::nothing())
}

async fn reconcile_set(ctx: &Context, key: &ObjectKey) -> Result<Next, kube::Error> {
    let Some(set) = ctx.caches.replica_sets.get(key) else { return Ok(Next::Done) };
    let Some(spec) = &set.spec else { return Ok(Next::Done) };
    let (client, cache) = (&ctx.client, &ctx.caches.pods);
    let selector = selector(&set);
    let pods = ownership::claim(client, &*set, &selector, cache, pods::is_active).await?;
    let failure = match set.metadata.deletion_timestamp {
        Some(_) => None,
        None => resize(ctx, &set, spec, &pods).await,
    };
    let next = report(ctx, &set, spec, failure.as_ref()).await?;
    match failure {
        Some(Failure { error: Some(error), .. }) => Err(error),
        _ => Ok(next),
    }
}

/// Makes or deletes Pods, a bounded number at a time; answers what went wrong. When it returns, the
/// cache shows what was written.
async fn resize(
    ctx: &Context,
    set: &Arc<ReplicaSet>,
    spec: &ReplicaSetSpec,
    pods: &[Arc<Pod>],
) -> Option<Failure> {
    match decide::step(spec.replicas.unwrap_or(0), pods) {
        Step::Nothing => None,
        Step::Create(count) => writes::create(ctx, set, count).await,
        Step::Delete(victims) => writes::delete(ctx, set, &victims).await,
    }
}

/// Writes the status if it has changed; answers when it will change by itself.
async fn report(
    ctx: &Context,
    set: &ReplicaSet,
    spec: &ReplicaSetSpec,
    failure: Option<&Failure>,
) -> Result<Next, kube::Error> {
    let selector = selector(set);
    let none = std::collections::BTreeMap::new();
    let counts = |pod: &Arc<Pod>| {
        pods::is_active(pod) && selector.matches(pod.metadata.labels.as_ref().unwrap_or(&none))
    };
    let mut pods = ctx.caches.pods.controlled_by(uid(&set.metadata));
    pods.retain(counts);
    let now = ctx.clock.now();
    let status = decide::status(set, spec, &pods, failure, now);
    if set.status.as_ref() != Some(&status) {
        let mut changed = set.clone();
        changed.status = Some(status);
        // Nobody else writes it: whatever is there may be replaced, if it is the same object.
        changed.metadata.resource_version = None;
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let api: Api<ReplicaSet> = Api::namespaced(ctx.client.clone(), namespace(&set.metadata));
        match api.replace_status(name, &PostParams::default(), &changed).await {
            Ok(written) => ctx.caches.replica_sets.reached(revision(&written.metadata)).await,
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(decide::next_available(spec, &pods, now).map_or(Next::Done, Next::After))
}
