//! `kubectl auth can-i`. The answer is made in `auth::reviews`.
//!
//! Upstream: `ValidateSelfSubjectAccessReview` in `pkg/apis/authorization/validation`.

use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb};

#[derive(Debug)]
pub(crate) struct SelfSubjectAccessReviews;

impl Resource for SelfSubjectAccessReviews {
    type Object = SelfSubjectAccessReview;

    const NAMES: Names = Names {
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        short: &[],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Cluster;
    const VERBS: &'static [Verb] = &["create"];

    fn validate(review: &SelfSubjectAccessReview) -> Vec<FieldError> {
        let path = Path::new("spec");
        let spec = &review.spec;
        let mut faults = Vec::new();
        match (&spec.resource_attributes, &spec.non_resource_attributes) {
            (Some(_), Some(_)) => faults.push(FieldError::invalid(
                path.child("nonResourceAttributes"),
                serde_json::to_value(&spec.non_resource_attributes).unwrap_or_default(),
                "cannot be specified in combination with resourceAttributes",
            )),
            (None, None) => faults.push(FieldError::invalid(
                path.child("resourceAttributes"),
                Value::Null,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )),
            _ => {}
        }
        if review.metadata != ObjectMeta::default() {
            faults.push(FieldError::invalid(
                Path::new("metadata"),
                serde_json::to_value(&review.metadata).unwrap_or_default(),
                "must be empty",
            ));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(review: &SelfSubjectAccessReview, now: Timestamp) -> Vec<Value> {
        vec![print::name(&review.metadata), print::age(&review.metadata, now)]
    }
}
