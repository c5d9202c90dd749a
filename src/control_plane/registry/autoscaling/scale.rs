//! The size of another object, in one shape for all kinds.
//!
//! Upstream: `pkg/apis/autoscaling/{v1/defaults,validation/validation}.go`.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v1::Scale;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb};

/// Not in the table: it has no path of its own, only the subresource takes it.
#[derive(Debug)]
pub(crate) struct Scales;

impl Resource for Scales {
    type Object = Scale;

    const NAMES: Names = Names { plural: "scales", singular: "scale", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const VERBS: &'static [Verb] = &["get", "patch", "update"];

    fn validate(scale: &Scale) -> Vec<FieldError> {
        let replicas = scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
        if replicas >= 0 {
            return Vec::new();
        }
        let path = Path::new("spec").child("replicas");
        vec![FieldError::invalid(path, replicas, "must be greater than or equal to 0")]
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(scale: &Scale, now: Timestamp) -> Vec<Value> {
        vec![print::name(&scale.metadata), print::age(&scale.metadata, now)]
    }
}
