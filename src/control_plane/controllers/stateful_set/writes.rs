//! Carries out a plan's steps, and tells them in the set's Events.
//!
//! Upstream: `pkg/controller/statefulset/stateful_pod_control.go`.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::identity::name;
use super::plan::Step;
use crate::client::events::EventType;
use crate::control_plane::controllers::Context;
use crate::control_plane::controllers::ownership::{namespace, reference, revision};
use crate::control_plane::controllers::pod_writes::{is_namespace_going, request_delete};
use crate::control_plane::controllers::reconcile::{is_gone, text_of};

/// One step after the other until one fails. When it returns, the caches show what was written.
///
/// # Errors
/// The API server's refusal of a step.
pub(super) async fn carry_out(
    ctx: &Context,
    set: &StatefulSet,
    steps: &[Step],
) -> Result<(), kube::Error> {
    let mut writer = Writer {
        ctx,
        set,
        pods: Api::namespaced(ctx.client.kube(), namespace(&set.metadata)),
        claims: Api::namespaced(ctx.client.kube(), namespace(&set.metadata)),
        pods_written: 0,
        claims_written: 0,
    };
    let mut outcome = Ok(());
    for step in steps {
        outcome = writer.step(step).await;
        if outcome.is_err() {
            break;
        }
    }
    ctx.caches.pods.reached(writer.pods_written).await;
    ctx.caches.claims.reached(writer.claims_written).await;
    match outcome {
        // Nothing can be made there any more, and soon nobody will want to.
        Err(error) if is_namespace_going(&error) => Ok(()),
        outcome => outcome,
    }
}

struct Writer<'a> {
    ctx: &'a Context,
    set: &'a StatefulSet,
    pods: Api<Pod>,
    claims: Api<PersistentVolumeClaim>,
    /// The newest revision of each kind that was written.
    pods_written: u64,
    claims_written: u64,
}

impl Writer<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), kube::Error> {
        match step {
            Step::Create { pod, is_new, claims } => {
                for claim in claims {
                    self.create_claim(pod, claim).await?;
                }
                if *is_new { self.create(pod).await } else { Ok(()) }
            }
            Step::Delete(pod) => self.delete(pod).await,
            Step::Label(pod, labels) => {
                let patch = json!({"metadata": {"uid": pod.metadata.uid, "labels": labels}});
                let patch = Patch::Merge(&patch);
                let name = name(&pod.metadata);
                let written = self.pods.patch(name, &PatchParams::default(), &patch).await;
                let outcome = written.map(|pod| self.note_pod(&pod));
                self.tell("update", name, &outcome);
                outcome
            }
            Step::Own(claim, owners) => {
                let patch = json!({"metadata": {"uid": claim.metadata.uid,
                    "resourceVersion": claim.metadata.resource_version,
                    "ownerReferences": owners}});
                let name = name(&claim.metadata);
                let patch = Patch::Merge(&patch);
                match self.claims.patch(name, &PatchParams::default(), &patch).await {
                    Ok(written) => self.note_claim(&written),
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(error),
                }
                Ok(())
            }
            Step::Blocked { pod, claim } => {
                // It is looked at again when the claim has gone.
                self.failed("create", pod, &format!("pvc {claim} is being deleted"));
                Ok(())
            }
        }
    }

    async fn create(&mut self, pod: &Pod) -> Result<(), kube::Error> {
        let written = self.pods.create(&PostParams::default(), pod).await;
        let outcome = written.map(|pod| self.note_pod(&pod));
        match &outcome {
            // Somebody else's Pod has the name: upstream says nothing of it either.
            Err(kube::Error::Api(answer)) if answer.is_already_exists() => {}
            outcome => self.tell("create", name(&pod.metadata), outcome),
        }
        outcome
    }

    async fn create_claim(
        &mut self,
        pod: &Pod,
        claim: &PersistentVolumeClaim,
    ) -> Result<(), kube::Error> {
        let error = match self.claims.create(&PostParams::default(), claim).await {
            Ok(written) => {
                self.note_claim(&written);
                let text = format!(
                    "create Claim {} Pod {} in StatefulSet {} success",
                    name(&claim.metadata),
                    name(&pod.metadata),
                    name(&self.set.metadata),
                );
                self.record(EventType::Normal, "SuccessfulCreate", text);
                return Ok(());
            }
            Err(error) => error,
        };
        if matches!(&error, kube::Error::Api(answer) if answer.is_already_exists()) {
            return Err(error);
        }
        let (claim, why) = (name(&claim.metadata), text_of(&error));
        let text = format!(
            "create Claim {claim} for Pod {} in StatefulSet {} failed error: {why}",
            name(&pod.metadata),
            name(&self.set.metadata),
        );
        self.record(EventType::Warning, "FailedCreate", text);
        self.failed("create", name(&pod.metadata), &format!("failed to create PVC {claim}: {why}"));
        Err(error)
    }

    async fn delete(&mut self, pod: &Pod) -> Result<(), kube::Error> {
        let deleted = request_delete(&self.pods, pod).await;
        let outcome = deleted.map(|revision| {
            self.pods_written = self.pods_written.max(revision.unwrap_or(0));
        });
        self.tell("delete", name(&pod.metadata), &outcome);
        outcome
    }

    fn note_pod(&mut self, pod: &Pod) {
        self.pods_written = self.pods_written.max(revision(&pod.metadata));
    }

    fn note_claim(&mut self, claim: &PersistentVolumeClaim) {
        self.claims_written = self.claims_written.max(revision(&claim.metadata));
    }

    fn tell(&self, verb: &'static str, pod: &str, outcome: &Result<(), kube::Error>) {
        match outcome {
            Ok(()) => {
                let set = name(&self.set.metadata);
                let text = format!("{verb} Pod {pod} in StatefulSet {set} successful");
                self.record(EventType::Normal, reason(verb, true), text);
            }
            Err(error) => self.failed(verb, pod, &text_of(error)),
        }
    }

    fn failed(&self, verb: &'static str, pod: &str, why: &str) {
        let set = name(&self.set.metadata);
        let text = format!("{verb} Pod {pod} in StatefulSet {set} failed error: {why}");
        self.record(EventType::Warning, reason(verb, false), text);
    }

    fn record(&self, type_: EventType, reason: &'static str, text: String) {
        self.ctx.recorder.record(&reference(self.set), type_, reason, text);
    }
}

fn reason(verb: &str, succeeded: bool) -> &'static str {
    match (verb, succeeded) {
        ("create", true) => "SuccessfulCreate",
        ("create", false) => "FailedCreate",
        ("delete", true) => "SuccessfulDelete",
        ("delete", false) => "FailedDelete",
        (_, true) => "SuccessfulUpdate",
        (_, false) => "FailedUpdate",
    }
}
