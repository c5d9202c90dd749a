//! What sets of Pods have in common: a size, a selector, a template.
//!
//! Upstream: `pkg/apis/apps/validation/validation.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::{Value, json};

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, IMMUTABLE};
use crate::api::selector::Labels;
use crate::control_plane::registry::core::pod::template;

const NEGATIVE: &str = "must be greater than or equal to 0";

pub(in crate::control_plane::registry) fn not_negative(
    path: Path,
    number: Option<impl Into<i64>>,
) -> Option<FieldError> {
    let number = number.map(Into::into).filter(|number| *number < 0)?;
    Some(FieldError::invalid(path, number, NEGATIVE))
}

pub(in crate::control_plane::registry) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// A selector that must pick something, and the template that it must pick; `path` is the spec's.
/// In the typed form an empty selector and none are the same: the commoner slip is named.
pub(in crate::control_plane::registry) fn validate_selection(
    selector: &LabelSelector,
    template: &PodTemplateSpec,
    path: &Path,
) -> Vec<FieldError> {
    let selector_path = path.child("selector");
    let mut faults = template::validate_selector(Some(selector), &selector_path);
    if is_empty(selector) {
        faults.push(FieldError::required(selector_path.clone(), ""));
    }
    let path = path.child("template");
    match Labels::from_typed(Some(selector)) {
        Err(_) => {
            faults.push(FieldError::invalid(
                selector_path,
                json!(selector),
                "invalid label selector",
            ));
            return faults;
        }
        Ok(labels) => {
            let none = BTreeMap::new();
            let own = template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
            if is_empty(selector) || !labels.matches(own.unwrap_or(&none)) {
                let path = path.child("metadata").child("labels");
                let detail = "`selector` does not match template `labels`";
                faults.push(FieldError::invalid(path, json!(own), detail));
            }
        }
    }
    faults.extend(template::validate(template, &path));
    faults
}

/// Pods that are replaced when they end must always restart.
///
/// Upstream: the end of `ValidatePodTemplateSpecForReplicaSet`.
pub(in crate::control_plane::registry) fn validate_endless(
    template: &PodTemplateSpec,
    path: &Path,
    kind: &str,
) -> Vec<FieldError> {
    let Some(spec) = &template.spec else { return Vec::new() };
    let path = path.child("template").child("spec");
    let mut faults = Vec::new();
    let policy = spec.restart_policy.as_deref().unwrap_or_default();
    if policy != "Always" {
        let path = path.child("restartPolicy");
        faults.push(FieldError::not_supported(path, policy, &["Always"]));
    }
    if spec.active_deadline_seconds.is_some() {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        faults.push(FieldError::forbidden(path.child("activeDeadlineSeconds"), detail));
    }
    faults
}

/// A selector never changes: what it picked would be left without an owner.
pub(in crate::control_plane::registry) fn validate_same_selector(
    new: Option<&LabelSelector>,
    old: Option<&LabelSelector>,
) -> Option<FieldError> {
    let path = Path::new("spec").child("selector");
    (new != old).then(|| FieldError::invalid(path, json!(new), IMMUTABLE))
}

/// How often a name was taken by somebody else; `path` is the status'.
pub(in crate::control_plane::registry) fn validate_collisions(
    count: Option<i32>,
    before: Option<i32>,
    path: &Path,
) -> Vec<FieldError> {
    let path = path.child("collisionCount");
    let mut faults: Vec<FieldError> = not_negative(path.clone(), count).into_iter().collect();
    if count.unwrap_or(0) < before.unwrap_or(0) {
        faults.push(FieldError::invalid(path, count.unwrap_or(0), "cannot be decremented"));
    }
    faults
}

/// Counts of Pods in a status; each part must fit into the whole.
pub(in crate::control_plane::registry) struct Counts {
    pub(in crate::control_plane::registry) replicas: i32,
    /// Field and count of what may not exceed `replicas`.
    pub(in crate::control_plane::registry) parts: Vec<(&'static str, Option<i32>)>,
    pub(in crate::control_plane::registry) ready: Option<i32>,
    pub(in crate::control_plane::registry) available: Option<i32>,
}

impl Counts {
    pub(in crate::control_plane::registry) fn validate(&self, path: &Path) -> Vec<FieldError> {
        let mut faults: Vec<FieldError> =
            not_negative(path.child("replicas"), Some(self.replicas)).into_iter().collect();
        let named = [("readyReplicas", self.ready), ("availableReplicas", self.available)];
        for (field, count) in self.parts.iter().chain(&named) {
            faults.extend(not_negative(path.child(*field), *count));
            if let Some(count) = count.filter(|count| *count > self.replicas) {
                let detail = "cannot be greater than status.replicas";
                faults.push(FieldError::invalid(path.child(*field), count, detail));
            }
        }
        let available = self.available.unwrap_or(0);
        if available > self.ready.unwrap_or(0) {
            let detail = "cannot be greater than readyReplicas";
            faults.push(FieldError::invalid(path.child("availableReplicas"), available, detail));
        }
        faults
    }
}

/// What `kubectl get -o wide` shows of a selector; it was checked when it came.
pub(in crate::control_plane::registry) fn selector_text(selector: &LabelSelector) -> String {
    Labels::from_typed(Some(selector)).map(|labels| labels.to_string()).unwrap_or_default()
}

/// Its Pods are called after it, and have host names after that.
pub(in crate::control_plane::registry) fn name_warning(meta: &ObjectMeta) -> Option<String> {
    let name = meta.name.as_deref().filter(|name| !name.is_empty())?;
    let complaints = meta::dns1123_label(name);
    let text = "metadata.name: this is used in Pod names and hostnames, which can result in \
                surprising behavior; a DNS label is recommended";
    (!complaints.is_empty()).then(|| format!("{text}: [{}]", complaints.join(" ")))
}

/// What the author of a set of Pods is warned of.
pub(in crate::control_plane::registry) fn warnings(
    meta: &ObjectMeta,
    template: Option<&PodTemplateSpec>,
) -> Vec<String> {
    let mut warnings = Vec::from_iter(name_warning(meta));
    if let Some(of) = template {
        warnings.extend(template::warnings(of, &Path::new("spec").child("template")));
    }
    warnings
}

/// A count as a cell.
pub(in crate::control_plane::registry) fn count(count: Option<i32>) -> Value {
    count.unwrap_or(0).into()
}
