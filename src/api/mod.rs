//! Kubernetes objects as data: no IO, no async; nothing here can fail except by parsing.
//!
//! Enter by what comes in: [`json`] and [`yaml`] turn bytes into values, [`object`] says what a
//! value claims to be, [`schema`] what its kind may hold, [`meta`] checks its names, [`patch`]
//! changes it, [`status`] words what is wrong with it.

pub mod certificate_request;
pub mod claim;
pub mod cron;
pub mod disruption;
pub mod downward;
pub mod fields;
pub mod json;
pub mod meta;
pub mod object;
pub mod patch;
pub mod pod;
pub mod protobuf;
pub mod quantity;
pub mod quota;
pub mod requests;
pub mod scheduling;
pub mod schema;
pub mod selector;
pub mod status;
pub mod yaml;
