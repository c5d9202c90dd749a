//! The hall: how every component talks to the API server and to a node.
//!
//! Writes go through an [`ApiClient`], in process or over the network; reads of
//! built-in components come from a [`cache`] that `apiserver/feed` fills.

pub(crate) mod accept;
mod api_client;
pub mod cache;
pub mod clock;
pub mod events;
pub mod lookup;
pub mod node_api;
pub mod owners;
pub mod queue;
pub(crate) mod written;

pub use api_client::{Answer, ApiClient, Transport};
