//! The kinds of `authentication.k8s.io`: questions about who one is; answered, never stored.

mod self_subject_review;
mod token_request;

pub use self_subject_review::SelfSubjectReviews;
pub use token_request::TokenRequests;
