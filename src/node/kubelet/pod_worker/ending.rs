//! How a Pod ends: its connections first, then its containers.
//!
//! Upstream: `pkg/kubelet/kuberuntime/kuberuntime_container.go` (`killContainersWithSyncResult`). There
//! a container is told to end and closes its connections by itself; most guests cannot be told, so the
//! node waits for the connections instead, at most the grace period.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::machine::{Happening, Plan, PodWorker, Step};
use super::record::{ContainerRecord, Ending};

/// How far a Pod that is being deleted is with its connections.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draining {
    #[default]
    NotBegun,
    /// Its containers are said to be stopping, and serve on; their preStop hooks run.
    Begun,
    /// Nobody is to be connected any more.
    Retiring,
    Over,
}

/// Whether nobody is connected to a Pod some of whose containers have no hook to wait for. It may have
/// connections again a moment later: the other containers' hooks are there to have them come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quiet {
    #[default]
    NotAsked,
    Asked,
    Now,
}

impl PodWorker {
    /// The object is being deleted, or gone.
    pub(in crate::node::kubelet) fn end(&mut self, ending: Ending) {
        let stronger = matches!(
            (&self.ending, &ending),
            (None, _) | (_, Ending::Gone) | (Some(Ending::Failed { .. }), Ending::Deleted)
        );
        if stronger && let Some(weaker) = self.ending.replace(ending) {
            self.ended_before = Some(weaker);
        }
    }

    /// The node cannot wait as long as the Pod would like. Upstream: `immediateEvictionGracePeriodSeconds`
    /// in `pkg/kubelet/eviction/eviction_manager.go`.
    pub(in crate::node::kubelet) fn hurry(&mut self) {
        self.grace_seconds = self.grace_seconds.min(1);
    }

    /// Why the Pod failed as a whole, if it did: reason and message. A DELETE that comes later does not
    /// change it.
    pub(in crate::node::kubelet) fn failure(&self) -> Option<(&str, &str)> {
        let endings = [&self.ending, &self.ended_before];
        endings.into_iter().flatten().find_map(|ending| match ending {
            Ending::Failed { reason, message } => Some((reason.as_str(), message.as_str())),
            Ending::Deleted | Ending::Gone => None,
        })
    }

    /// Nobody is connected to the Pod any more, and nobody will be.
    pub(in crate::node::kubelet) fn drained(&mut self) {
        self.draining = Draining::Over;
    }

    /// Nobody is connected to the Pod at this moment.
    pub(in crate::node::kubelet) fn quiet(&mut self) {
        self.quiet = Quiet::Now;
    }

    /// `deletionTimestamp` is when the grace period is over; a later DELETE may bring it forward.
    pub(super) fn note_deletion(&mut self, pod: &Pod) {
        self.kill_at = pod.metadata.deletion_timestamp.as_ref().map(|at| at.0);
    }

    pub(super) fn wind_up(&mut self, now: Timestamp, plan: &mut Plan) -> Vec<Happening> {
        let until = match self.ending {
            Some(Ending::Deleted) => self.kill_at.unwrap_or(now),
            Some(Ending::Failed { .. }) => self.grace_end(now),
            Some(Ending::Gone) | None => now,
        };
        let mut happenings = Vec::new();
        for index in 0..self.containers.len() {
            happenings.extend(self.stop(index, until, plan));
        }
        self.drain(now < until, plan);
        let serves = match self.draining {
            Draining::Begun => self.quiet != Quiet::Now,
            Draining::Retiring => true,
            Draining::NotBegun | Draining::Over => false,
        };
        happenings.extend(self.go_on_stopping(now, serves, plan));
        if self.quiet == Quiet::Now {
            self.quiet = Quiet::NotAsked;
        }
        if self.draining == Draining::Begun {
            self.go_on_draining(plan);
        }
        let removes = matches!(self.ending, Some(Ending::Deleted | Ending::Gone));
        if removes && !self.containers.iter().any(ContainerRecord::lives) {
            plan.steps.push(Step::Finish);
        }
        happenings
    }

    /// While hooks run, connections may come: a hook may be there for that, or make one itself.
    fn go_on_draining(&mut self, plan: &mut Plan) {
        if !self.hooks_are_under_way() {
            self.draining = Draining::Retiring;
            plan.steps.push(Step::Retire);
        } else if self.quiet == Quiet::NotAsked && self.somebody_serves_on() {
            self.quiet = Quiet::Asked;
            plan.steps.push(Step::AwaitQuiet);
        }
    }

    fn drain(&mut self, has_time: bool, plan: &mut Plan) {
        let serves = self.containers.iter().any(|container| container.run().is_some());
        let drains = self.ending == Some(Ending::Deleted) && serves && has_time;
        match self.draining {
            Draining::NotBegun if drains => {
                self.draining = Draining::Begun;
                plan.steps.push(Step::Drain);
            }
            Draining::Begun | Draining::Retiring if !drains => self.draining = Draining::Over,
            _ => {}
        }
    }
}
