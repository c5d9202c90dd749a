//! Keeps Pods with names, in order, each with its own claims, and rolls new templates out over them.
//!
//! What to do is decided in [`plan`], from what the caches show; this file and [`writes`] carry it out.
//!
//! Upstream: `pkg/controller/statefulset`.

mod identity;
#[cfg(test)]
mod model;
mod plan;
mod retention;
mod writes;

use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::{
    ControllerRevision, StatefulSet, StatefulSetSpec, StatefulSetStatus,
};
use kube::api::{Api, PostParams};

use super::Context;
use super::history::{self, Subject};
use super::ownership::{self, Concern, namespace, owner_of, revision};
use super::reconcile::{self, Next, is_gone};
use crate::api::object::ObjectKey;
use crate::api::selector::Labels;
use crate::client::cache::key_of;
use plan::View;

/// Shows a revision's hash on the revision itself; its Pods show the revision's name.
const HASH_LABEL: &str = "controller.kubernetes.io/hash";

pub(super) async fn run(ctx: Context) {
    let caches = &ctx.caches;
    caches.stateful_sets.synced().await;
    caches.controller_revisions.synced().await;
    caches.pods.synced().await;
    caches.claims.synced().await;
    let own = caches.stateful_sets.changes();
    let sets = caches.stateful_sets.clone();
    let of_pods = caches.pods.changes_as(Concern::of::<StatefulSet, _>);
    let of_pods = of_pods.flat_map(move |concern| stream::iter(concern.keys(&sets, selector)));
    let of_revisions = caches.controller_revisions.changes_as(owner_of::<StatefulSet, _>);
    // One that is deleted is made anew, or was in the way.
    let sets = caches.stateful_sets.clone();
    let of_claims = caches.claims.changes().flat_map(move |claim| {
        let mut sets = sets.list_in(&claim.namespace);
        sets.retain(|set| identity::may_claim(set, &claim.name));
        stream::iter(sets.iter().map(|set| key_of(&**set)).collect::<Vec<_>>())
    });
    let keys =
        stream::select(stream::select(own, of_pods), stream::select(of_revisions, of_claims));
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("statefulset-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { reconcile_set(&ctx, &key).await }
    })
    .await;
}

fn selector(set: &StatefulSet) -> Labels {
    // One that cannot be read was refused when it came; it picks nothing.
    let selector = set.spec.as_ref().map(|spec| &spec.selector);
    Labels::from_typed(selector).unwrap_or_else(|_| Labels::nothing())
}

async fn reconcile_set(ctx: &Context, key: &ObjectKey) -> Result<Next, kube::Error> {
    let Some(set) = ctx.caches.stateful_sets.get(key) else { return Ok(Next::Done) };
    let Some(spec) = &set.spec else { return Ok(Next::Done) };
    let (client, caches, selector) = (&ctx.client, &ctx.caches, selector(&set));
    let is_member = |pod: &_| identity::is_member(&set, pod);
    let pods = ownership::claim(client, &*set, &selector, &caches.pods, is_member).await?;
    let revisions = &caches.controller_revisions;
    let mut revisions = ownership::claim(client, &*set, &selector, revisions, |_| true).await?;
    history::in_order(&mut revisions);
    let Some((update, collisions)) = newest(ctx, &set, spec, &revisions).await? else {
        return Ok(Next::Done);
    };
    let noted = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
    let current = revisions.iter().find(|revision| Some(history::name(revision)) == noted);
    let current = current.unwrap_or(&update);
    let template = history::template_of(current);
    let plan = plan::plan(&View {
        set: &set,
        spec,
        pods: &pods,
        current: (history::name(current), template.as_ref().unwrap_or(&spec.template)),
        update: (history::name(&update), &spec.template),
        collisions,
        claim: &|name| caches.claims.get(&ObjectKey::new(key.namespace.as_str(), name)),
        now: ctx.clock.now(),
    });
    let outcome = writes::carry_out(ctx, &set, &plan.steps).await;
    report(ctx, &set, &plan.status).await?;
    let is_live = |revision: &ControllerRevision| {
        let name = history::name(revision);
        [history::name(current), history::name(&update)].contains(&name)
            || pods.iter().any(|pod| identity::revision(pod) == name)
    };
    let limit = spec.revision_history_limit.unwrap_or(10);
    for old in history::forgotten(&revisions, limit, is_live) {
        history::delete(ctx, old).await?;
    }
    outcome.map(|()| plan.again.map_or(Next::Done, Next::After))
}

/// The revision of the current template; none if there is none any more, for the set is being deleted.
async fn newest(
    ctx: &Context,
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    revisions: &[Arc<ControllerRevision>],
) -> Result<Option<(Arc<ControllerRevision>, Option<i32>)>, kube::Error> {
    let collisions = set.status.as_ref().and_then(|status| status.collision_count);
    if set.metadata.deletion_timestamp.is_some() {
        return Ok(revisions.last().map(|last| (last.clone(), collisions)));
    }
    let subject = Subject {
        owner: set,
        template: &spec.template,
        hash_label: HASH_LABEL,
        collisions: collisions.filter(|count| *count > 0),
    };
    history::ensure(ctx, &subject, revisions).await.map(Some)
}

/// Writes the status if it has changed.
async fn report(
    ctx: &Context,
    set: &StatefulSet,
    status: &StatefulSetStatus,
) -> Result<(), kube::Error> {
    if set.status.as_ref() == Some(status) {
        return Ok(());
    }
    let mut changed = set.clone();
    changed.status = Some(status.clone());
    // Nobody else writes it: whatever is there may be replaced, if it is the same object.
    changed.metadata.resource_version = None;
    let name = identity::name(&set.metadata);
    let api: Api<StatefulSet> = Api::namespaced(ctx.client.kube(), namespace(&set.metadata));
    match api.replace_status(name, &PostParams::default(), &changed).await {
        Ok(written) => {
            ctx.caches.stateful_sets.reached(revision(&written.metadata)).await;
            Ok(())
        }
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(error),
    }
}
