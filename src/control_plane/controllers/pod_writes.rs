//! Makes and deletes the Pods of whoever manages them, many at a time, and tells it in their Events.
//!
//! Upstream: `RealPodControl` in `pkg/controller/controller_utils.go`.

use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, Preconditions};
use tracing::debug;

use super::Context;
use super::ownership::{Object, managed_by, namespace, reference, revision, uid};
use super::reconcile::{is_gone, text_of};
use crate::client::events::EventType;
use crate::client::written;

/// Bound: requests of one owner under way at once; enough to fill the store's group commits.
const REQUESTS_MAX: usize = 64;

/// Why not all Pods could be made or deleted.
#[derive(Debug)]
pub(super) struct Failure {
    /// `FailedCreate` or `FailedDelete`.
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// What to try again for; none if it would be in vain.
    pub(super) error: Option<kube::Error>,
}

/// A Pod of the owner's template; the server completes its name.
///
/// Upstream: `GetPodFromTemplate`.
pub(super) fn from_template<O: Object>(owner: &O, template: &PodTemplateSpec) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    let name = owner.metadata().name.as_deref().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: owner.metadata().namespace.clone(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![managed_by(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// Sizes of the batches in which `count` Pods are made: 1, 2, 4 … If all would fail for the same
/// reason, few are tried.
///
/// Upstream: `slowStartBatch`.
fn batches(count: usize) -> impl Iterator<Item = usize> {
    let mut left = count;
    let mut size = 1;
    std::iter::from_fn(move || {
        let batch = size.min(left);
        left -= batch;
        size *= 2;
        (batch > 0).then_some(batch)
    })
}

/// Makes these Pods in batches that grow; the first failure ends it after its batch. When it returns,
/// the cache shows those made.
pub(super) async fn create<O: Object>(
    ctx: &Context,
    owner: &O,
    pods: &[Arc<Pod>],
) -> Option<Failure> {
    let namespace = namespace(owner.metadata());
    let mut rest = pods;
    let mut written = 0;
    let mut failure = None;
    for size in batches(pods.len()) {
        let (batch, later) = rest.split_at(size);
        rest = later;
        let make = |pod| written::create(&ctx.client, namespace, pod);
        let made: Vec<_> = batch.iter().map(|pod| make(&**pod)).collect();
        let mut made = stream::iter(made).buffer_unordered(REQUESTS_MAX);
        while let Some(outcome) = made.next().await {
            match outcome {
                Ok(pod) => {
                    written = written.max(pod.revision);
                    tell(
                        ctx,
                        owner,
                        EventType::Normal,
                        "SuccessfulCreate",
                        format!("Created pod: {}", pod.name),
                    );
                }
                Err(error) => failure = failed_create(ctx, owner, error).or(failure),
            }
        }
        if failure.is_some() {
            break;
        }
    }
    ctx.caches.pods.reached(written).await;
    failure
}

fn failed_create<O: Object>(ctx: &Context, owner: &O, error: kube::Error) -> Option<Failure> {
    if is_namespace_going(&error) {
        // Nothing can be made there any more, and soon nobody will want to.
        debug!(%error, "The namespace is being deleted");
        return None;
    }
    let message = text_of(&error);
    tell(ctx, owner, EventType::Warning, "FailedCreate", format!("Error creating: {message}"));
    Some(Failure { reason: "FailedCreate", message, error: Some(error) })
}

/// Whether something could not be made because its namespace is being deleted.
pub(super) fn is_namespace_going(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Deletes these Pods. When it returns, the cache shows that they are going.
pub(super) async fn delete<O: Object>(
    ctx: &Context,
    owner: &O,
    pods: &[Arc<Pod>],
) -> Option<Failure> {
    let api: Api<Pod> = Api::namespaced(ctx.client.kube(), namespace(owner.metadata()));
    let deleted: Vec<_> = pods.iter().map(|pod| delete_one(ctx, owner, &api, pod)).collect();
    let mut deleted = stream::iter(deleted).buffer_unordered(REQUESTS_MAX);
    let mut written = 0;
    let mut failure = None;
    while let Some(outcome) = deleted.next().await {
        match outcome {
            Ok(revision) => written = written.max(revision),
            Err(failed) => failure = Some(failed),
        }
    }
    ctx.caches.pods.reached(written).await;
    failure
}

/// Answers the revision at which it was deleted or marked.
async fn delete_one<O: Object>(
    ctx: &Context,
    owner: &O,
    api: &Api<Pod>,
    pod: &Pod,
) -> Result<u64, Failure> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    match request_delete(api, pod).await {
        Ok(Some(revision)) => {
            let text = format!("Deleted pod: {name}");
            tell(ctx, owner, EventType::Normal, "SuccessfulDelete", text);
            Ok(revision)
        }
        Ok(None) => Ok(0),
        Err(error) => {
            let message = text_of(&error);
            let text = format!("Error deleting: {message}");
            tell(ctx, owner, EventType::Warning, "FailedDelete", text);
            Err(Failure { reason: "FailedDelete", message, error: Some(error) })
        }
    }
}

/// Deletes this very Pod; answers the revision at which it was deleted or marked, none if somebody was
/// faster: the cache will say so.
///
/// # Errors
/// If the API server refuses.
pub(super) async fn request_delete(api: &Api<Pod>, pod: &Pod) -> Result<Option<u64>, kube::Error> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let precondition = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::default() };
    match api.delete(name, &params).await {
        Ok(answer) => Ok(Some(answer.left().map_or(0, |pod| revision(&pod.metadata)))),
        Err(error) if is_gone(&error) || is_another(&error) => {
            debug!(pod = %name, uid = %uid(&pod.metadata), "Gone already");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The Pod of that name is another one by now.
fn is_another(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn tell<O: Object>(ctx: &Context, owner: &O, type_: EventType, reason: &'static str, text: String) {
    ctx.recorder.record(&reference(owner), type_, reason, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow() {
        assert_eq!(batches(0).collect::<Vec<_>>(), Vec::<usize>::new());
        assert_eq!(batches(10).collect::<Vec<_>>(), [1, 2, 4, 3]);
        assert_eq!(batches(500).sum::<usize>(), 500);
    }
}
