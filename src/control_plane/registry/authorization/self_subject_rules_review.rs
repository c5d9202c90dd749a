//! `kubectl auth can-i --list`. The answer is made in `auth::reviews`.

use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::SelfSubjectRulesReview;
use serde_json::Value;

use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb};

#[derive(Debug)]
pub(crate) struct SelfSubjectRulesReviews;

impl Resource for SelfSubjectRulesReviews {
    type Object = SelfSubjectRulesReview;

    const NAMES: Names = Names {
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
        short: &[],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Cluster;
    const VERBS: &'static [Verb] = &["create"];

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(review: &SelfSubjectRulesReview, now: Timestamp) -> Vec<Value> {
        vec![print::name(&review.metadata), print::age(&review.metadata, now)]
    }
}
