//! The kinds of `apps`: sets of Pods made from a template; each is entered through `RESOURCES`.

mod deployment;
mod replica_set;
mod workload;

pub(super) use deployment::Deployments;
pub(super) use replica_set::ReplicaSets;
