//! `kubectl auth can-i`. The answer is made in `auth::reviews`.
//!
//! Upstream: `ValidateSelfSubjectAccessReview` in `pkg/apis/authorization/validation`.

use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use serde_json::Value;

use super::access::{validate_attributes, validate_empty};
use crate::api::fields::FieldError;
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
        let spec = &review.spec;
        let asked = (spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
        let mut faults = Vec::from_iter(validate_attributes(asked.0, asked.1));
        faults.extend(validate_empty(&review.metadata, "must be empty"));
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
