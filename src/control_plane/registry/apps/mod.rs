//! The kinds of `apps`: sets of Pods made from a template; each is entered through `RESOURCES`.

mod controller_revision;
pub(super) mod copies;
mod daemon_set;
mod deployment;
mod replica_set;
mod stateful_set;
pub(super) mod workload;

pub(super) use controller_revision::ControllerRevisions;
pub(super) use daemon_set::DaemonSets;
pub(super) use deployment::Deployments;
pub(super) use replica_set::ReplicaSets;
pub(super) use stateful_set::StatefulSets;
