//! Sets how many Pods a target has by what they use, within bounds and at a bounded rate.
//!
//! ```text
//! mod       every 15 s: the target's scale, what its Pods use, the plan carried out
//! plan      what to do and what to say of it        ┐
//! metrics   one metric: how many Pods it asks for   │ pure
//! replicas  the arithmetic                          │
//! limits    how fast and how far                    │
//! usage     what the metrics API says, as numbers   ┘
//! ```
//!
//! Metrics: `cpu` and `memory` (Resource, ContainerResource), and sampan's own `requests_per_second`, of the
//! Pods (Pods) or of a Service (Object), which is what the wasi:http servers of its Pods answer. There are
//! no External ones: an autoscaler that names one says so.
//!
//! Upstream: `pkg/controller/podautoscaler`.

mod limits;
mod metrics;
mod plan;
mod replicas;
mod usage;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec, ObjectMetricSource,
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use self::limits::Memory;
use self::metrics::{Failure, REQUESTS};
use self::plan::{Plan, Size, View};
use self::usage::{PodMetrics, PodMetricsList};
use super::Context;
use super::ownership::{namespace, reference, revision};
use super::reconcile::{self, Next, is_gone, text_of};
use crate::api::object::{GroupVersion, ObjectKey};
use crate::api::selector::Labels;
use crate::client::cache::key_of;
use crate::control_plane::registry::{RESOURCES, Scope};

/// Upstream's `--horizontal-pod-autoscaler-sync-period`.
const PERIOD: Duration = Duration::from_secs(15);

/// What is remembered of each autoscaler. Bound: one entry for each that exists.
type Memories = Mutex<HashMap<ObjectKey, Remembered>>;

#[derive(Default)]
struct Remembered {
    memory: Memory,
    /// What it was when it was looked at last, and when the next look is due (monotonic).
    seen: Option<HorizontalPodAutoscalerSpec>,
    due: Duration,
    /// Whom the target's selector picks.
    selector: Option<Labels>,
}

pub(super) async fn run(ctx: Context) {
    ctx.caches.autoscalers.synced().await;
    ctx.caches.pods.synced().await;
    ctx.caches.services.synced().await;
    let memories = Arc::new(Memories::default());
    let keys = ctx.caches.autoscalers.changes();
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("horizontal-pod-autoscaler", clock, stop, keys, |key| {
        let (ctx, memories) = (ctx.clone(), memories.clone());
        async move { look(&ctx, &memories, &key).await }
    })
    .await;
}

async fn look(ctx: &Context, memories: &Memories, key: &ObjectKey) -> Result<Next, kube::Error> {
    let Some(scaler) = ctx.caches.autoscalers.get(key) else {
        memories.lock().remove(key);
        return Ok(Next::Done);
    };
    if scaler.metadata.deletion_timestamp.is_some() {
        return Ok(Next::Done);
    }
    let now = ctx.clock.monotonic();
    {
        // Its own status is no reason to look again, nor is anything else before its time.
        let mut memories = memories.lock();
        let own = memories.entry(key.clone()).or_default();
        if own.seen == scaler.spec && own.due > now {
            return Ok(Next::After(own.due - now));
        }
        own.seen.clone_from(&scaler.spec);
        own.due = now + PERIOD;
    }
    let mut remembered = memories.lock().remove(key).unwrap_or_default();
    let outcome = scale(ctx, memories, &mut remembered, &scaler).await;
    memories.lock().insert(key.clone(), remembered);
    outcome.map(|()| Next::After(PERIOD))
}

async fn scale(
    ctx: &Context,
    memories: &Memories,
    remembered: &mut Remembered,
    scaler: &HorizontalPodAutoscaler,
) -> Result<(), kube::Error> {
    let none = HorizontalPodAutoscalerSpec::default();
    let spec = scaler.spec.as_ref().unwrap_or(&none);
    let target = match path_of_target(spec, namespace(&scaler.metadata)) {
        Ok(path) => get::<Scale>(ctx, &path).await.map(|scale| (path, scale)),
        Err(why) => Err(format!("unable to determine resource for scale target reference: {why}")),
    };
    let (path, mut scale) = match target {
        Ok(target) => target,
        Err(why) => {
            let plan = plan::without_scale(scaler, &why, ctx.clock.now());
            return report(ctx, scaler, plan).await;
        }
    };
    let seen = see(ctx, memories, remembered, scaler, &scale).await;
    let wanted = scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    let observed = scale.status.as_ref().map_or(0, |status| status.replicas);
    let now = ctx.clock.now();
    let view = View {
        scaler,
        size: Size { wanted, observed },
        pods: &seen.pods,
        usage: &seen.usage,
        objects: &seen.objects,
        now,
    };
    let mut plan = plan::plan(&view, &mut remembered.memory);
    if let Some(resize) = plan.resize.clone() {
        scale.spec.get_or_insert_default().replicas = Some(resize.to);
        let outcome = put(ctx, &path, &scale).await;
        if outcome.is_ok() {
            let behavior = spec.behavior.as_ref();
            remembered.memory.resized(behavior, wanted, resize.to, now);
        }
        plan.resized(&resize, wanted, outcome, now);
    }
    report(ctx, scaler, plan).await
}

/// What a decision needs to know beside the target's size.
struct Seen {
    pods: Result<Vec<Arc<Pod>>, Failure>,
    usage: Result<Vec<PodMetrics>, String>,
    objects: Vec<Option<Result<i64, String>>>,
}

async fn see(
    ctx: &Context,
    memories: &Memories,
    remembered: &mut Remembered,
    scaler: &HorizontalPodAutoscaler,
    scale: &Scale,
) -> Seen {
    let here = namespace(&scaler.metadata);
    let selector = scale.status.as_ref().and_then(|status| status.selector.as_deref());
    let selector = parse_selector(selector.unwrap_or_default());
    remembered.selector = selector.clone().ok();
    let pods = selector.clone().and_then(|labels| {
        let pods = pods_of(ctx, here, &labels);
        let rivals = rivals_for(memories, here, &pods);
        if rivals.is_empty() { Ok(pods) } else { Err(ambiguous(scaler, &labels, rivals)) }
    });
    let usage = match &selector {
        Ok(labels) => usage_of(ctx, here, labels).await,
        Err(failure) => Err(failure.cause.clone()),
    };
    let mut objects = Vec::new();
    let specs = scaler.spec.iter().flat_map(|spec| spec.metrics.iter().flatten());
    for MetricSpec { object, .. } in specs {
        objects.push(match object {
            Some(object) => Some(value_of(ctx, here, object).await),
            None => None,
        });
    }
    Seen { pods, usage, objects }
}

fn parse_selector(selector: &str) -> Result<Labels, Failure> {
    let failure =
        |reason, cause: String, text: String| Err(Failure { reason, cause, text, is_plain: true });
    if selector.is_empty() {
        let cause = "the HPA target's scale is missing a selector".to_owned();
        return failure("InvalidSelector", cause, "selector is required".to_owned());
    }
    Labels::parse(selector).or_else(|why| {
        let cause = format!(
            "couldn't convert selector into a corresponding internal selector object: {why}"
        );
        failure("InvalidSelector", cause.clone(), cause)
    })
}

fn pods_of(ctx: &Context, namespace: &str, labels: &Labels) -> Vec<Arc<Pod>> {
    let none = BTreeMap::new();
    let mut pods = ctx.caches.pods.list_in(namespace);
    pods.retain(|pod| labels.matches(pod.metadata.labels.as_ref().unwrap_or(&none)));
    pods
}

/// Other autoscalers that some of the Pods belong to as well.
fn rivals_for(memories: &Memories, namespace: &str, pods: &[Arc<Pod>]) -> Vec<String> {
    let none = BTreeMap::new();
    let memories = memories.lock();
    let picks = |labels: &Labels| {
        pods.iter().any(|pod| labels.matches(pod.metadata.labels.as_ref().unwrap_or(&none)))
    };
    let here = memories.iter().filter(|(key, _)| key.namespace == namespace);
    let rivals = here.filter(|(_, other)| other.selector.as_ref().is_some_and(picks));
    let mut names: Vec<String> = rivals.map(|(key, _)| key.to_string()).collect();
    names.sort();
    names
}

fn ambiguous(
    scaler: &HorizontalPodAutoscaler,
    labels: &Labels,
    mut rivals: Vec<String>,
) -> Failure {
    rivals.push(key_of(scaler).to_string());
    rivals.sort();
    let rivals = rivals.join(" ");
    let cause = format!("pods by selector {labels} are controlled by multiple HPAs: [{rivals}]");
    Failure { reason: "AmbiguousSelector", text: cause.clone(), cause, is_plain: true }
}

async fn usage_of(
    ctx: &Context,
    namespace: &str,
    labels: &Labels,
) -> Result<Vec<PodMetrics>, String> {
    let selector: String = form_urlencoded::byte_serialize(labels.to_string().as_bytes()).collect();
    let path = format!(
        "/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods?labelSelector={selector}"
    );
    let list = get::<PodMetricsList>(ctx, &path).await;
    list.map(|list| list.items)
        .map_err(|why| format!("unable to fetch metrics from resource metrics API: {why}"))
}

/// How much an object has, in thousandths: the requests of a Service are those of its Pods.
async fn value_of(ctx: &Context, here: &str, source: &ObjectMetricSource) -> Result<i64, String> {
    let object = &source.described_object;
    let group = object.api_version.as_deref().unwrap_or("v1");
    if source.metric.name != REQUESTS || object.kind != "Service" || group != "v1" {
        return Err(metrics::not_measured(&source.metric.name, &object.kind));
    }
    let service = ctx.caches.services.get(&ObjectKey::new(here, object.name.as_str()));
    let service = service.ok_or_else(|| format!("services {:?} not found", object.name))?;
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let selector = selector.filter(|selector| !selector.is_empty());
    let selector = selector.ok_or_else(|| {
        format!("the Service {:?} has no selector, so its Pods are not known", object.name)
    })?;
    let pods = usage_of(ctx, here, &Labels::from_labels(selector)).await?;
    Ok(usage::of_metric(&pods, REQUESTS).values().map(|sample| sample.value).sum())
}

/// Where the target's scale is served.
fn path_of_target(spec: &HorizontalPodAutoscalerSpec, namespace: &str) -> Result<String, String> {
    let target = &spec.scale_target_ref;
    let version = target.api_version.as_deref().unwrap_or("v1");
    let group = GroupVersion::parse(version).map(|it| it.group).unwrap_or_default();
    let is_it = |kind: &&&dyn crate::control_plane::registry::AnyResource| {
        kind.group() == group && kind.kind() == target.kind && kind.scope() == Scope::Namespaced
    };
    let kind = RESOURCES.iter().find(is_it);
    let kind =
        kind.ok_or_else(|| format!("no matches for kind {:?} in group {group:?}", target.kind))?;
    let root = if group.is_empty() { "/api" } else { "/apis" };
    let (version, plural) = (kind.api_version(), kind.names().plural);
    Ok(format!("{root}/{version}/namespaces/{namespace}/{plural}/{}/scale", target.name))
}

async fn get<T: DeserializeOwned>(ctx: &Context, path: &str) -> Result<T, String> {
    let request = http::Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    ctx.client.request(request).await.map_err(|error| text_of(&error))
}

/// As it was read: who else changed the target meanwhile is not overruled.
async fn put(ctx: &Context, path: &str, scale: &Scale) -> Result<(), String> {
    let body = serde_json::to_vec(scale).map_err(|error| error.to_string())?;
    let request = http::Request::put(path).header(http::header::CONTENT_TYPE, "application/json");
    let request = request.body(body).map_err(|error| error.to_string())?;
    let answer: Result<Scale, kube::Error> = ctx.client.request(request).await;
    answer.map(drop).map_err(|error| text_of(&error))
}

/// Tells what there is to tell, and writes the status if it has changed.
async fn report(
    ctx: &Context,
    scaler: &HorizontalPodAutoscaler,
    plan: Plan,
) -> Result<(), kube::Error> {
    for (type_, reason, text) in plan.notes {
        ctx.recorder.record(&reference(scaler), type_, reason, text);
    }
    if scaler.status.as_ref() == Some(&plan.status) {
        return Ok(());
    }
    let mut changed = scaler.clone();
    changed.status = Some(plan.status);
    // Nobody else writes it: whatever is there may be replaced, if it is the same object.
    changed.metadata.resource_version = None;
    let name = scaler.metadata.name.as_deref().unwrap_or_default();
    let api: Api<HorizontalPodAutoscaler> =
        Api::namespaced(ctx.client.kube(), namespace(&scaler.metadata));
    match api.replace_status(name, &PostParams::default(), &changed).await {
        Ok(written) => ctx.caches.autoscalers.reached(revision(&written.metadata)).await,
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
