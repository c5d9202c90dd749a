//! What a Job writes: finalizers of its Pods, its status, its Events.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PostParams};
use serde_json::json;

use super::conditions::COMPLETE;
use super::pod::{self, TRACKING};
use crate::client::cache::controller_of;
use crate::client::events::EventType;
use crate::client::written;
use crate::control_plane::controllers::Context;
use crate::control_plane::controllers::ownership::{namespace, reference, revision, uid};
use crate::control_plane::controllers::pod_writes::{self, Failure};
use crate::control_plane::controllers::reconcile::{is_gone, text_of};

/// Bound: requests of one Job under way at once; enough to fill the store's group commits.
const REQUESTS_MAX: usize = 64;

/// What became of finalizers.
pub(super) struct Released {
    /// Of the Pods that have none any more.
    pub(super) uids: HashSet<String>,
    /// The first failure, if there was one.
    pub(super) result: Result<(), kube::Error>,
}

/// Lets these Pods go. When it returns, the cache shows it.
pub(super) async fn release(ctx: &Context, pods: &[Arc<Pod>]) -> Released {
    let tracked = pods.iter().filter(|pod| pod::is_tracked(pod));
    let requests: Vec<_> = tracked
        .map(|pod| async { (uid(&pod.metadata).to_owned(), release_one(ctx, pod).await) })
        .collect();
    let mut requests = stream::iter(requests).buffer_unordered(REQUESTS_MAX);
    let mut released = Released { uids: HashSet::new(), result: Ok(()) };
    let mut written = 0;
    while let Some((uid, outcome)) = requests.next().await {
        match outcome {
            Ok(revision) => {
                written = written.max(revision);
                released.uids.insert(uid);
            }
            Err(error) => released.result = released.result.and(Err(error)),
        }
    }
    ctx.caches.pods.reached(written).await;
    released
}

/// Answers the revision of the write.
async fn release_one(ctx: &Context, pod: &Pod) -> Result<u64, kube::Error> {
    let mut patch = json!({"metadata": {"uid": pod.metadata.uid,
        "$deleteFromPrimitiveList/finalizers": [TRACKING]}});
    if controller_of(&pod.metadata).is_none() {
        // Nobody's: unless somebody has taken it up meanwhile.
        patch["metadata"]["resourceVersion"] = json!(pod.metadata.resource_version);
    }
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let (at, patch) = ((namespace(&pod.metadata), name), Patch::Strategic(&patch));
    match written::patch::<Pod>(&ctx.client, at, None, &patch).await {
        Ok(written) => Ok(written.revision),
        Err(error) if is_gone(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Lets Pods go and deletes them. When it returns, the cache shows that they are going.
pub(super) async fn remove(ctx: &Context, job: &Job, pods: &[Arc<Pod>]) -> Option<Failure> {
    let released = release(ctx, pods).await;
    let is_free =
        |pod: &&Arc<Pod>| !pod::is_tracked(pod) || released.uids.contains(uid(&pod.metadata));
    let free: Vec<Arc<Pod>> = pods.iter().filter(is_free).cloned().collect();
    let failure = pod_writes::delete(ctx, job, &free).await;
    let unreleased = released.result.err().map(|error| Failure {
        reason: "FailedDelete",
        message: text_of(&error),
        error: Some(error),
    });
    failure.or(unreleased)
}

/// Writes the status if it is another one, and waits until the cache shows it; answers the Job as it is then.
/// Only of the very state that was looked at: counts rest on it.
pub(super) async fn status(
    ctx: &Context,
    job: &Job,
    status: JobStatus,
) -> Result<Job, kube::Error> {
    let mut changed = job.clone();
    if changed.status.as_ref() == Some(&status) {
        return Ok(changed);
    }
    changed.status = Some(status);
    let api: Api<Job> = Api::namespaced(ctx.client.kube(), namespace(&job.metadata));
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let written = api.replace_status(name, &PostParams::default(), &changed).await?;
    ctx.caches.jobs.reached(revision(&written.metadata)).await;
    Ok(written)
}

pub(super) fn tell_suspended(ctx: &Context, job: &Job, suspended: bool) {
    let (reason, text) =
        if suspended { ("Suspended", "Job suspended") } else { ("Resumed", "Job resumed") };
    ctx.recorder.record(&reference(job), EventType::Normal, reason, text.to_owned());
}

/// Upstream: `recordJobFinished`.
pub(super) fn tell_finished(ctx: &Context, job: &Job, finish: &JobCondition) {
    let tell = |type_, reason: &'static str, text: String| {
        ctx.recorder.record(&reference(job), type_, reason, text);
    };
    if finish.type_ != COMPLETE {
        let text = finish.message.clone().unwrap_or_default();
        return tell(EventType::Warning, failure_reason(finish), text);
    }
    let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
    let completions = job.spec.as_ref().and_then(|spec| spec.completions);
    if completions.is_some_and(|completions| succeeded > completions) {
        let text = "Too many succeeded pods running after completion count reached";
        tell(EventType::Warning, "TooManySucceededPods", text.to_owned());
    }
    tell(EventType::Normal, "Completed", "Job completed".to_owned());
}

/// The reasons for which a Job fails.
fn failure_reason(finish: &JobCondition) -> &'static str {
    const REASONS: [&str; 5] = [
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "FailedIndexes",
        "MaxFailedIndexesExceeded",
        "PodFailurePolicy",
    ];
    let reason = finish.reason.as_deref().unwrap_or_default();
    REASONS.into_iter().find(|known| *known == reason).unwrap_or("Failed")
}
