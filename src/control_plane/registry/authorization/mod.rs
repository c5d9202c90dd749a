//! The kinds of `authorization.k8s.io`: questions about what somebody may do; answered, never stored.

mod access;
mod local_subject_access_review;
mod self_subject_access_review;
mod self_subject_rules_review;
mod subject_access_review;

pub(super) use local_subject_access_review::LocalSubjectAccessReviews;
pub(super) use self_subject_access_review::SelfSubjectAccessReviews;
pub(super) use self_subject_rules_review::SelfSubjectRulesReviews;
pub(super) use subject_access_review::SubjectAccessReviews;
