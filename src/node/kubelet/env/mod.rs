//! What a container is started with: its environment, its command, its working directory.
//!
//! Enter by [`Sources::needed_by`] (what must be looked up), then [`environment`] and [`argv`]; all
//! pure.
//!
//! Upstream: `pkg/kubelet/kubelet_pods.go` (`makeEnvironmentVariables`),
//! `pkg/kubelet/container/helpers.go` (`ExpandContainerCommandAndArgs`), `third_party/forked/golang/expansion`.

mod expand;
mod services;
mod sources;
mod variables;

#[cfg(test)]
mod tests;

pub(super) use expand::expand;
pub(super) use services::of_services;
pub(super) use sources::{Needed, Sources};
pub(super) use variables::{argv, environment};
