//! Changes to an object as data: JSON patch, merge patch, strategic merge patch.
//!
//! Each takes an object and a patch and answers the patched object; none looks at what the object
//! means, but [`strategic`], which asks [`super::schema`] how lists merge. Bounds on the size of a
//! patch are the caller's, but for those that a small patch can break.
//!
//! Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/patch.go`.

pub mod json;
pub mod merge;
pub mod strategic;

mod error;

pub use error::Error;
