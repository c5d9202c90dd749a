//! Keeps one Pod of a template on each node that suits it, and rolls new templates out over them.
//!
//! What to do is decided in [`plan`], from what the caches show; this file carries it out.
//!
//! Upstream: `pkg/controller/daemon`.

mod failures;
mod nodes;
mod plan;

use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, DaemonSetSpec, DaemonSetStatus};
use kube::api::{Api, PostParams};
use parking_lot::Mutex;

use super::Context;
use super::history::{self, Subject};
use super::ownership::{self, Concern, namespace, owner_of, reference, revision, uid};
use super::pod_writes::{self, Failure};
use super::pods::{label, phase};
use super::reconcile::{self, Next, is_gone};
use crate::api::object::ObjectKey;
use crate::api::selector::Labels;
use crate::client::cache::key_of;
use crate::client::events::EventType;
use failures::{Failures, Key};
use plan::{Plan, View};

/// Bound: Pods made or deleted by one reconcile; what is left follows in the next. Upstream's
/// `BurstReplicas`.
const BURST_MAX: usize = 250;

pub(super) async fn run(ctx: Context) {
    let caches = &ctx.caches;
    caches.daemon_sets.synced().await;
    caches.controller_revisions.synced().await;
    caches.pods.synced().await;
    caches.nodes.synced().await;
    let own = caches.daemon_sets.changes();
    let sets = caches.daemon_sets.clone();
    let of_pods = caches.pods.changes_as(Concern::of::<DaemonSet, _>);
    let of_pods = of_pods.flat_map(move |concern| stream::iter(concern.keys(&sets, selector)));
    let of_revisions = caches.controller_revisions.changes_as(owner_of::<DaemonSet, _>);
    let sets = caches.daemon_sets.clone();
    let of_nodes = caches.nodes.changes().flat_map(move |_| {
        stream::iter(sets.list().iter().map(|set| key_of(&**set)).collect::<Vec<_>>())
    });
    let keys = stream::select(stream::select(own, of_pods), stream::select(of_revisions, of_nodes));
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    let failures = Arc::new(Mutex::new(Failures::default()));
    reconcile::run("daemonset-controller", clock, stop, keys, |key| {
        let (ctx, failures) = (ctx.clone(), failures.clone());
        async move { reconcile_set(&ctx, &failures, &key).await }
    })
    .await;
}

fn selector(set: &DaemonSet) -> Labels {
    // One that cannot be read was refused when it came; it picks nothing.
    let selector = set.spec.as_ref().map(|spec| &spec.selector);
    Labels::from_typed(selector).unwrap_or_else(|_| Labels::nothing())
}

async fn reconcile_set(
    ctx: &Context,
    failures: &Mutex<Failures>,
    key: &ObjectKey,
) -> Result<Next, kube::Error> {
    let Some(set) = ctx.caches.daemon_sets.get(key) else { return Ok(Next::Done) };
    let Some(spec) = &set.spec else { return Ok(Next::Done) };
    if set.metadata.deletion_timestamp.is_some() {
        // Its history may have gone before its Pods: there is nothing to count by.
        return Ok(Next::Done);
    }
    let (client, caches, selector) = (&ctx.client, &ctx.caches, selector(&set));
    let pods = ownership::claim(client, &*set, &selector, &caches.pods, |_| true).await?;
    let revisions = &caches.controller_revisions;
    let mut revisions = ownership::claim(client, &*set, &selector, revisions, |_| true).await?;
    history::in_order(&mut revisions);
    let subject = Subject {
        owner: &*set,
        template: &spec.template,
        hash_label: history::POD_LABEL,
        collisions: set.status.as_ref().and_then(|status| status.collision_count),
    };
    let (current, collisions) = history::ensure(ctx, &subject, &revisions).await?;
    let hash = hash_of(&current);
    let nodes = caches.nodes.list();
    let backoff =
        |node: &str| failures.lock().left(&failure_key(&set, node), ctx.clock.monotonic());
    let view = |pods| View {
        set: &set,
        spec,
        nodes: &nodes,
        pods,
        hash,
        collisions,
        backoff: &backoff,
        now: ctx.clock.now(),
    };
    let plan = plan::plan(&view(pods.as_slice()));
    tell_ended(ctx, failures, &set, &plan);
    let failure = carry_out(ctx, &set, spec, hash, &plan).await;
    let mut now_there = caches.pods.controlled_by(uid(&set.metadata));
    now_there.retain(|pod| selector.matches(&pod.metadata.labels.clone().unwrap_or_default()));
    report(ctx, &set, &plan::status(&view(&now_there))).await?;
    let is_live = |revision: &ControllerRevision| {
        let hash = hash_of(revision);
        hash == hash_of(&current) || pods.iter().any(|pod| label(pod, history::POD_LABEL) == hash)
    };
    let limit = spec.revision_history_limit.unwrap_or(10);
    for old in history::forgotten(&revisions, limit, is_live) {
        history::delete(ctx, old).await?;
    }
    match failure {
        Some(Failure { error: Some(error), .. }) => Err(error),
        _ => Ok(plan.again.map_or(Next::Done, Next::After)),
    }
}

fn hash_of(revision: &ControllerRevision) -> &str {
    let labels = revision.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(history::POD_LABEL)).map_or("", String::as_str)
}

fn failure_key(set: &DaemonSet, node: &str) -> Key {
    let seen = set.status.as_ref().and_then(|status| status.observed_generation);
    (uid(&set.metadata).to_owned(), seen.unwrap_or(0), node.to_owned())
}

fn tell_ended(ctx: &Context, failures: &Mutex<Failures>, set: &DaemonSet, plan: &Plan) {
    for (pod, node) in &plan.ended {
        let name = key_of(&**pod);
        let (type_, reason, text) = if phase(pod) == "Failed" {
            failures.lock().note(failure_key(set, node), ctx.clock.monotonic());
            let text =
                format!("Found failed daemon pod {name} on node {node}, will try to kill it");
            (EventType::Warning, "FailedDaemonPod", text)
        } else {
            let text =
                format!("Found succeeded daemon pod {name} on node {node}, will try to delete it");
            (EventType::Normal, "SucceededDaemonPod", text)
        };
        ctx.recorder.record(&reference(set), type_, reason, text);
    }
}

/// Answers what went wrong. When it returns, the cache shows what was written.
async fn carry_out(
    ctx: &Context,
    set: &DaemonSet,
    spec: &DaemonSetSpec,
    hash: &str,
    plan: &Plan,
) -> Option<Failure> {
    let new = plan.create.iter().take(BURST_MAX);
    let new: Vec<_> =
        new.map(|node| Arc::new(nodes::new_pod(set, &spec.template, hash, node))).collect();
    let created = pod_writes::create(ctx, set, &new).await;
    let victims = &plan.delete[..plan.delete.len().min(BURST_MAX)];
    let deleted = pod_writes::delete(ctx, set, victims).await;
    created.or(deleted)
}

/// Writes the status if it has changed.
async fn report(
    ctx: &Context,
    set: &DaemonSet,
    status: &DaemonSetStatus,
) -> Result<(), kube::Error> {
    if set.status.as_ref() == Some(status) {
        return Ok(());
    }
    let mut changed = set.clone();
    changed.status = Some(status.clone());
    // Nobody else writes it: whatever is there may be replaced, if it is the same object.
    changed.metadata.resource_version = None;
    let name = set.metadata.name.as_deref().unwrap_or_default();
    let api: Api<DaemonSet> = Api::namespaced(ctx.client.kube(), namespace(&set.metadata));
    match api.replace_status(name, &PostParams::default(), &changed).await {
        Ok(written) => {
            ctx.caches.daemon_sets.reached(revision(&written.metadata)).await;
            Ok(())
        }
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(error),
    }
}
