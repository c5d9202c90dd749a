//! Containers' logs on disk, in the format of the container runtime interface: written by guests'
//! threads, read by `kubectl logs`.
//!
//! Enter by [`Log::create`] to write and [`read`] to read. A run's log is files `<run>-<part>.log`
//! in the container's directory; a part is never renamed, so a reader cannot lose its place.
//!
//! ```text
//! write -> 0-0.log -> full: 0-1.log … -> the fifth before is deleted
//! read  -> part by part -> at the end: wait for the writer (follow), or stop
//! ```
//!
//! The components' logs are not on disk: `component` reads them from memory, as lines like these.
//!
//! Upstream: `k8s.io/cri-client/pkg/logs`, `pkg/kubelet/logs/container_log_manager.go`.

mod component;
mod cri;
mod files;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub(super) use component::read as read_component;
pub(super) use cri::Stream;
pub(super) use reader::{Query, read};
pub(super) use writer::Log;
