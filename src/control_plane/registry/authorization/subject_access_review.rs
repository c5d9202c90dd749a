//! Whether somebody may: what extensions ask. The answer is made in `auth::reviews`.
//!
//! Upstream: `ValidateSubjectAccessReview` in `pkg/apis/authorization/validation`.

use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use serde_json::Value;

use super::access::{validate_empty, validate_subject};
use crate::api::fields::FieldError;
use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb};

#[derive(Debug)]
pub(crate) struct SubjectAccessReviews;

impl Resource for SubjectAccessReviews {
    type Object = SubjectAccessReview;

    const NAMES: Names = Names {
        plural: "subjectaccessreviews",
        singular: "subjectaccessreview",
        short: &[],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Cluster;
    const VERBS: &'static [Verb] = &["create"];

    fn validate(review: &SubjectAccessReview) -> Vec<FieldError> {
        let mut faults = validate_subject(&review.spec);
        faults.extend(validate_empty(&review.metadata, "must be empty"));
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(review: &SubjectAccessReview, now: Timestamp) -> Vec<Value> {
        vec![print::name(&review.metadata), print::age(&review.metadata, now)]
    }
}
