//! Makes and deletes a ReplicaSet's Pods, many at a time.

use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use tracing::debug;

use super::decide::{Failure, batches};
use crate::client::events::EventType;
use crate::control_plane::controllers::Context;
use crate::control_plane::controllers::ownership::{
    managed_by, namespace, reference, revision, uid,
};
use crate::control_plane::controllers::reconcile::{is_gone, text_of};

/// Bound: requests of one ReplicaSet under way at once; enough to fill the store's group commits.
const REQUESTS_MAX: usize = 64;

/// Makes `count` Pods in batches that grow; the first failure ends it after its batch. When it
/// returns, the cache shows those made.
pub(super) async fn create(ctx: &Context, set: &ReplicaSet, count: usize) -> Option<Failure> {
    let pod = new_pod(set);
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace(&set.metadata));
    let mut written = 0;
    let mut failure = None;
    for batch in batches(count) {
        let made: Vec<_> = (0..batch).map(|_| api.create(&PARAMS, &pod)).collect();
        let mut made = stream::iter(made).buffer_unordered(REQUESTS_MAX);
        while let Some(outcome) = made.next().await {
            match outcome {
                Ok(pod) => {
                    written = written.max(revision(&pod.metadata));
                    let name = pod.metadata.name.as_deref().unwrap_or_default();
                    let text = format!("Created pod: {name}");
                    ctx.recorder.record(
                        &reference(set),
                        EventType::Normal,
                        "SuccessfulCreate",
                        text,
                    );
                }
                Err(error) => failure = failed_create(ctx, set, error).or(failure),
            }
        }
        if failure.is_some() {
            break;
        }
    }
    ctx.caches.pods.reached(written).await;
    failure
}

static PARAMS: PostParams = PostParams { dry_run: false, field_manager: None };

/// Upstream: `GetPodFromTemplate`.
fn new_pod(set: &ReplicaSet) -> Pod {
    let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    let name = set.metadata.name.as_deref().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: set.metadata.namespace.clone(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![managed_by(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

fn failed_create(ctx: &Context, set: &ReplicaSet, error: kube::Error) -> Option<Failure> {
    if is_namespace_going(&error) {
        // Nothing can be made there any more, and soon nobody will want to.
        debug!(%error, "The namespace is being deleted");
        return None;
    }
    let message = text_of(&error);
    let text = format!("Error creating: {message}");
    ctx.recorder.record(&reference(set), EventType::Warning, "FailedCreate", text);
    Some(Failure { reason: "FailedCreate", message, error: Some(error) })
}

fn is_namespace_going(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Deletes these Pods. When it returns, the cache shows that they are going.
pub(super) async fn delete(ctx: &Context, set: &ReplicaSet, pods: &[Arc<Pod>]) -> Option<Failure> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), namespace(&set.metadata));
    let deleted: Vec<_> = pods.iter().map(|pod| delete_one(ctx, set, &api, pod)).collect();
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
async fn delete_one(
    ctx: &Context,
    set: &ReplicaSet,
    api: &Api<Pod>,
    pod: &Pod,
) -> Result<u64, Failure> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let precondition = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::default() };
    match api.delete(name, &params).await {
        Ok(answer) => {
            let text = format!("Deleted pod: {name}");
            ctx.recorder.record(&reference(set), EventType::Normal, "SuccessfulDelete", text);
            Ok(answer.left().map_or(0, |pod| revision(&pod.metadata)))
        }
        // Somebody was faster: the cache will say so.
        Err(error) if is_gone(&error) || is_another(&error) => {
            debug!(pod = %name, uid = %uid(&pod.metadata), "Gone already");
            Ok(0)
        }
        Err(error) => {
            let message = text_of(&error);
            let text = format!("Error deleting: {message}");
            ctx.recorder.record(&reference(set), EventType::Warning, "FailedDelete", text);
            Err(Failure { reason: "FailedDelete", message, error: Some(error) })
        }
    }
}

/// The Pod of that name is another one by now.
fn is_another(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
