//! What may change of a Job.
//!
//! Upstream: `ValidateJobSpecUpdate`, `validationOptionsForJob` in `pkg/registry/batch/job/strategy.go`.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Affinity, PodTemplateSpec};
use serde_json::{Value, json};

use super::validation;
use super::{CONTROLLER_UID, JOB_NAME, is_indexed};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::IMMUTABLE;

/// Every fault of the step from `old` to `job`.
pub(super) fn validate(job: &Job, old: &Job) -> Vec<FieldError> {
    let (Some(spec), Some(before)) = (&job.spec, &old.spec) else { return Vec::new() };
    // A Job of the time before labels had prefixes keeps going without.
    let labels = before.template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
    let had = |key: &str| labels.is_some_and(|labels| labels.contains_key(key));
    let mut faults = validation::validate(job, had(JOB_NAME) && had(CONTROLLER_UID));
    let path = Path::new("spec");
    faults.extend(validate_completions(spec, before, &path.child("completions")));
    let mut keep = |field: &'static str, new: Value, old: Value| {
        if new != old {
            faults.push(FieldError::invalid(path.child(field), new, IMMUTABLE));
        }
    };
    keep("selector", json!(spec.selector), json!(before.selector));
    let template = match is_waiting(old, before) {
        true => with_free_scheduling(&before.template, &spec.template),
        false => before.template.clone(),
    };
    keep("template", json!(spec.template), json!(template));
    keep("completionMode", json!(spec.completion_mode), json!(before.completion_mode));
    keep("podFailurePolicy", json!(spec.pod_failure_policy), json!(before.pod_failure_policy));
    keep(
        "backoffLimitPerIndex",
        json!(spec.backoff_limit_per_index),
        json!(before.backoff_limit_per_index),
    );
    keep("managedBy", json!(spec.managed_by), json!(before.managed_by));
    keep("successPolicy", json!(spec.success_policy), json!(before.success_policy));
    faults
}

/// It is suspended and has never run: where its Pods may run can still be said.
fn is_waiting(job: &Job, spec: &JobSpec) -> bool {
    let started = job.status.as_ref().is_some_and(|status| status.start_time.is_some());
    spec.suspend == Some(true) && !started
}

/// An Indexed Job may grow and shrink, as long as all its indexes run at once.
///
/// Upstream: `validateCompletions`.
fn validate_completions(spec: &JobSpec, old: &JobSpec, path: &Path) -> Option<FieldError> {
    if spec.completions == old.completions {
        return None;
    }
    if !is_indexed(spec) {
        return Some(FieldError::invalid(path.clone(), json!(spec.completions), IMMUTABLE));
    }
    // None at all is a fault of its own.
    let completions = spec.completions.filter(|_| spec.completions != spec.parallelism)?;
    let detail = "can only be modified in tandem with spec.parallelism";
    Some(FieldError::invalid(path.clone(), completions, detail))
}

/// The old template with what the new one says of where its Pods may run.
///
/// Upstream: `validatePodTemplateUpdate`.
fn with_free_scheduling(old: &PodTemplateSpec, new: &PodTemplateSpec) -> PodTemplateSpec {
    let mut merged = old.clone();
    if merged.metadata.is_some() || new.metadata.is_some() {
        let fresh = new.metadata.clone().unwrap_or_default();
        let meta = merged.metadata.get_or_insert_default();
        meta.labels = fresh.labels;
        meta.annotations = fresh.annotations;
        if new.metadata.is_none() && *meta == Default::default() {
            merged.metadata = None;
        }
    }
    if let (Some(spec), Some(new)) = (&mut merged.spec, &new.spec) {
        spec.affinity = with_free_nodes(spec.affinity.take(), new.affinity.as_ref());
        spec.node_selector.clone_from(&new.node_selector);
        spec.tolerations.clone_from(&new.tolerations);
        spec.scheduling_gates.clone_from(&new.scheduling_gates);
    }
    merged
}

fn with_free_nodes(old: Option<Affinity>, new: Option<&Affinity>) -> Option<Affinity> {
    let nodes = new.and_then(|new| new.node_affinity.clone());
    let merged = match (old, new) {
        (None, None) => return None,
        (old, _) => Affinity { node_affinity: nodes, ..old.unwrap_or_default() },
    };
    // An affinity that says nothing is as good as none.
    (new.is_some() || merged != Affinity::default()).then_some(merged)
}
