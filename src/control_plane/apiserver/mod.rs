//! Kubernetes' API over HTTP: the only room that writes to the store.
//!
//! Enter by [`ApiServer`]. A request goes `listener` (or `in_process`) → `handler` (who asks, may
//! they) → `request_info` → `verbs` or `subresources` → the store. Failures become HTTP in `status`.

mod admission;
mod allocation;
mod authentication;
mod body;
mod call;
mod compression;
mod decode;
mod discovery;
mod document;
mod feed;
mod handler;
mod impersonation;
mod in_process;
mod listener;
mod negotiation;
mod openapi;
mod paths;
mod privileges;
mod query;
mod render;
mod request_info;
mod server;
mod status;
mod subresources;
mod table;
mod verbs;

pub use listener::TlsError;
pub(super) use server::{ApiServer, Rooms};
