//! Keeps so many Pods of a template: makes what is missing, deletes what is too many, says how it is.
//!
//! Upstream: `pkg/controller/{replicaset,replication}`.

mod decide;
mod keeper;

use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use kube::api::{Api, PostParams};

use super::Context;
use super::ownership::{self, Concern, namespace, revision, uid};
use super::pod_writes::{self, Failure};
use super::pods;
use super::reconcile::{self, Next, is_gone};
use crate::api::object::ObjectKey;
use decide::Step;
use keeper::Keeper;

pub(super) async fn run_replica_sets(ctx: Context) {
    run::<ReplicaSet>("replicaset-controller", ctx).await;
}

pub(super) async fn run_replication_controllers(ctx: Context) {
    run::<ReplicationController>("replication-controller", ctx).await;
}

async fn run<K: Keeper>(name: &'static str, ctx: Context) {
    let cache = K::cache(&ctx.caches).clone();
    ctx.caches.pods.synced().await;
    cache.synced().await;
    let sets = cache.changes();
    let pods = ctx.caches.pods.changes_as(Concern::of::<K, _>);
    let of_pods = pods.flat_map(move |concern| stream::iter(concern.keys(&cache, K::selector)));
    let keys = stream::select(sets, of_pods);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run(name, clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { reconcile_set::<K>(&ctx, &key).await }
    })
    .await;
}

async fn reconcile_set<K: Keeper>(ctx: &Context, key: &ObjectKey) -> Result<Next, kube::Error> {
    let Some(keeper) = K::cache(&ctx.caches).get(key) else { return Ok(Next::Done) };
    let set = keeper.as_set();
    let Some(spec) = &set.spec else { return Ok(Next::Done) };
    let (client, cache) = (&ctx.client, &ctx.caches.pods);
    let selector = keeper.selector();
    let pods = ownership::claim(client, &*keeper, &selector, cache, pods::is_active).await?;
    let failure = match set.metadata.deletion_timestamp {
        Some(_) => None,
        None => resize(ctx, &*keeper, spec, &pods).await,
    };
    let next = report(ctx, &*keeper, &set, spec, failure.as_ref()).await?;
    match failure {
        Some(Failure { error: Some(error), .. }) => Err(error),
        _ => Ok(next),
    }
}

/// Makes or deletes Pods, a bounded number at a time; answers what went wrong. When it returns, the
/// cache shows what was written.
async fn resize<K: Keeper>(
    ctx: &Context,
    keeper: &K,
    spec: &ReplicaSetSpec,
    pods: &[Arc<Pod>],
) -> Option<Failure> {
    match decide::step(spec.replicas.unwrap_or(0), pods) {
        Step::Nothing => None,
        Step::Create(count) => {
            let template = spec.template.as_ref()?;
            let pod = Arc::new(pod_writes::from_template(keeper, template));
            pod_writes::create(ctx, keeper, &vec![pod; count]).await
        }
        Step::Delete(victims) => pod_writes::delete(ctx, keeper, &victims).await,
    }
}

/// Writes the status if it has changed; answers when it will change by itself.
async fn report<K: Keeper>(
    ctx: &Context,
    keeper: &K,
    set: &ReplicaSet,
    spec: &ReplicaSetSpec,
    failure: Option<&Failure>,
) -> Result<Next, kube::Error> {
    let selector = keeper.selector();
    let none = std::collections::BTreeMap::new();
    let counts = |pod: &Arc<Pod>| {
        pods::is_active(pod) && selector.matches(pod.metadata.labels.as_ref().unwrap_or(&none))
    };
    let mut pods = ctx.caches.pods.controlled_by(uid(&set.metadata));
    pods.retain(counts);
    let now = ctx.clock.now();
    let status = decide::status(set, spec, &pods, failure, now);
    if set.status.as_ref() != Some(&status) {
        let mut changed = keeper.clone();
        changed.set_status(status);
        // Nobody else writes it: whatever is there may be replaced, if it is the same object.
        changed.metadata_mut().resource_version = None;
        let name = set.metadata.name.as_deref().unwrap_or_default();
        let api: Api<K> = Api::namespaced(ctx.client.kube(), namespace(&set.metadata));
        match api.replace_status(name, &PostParams::default(), &changed).await {
            Ok(written) => {
                K::cache(&ctx.caches).reached(revision(written.metadata())).await;
            }
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    Ok(pods::next_available(&pods, min_ready, now).map_or(Next::Done, Next::After))
}
