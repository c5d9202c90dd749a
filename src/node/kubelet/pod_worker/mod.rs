//! What to do next for a Pod: a plain state machine without clock, lock or channel.
//!
//! Enter by [`PodWorker::plan`]; `sync_pod` carries the plan out and tells what came of it by
//! [`PodWorker::started`], [`PodWorker::failed`] and [`PodWorker::exited`].
//!
//! ```text
//! container:  Waiting -> Starting -> (postStart) -> Running -> Terminated
//!                ^          |                         |            |
//!                |          v                         v (stopping) |
//!                `---- (back-off, by restartPolicy) ---------------'
//! ephemeral:  the same, but once: it comes while the Pod runs, and is not started again
//! pod:        Serving -> Ending (deleted, or its deadline passed) -> no container lives
//!             (deleted: draining, while containers serve on, until nobody is connected)
//! ```
//!
//! Upstream: `pkg/kubelet/kuberuntime/kuberuntime_manager.go` (`computePodActions`, `doBackOff`),
//! `pkg/kubelet/container/helpers.go` (`ShouldContainerBeRestarted`).

mod backoff;
mod bring_up;
mod ending;
mod ephemeral;
mod machine;
mod probes;
mod record;
mod resume;
mod runs;
mod stopping;

#[cfg(test)]
mod tests;

pub(super) use machine::{Happening, PodWorker, Step, Volumes, called};
pub(super) use probes::Health;
pub(super) use record::{ContainerRecord, Ending, Kind, Run, StartFailure, State, Terminated};
pub(super) use resume::LastStop;
