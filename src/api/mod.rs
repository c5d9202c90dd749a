//! Kubernetes objects as data: no IO, no async; nothing here can fail except by parsing.

pub mod fields;
pub mod meta;
pub mod object;
