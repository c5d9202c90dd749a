//! What the scheduler writes.

use k8s_openapi::api::core::v1::{
    Binding, ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, DeleteParams, Patch, PostParams, Preconditions};
use serde::de::IgnoredAny;
use serde_json::json;

use super::claims::Preparation;
use super::run::NAME;
use crate::api::object::ObjectKey;
use crate::client::{ApiClient, written};

pub(super) async fn post_binding(
    client: &ApiClient,
    key: &ObjectKey,
    pod: &Pod,
    node: &str,
) -> Result<(), kube::Error> {
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: pod.metadata.uid.clone(),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    };
    let at = (key.namespace.as_str(), key.name.as_str());
    let answer: Result<IgnoredAny, kube::Error> =
        written::create_subresource::<Pod, _>(client, at, "binding", &binding).await;
    answer.map(drop)
}

/// Each is refused if its object has changed since.
pub(super) async fn write_preparations(
    client: &ApiClient,
    needed: Vec<Preparation>,
) -> Result<(), kube::Error> {
    let post = PostParams::default();
    for preparation in needed {
        match preparation {
            Preparation::Await => {}
            Preparation::SetAside(volume) => {
                let name = volume.metadata.name.as_deref().unwrap_or_default();
                Api::<PersistentVolume>::all(client.kube()).replace(name, &post, &volume).await?;
            }
            Preparation::Select(claim) => {
                let name = claim.metadata.name.as_deref().unwrap_or_default();
                let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
                let api = Api::<PersistentVolumeClaim>::namespaced(client.kube(), namespace);
                api.replace(name, &post, &claim).await?;
            }
        }
    }
    Ok(())
}

/// A status that says why the Pod waits, and which node it waits for.
pub(super) fn condition(why: &str, nominated: Option<&str>, now: &Time) -> serde_json::Value {
    let mut status = json!({ "conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": why,
        "lastProbeTime": null,
        "lastTransitionTime": now,
    }] });
    if let Some(node) = nominated {
        status["nominatedNodeName"] = json!(node);
    }
    status
}

/// A victim is told why before it goes.
pub(super) async fn send_away(
    client: &ApiClient,
    key: &ObjectKey,
    victim: &Pod,
    now: &Time,
) -> Result<(), kube::Error> {
    if victim.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let status = json!({ "conditions": [{
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": format!("{NAME}: preempting to accommodate a higher priority pod"),
        "lastProbeTime": null,
        "lastTransitionTime": now,
    }] });
    let gone =
        |error: &kube::Error| matches!(error, kube::Error::Api(status) if status.code == 404);
    match patch_status(client, key, victim, status).await {
        Err(error) if gone(&error) => return Ok(()),
        outcome => outcome?,
    }
    let precondition = Preconditions { uid: victim.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::default() };
    match Api::<Pod>::namespaced(client.kube(), &key.namespace).delete(&key.name, &params).await {
        Err(error) if gone(&error) => Ok(()),
        outcome => outcome.map(drop),
    }
}

pub(super) async fn patch_status(
    client: &ApiClient,
    key: &ObjectKey,
    pod: &Pod,
    status: serde_json::Value,
) -> Result<(), kube::Error> {
    let patch = json!({ "metadata": { "uid": pod.metadata.uid }, "status": status });
    let at = (key.namespace.as_str(), key.name.as_str());
    written::patch::<Pod>(client, at, Some("status"), &Patch::Strategic(&patch)).await.map(drop)
}

pub(super) fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        field_path: None,
    }
}
