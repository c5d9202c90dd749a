//! The kinds of `authentication.k8s.io`: questions about who one is; answered, never stored.

mod self_subject_review;
mod token_request;

pub(super) use self_subject_review::SelfSubjectReviews;
pub(crate) use token_request::TokenRequests;
