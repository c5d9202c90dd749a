//! `kubectl auth whoami`. The answer is made in `auth::reviews`.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use serde_json::Value;

use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb};

#[derive(Debug)]
pub(crate) struct SelfSubjectReviews;

impl Resource for SelfSubjectReviews {
    type Object = SelfSubjectReview;

    const NAMES: Names = Names {
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
        short: &[],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Cluster;
    const VERBS: &'static [Verb] = &["create"];

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(review: &SelfSubjectReview, now: Timestamp) -> Vec<Value> {
        vec![print::name(&review.metadata), print::age(&review.metadata, now)]
    }
}
