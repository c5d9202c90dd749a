//! Deletes a Pod on behalf of the cluster, with a condition that says so.
//!
//! Upstream: the `DisruptionTarget` condition (`pkg/api/v1/pod/util.go`, its callers).

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use super::Context;
use super::ownership::namespace;
use super::pods;
use super::reconcile::is_gone;
use crate::client::clock::whole_second;

pub(super) struct Disruption {
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
}

/// With `grace_seconds` of 0 nobody is left to end the Pod: if it has not ended it has failed.
pub(super) async fn delete(
    ctx: &Context,
    pod: &Pod,
    why: &Disruption,
    grace_seconds: Option<u32>,
) -> Result<(), kube::Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client.kube(), namespace(&pod.metadata));
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if !pods::is_over(pod) {
        let mut status = json!({"conditions": [{
            "type": "DisruptionTarget",
            "status": "True",
            "reason": why.reason,
            "message": why.message,
            "lastProbeTime": null,
            "lastTransitionTime": Time(whole_second(ctx.clock.now())),
        }]});
        if grace_seconds == Some(0) {
            status["phase"] = json!("Failed");
        }
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
        match api.patch_status(name, &PatchParams::default(), &Patch::Strategic(&patch)).await {
            Err(error) if is_gone(&error) => return Ok(()),
            outcome => drop(outcome?),
        }
    }
    remove(&api, pod, grace_seconds).await
}

/// Only this Pod, not another one of its name.
pub(super) async fn remove(
    api: &Api<Pod>,
    pod: &Pod,
    grace_seconds: Option<u32>,
) -> Result<(), kube::Error> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let precondition = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams {
        grace_period_seconds: grace_seconds,
        preconditions: Some(precondition),
        ..DeleteParams::default()
    };
    match api.delete(name, &params).await {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome.map(drop),
    }
}
