//! Which objects are meant: label selectors and field selectors, read, checked and matched.
//!
//! Enter by [`Labels::parse`] and [`Fields::parse`] for what comes in a URL, [`Labels::from_typed`]
//! for what an object says. Upstream: `k8s.io/apimachinery/pkg/{labels,fields}/selector.go`.

mod fields;
mod labels;
mod syntax;

pub use fields::{FieldTerm, Fields};
pub use labels::{Labels, Operator, Requirement};
