//! The kinds of `authorization.k8s.io`: questions about what one may do; answered, never stored.

mod self_subject_access_review;
mod self_subject_rules_review;

pub(super) use self_subject_access_review::SelfSubjectAccessReviews;
pub(super) use self_subject_rules_review::SelfSubjectRulesReviews;
