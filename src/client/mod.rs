//! The hall: how every component talks to the API server and to a node.
//!
//! Writes go through kube's `Client`, over an in-process connection or the network; reads of
//! built-in components come from a [`cache`] that `cluster.rs` feeds.

pub(crate) mod accept;
pub mod cache;
pub mod clock;
pub mod events;
pub mod lookup;
pub mod node_api;
pub mod owners;
pub mod queue;
pub(crate) mod written;
