//! Whether somebody may in one namespace: so that this may be asked by those who may not ask everywhere.
//!
//! Upstream: `ValidateLocalSubjectAccessReview` in `pkg/apis/authorization/validation`.

use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::LocalSubjectAccessReview;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::access::{validate_empty, validate_subject};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::rules::text;
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb};

#[derive(Debug)]
pub(crate) struct LocalSubjectAccessReviews;

impl Resource for LocalSubjectAccessReviews {
    type Object = LocalSubjectAccessReview;

    const NAMES: Names = Names {
        plural: "localsubjectaccessreviews",
        singular: "localsubjectaccessreview",
        short: &[],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const VERBS: &'static [Verb] = &["create"];

    fn validate(review: &LocalSubjectAccessReview) -> Vec<FieldError> {
        let path = Path::new("spec");
        let mut faults = validate_subject(&review.spec);
        let meta = ObjectMeta { namespace: None, ..review.metadata.clone() };
        faults.extend(validate_empty(&meta, "must be empty except for namespace"));
        if let Some(asked) = &review.spec.resource_attributes
            && text(&asked.namespace) != text(&review.metadata.namespace)
        {
            let path = path.child("resourceAttributes").child("namespace");
            let namespace = text(&asked.namespace);
            faults.push(FieldError::invalid(path, namespace, "must match metadata.namespace"));
        }
        if let Some(asked) = &review.spec.non_resource_attributes {
            let path = path.child("nonResourceAttributes");
            let detail = "disallowed on this kind of request";
            faults.push(FieldError::invalid(path, json!(asked), detail));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(review: &LocalSubjectAccessReview, now: Timestamp) -> Vec<Value> {
        vec![print::name(&review.metadata), print::age(&review.metadata, now)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spec: Value, expect: &[&str]) {
        let review = json!({"metadata": {"namespace": "n"}, "spec": spec});
        let faults = LocalSubjectAccessReviews::validate(&serde_json::from_value(review).unwrap());
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn the_question_stays_in_its_namespace() {
        check(json!({"user": "u", "resourceAttributes": {"namespace": "n", "verb": "get"}}), &[]);
        check(
            json!({"resourceAttributes": {"namespace": "m", "verb": "get"}}),
            &[
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
                "spec.resourceAttributes.namespace: Invalid value: \"m\": must match metadata.namespace",
            ],
        );
    }
}
