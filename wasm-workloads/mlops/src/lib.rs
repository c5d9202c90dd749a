//! Does a sampan sail across the harbour today? What the programs of `manifests/examples/mlops` share.
//!
//! ```text
//! collect ─> crossings ─> train ─> candidates ─> publish ─> models ─> serve <─ visit
//! ```
//!
//! The arrows are files in the claim ([`store::Store`]). All else is pure, so that `cargo test` tells whether
//! the model learns.

pub mod crossing;
pub mod fit;
pub mod model;
pub mod query;
pub mod random;
pub mod store;
