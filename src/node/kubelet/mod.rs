//! Runs the Pods that are bound to this node, and tells the API server how they fare.
//!
//! Enter by [`Kubelet::start`]; `client::node_api` is the door for logs, exec, attach and
//! port-forward.
//!
//! ```text
//! pod_workers (which Pods are ours) -> sync_pod (one task per Pod: IO) <-> pod_worker (decides, pure)
//!                                        |-> run (one container: image, environment, files, log, start)
//!                                        |-> prober (asks containers how they are) -> pod_worker
//!                                        |-> volumes (set up before the first, then kept up to date)
//!                                        `-> status (pure) -> status_writer, status_patch: PATCH pods/status
//! ```
//!
//! Upstream: `pkg/kubelet`.

mod attach;
mod conditions;
mod env;
mod etc;
mod eviction;
mod heartbeat;
mod hooks;
mod lifecycle;
mod logs;
mod mirror;
mod pod_worker;
mod pod_workers;
mod port_forward;
mod prober;
mod reclaim;
mod references;
mod run;
mod server;
mod stats;
mod status;
mod status_patch;
mod status_writer;
mod sync_pod;
mod termination;
mod volumes;

#[cfg(test)]
mod status_tests;

pub(super) use lifecycle::{Config, Kubelet, Rooms};
