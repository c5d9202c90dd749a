//! How a Pod ends: its connections first, then its containers.
//!
//! Upstream: `pkg/kubelet/kuberuntime/kuberuntime_container.go` (`killContainersWithSyncResult`). There
//! a container is told to end and closes its connections by itself; no guest can be told, so the node
//! waits for the connections instead, at most the grace period.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::machine::{Happening, Plan, PodWorker, Step, told};
use super::record::{ContainerRecord, Ending, State, waiting};
use crate::client::events::EventType;

/// How far a Pod that is being deleted is with its connections.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draining {
    #[default]
    NotBegun,
    /// Its containers are said to be stopping, and serve on.
    Begun,
    Over,
}

impl PodWorker {
    /// The object is being deleted, or gone.
    pub(in crate::node::kubelet) fn end(&mut self, ending: Ending) {
        let stronger = matches!(
            (&self.ending, &ending),
            (None, _) | (_, Ending::Gone) | (Some(Ending::Failed { .. }), Ending::Deleted)
        );
        if stronger {
            self.ending = Some(ending);
        }
    }

    /// Nobody is connected to the Pod any more, and nobody will be.
    pub(in crate::node::kubelet) fn drained(&mut self) {
        self.draining = Draining::Over;
    }

    /// `deletionTimestamp` is when the grace period is over; a later DELETE may bring it forward.
    pub(super) fn note_deletion(&mut self, pod: &Pod) {
        self.kill_at = pod.metadata.deletion_timestamp.as_ref().map(|at| at.0);
    }

    pub(super) fn wind_up(&mut self, now: Timestamp, plan: &mut Plan) -> Vec<Happening> {
        let mut happenings = self.drain(now, plan);
        let serves_on = self.draining == Draining::Begun;
        for index in 0..self.containers.len() {
            if !(serves_on && self.containers[index].is_running()) {
                happenings.extend(self.stop(index, plan));
            }
        }
        let removes = matches!(self.ending, Some(Ending::Deleted | Ending::Gone));
        if removes && !self.containers.iter().any(ContainerRecord::lives) {
            plan.steps.push(Step::Finish);
        }
        happenings
    }

    fn drain(&mut self, now: Timestamp, plan: &mut Plan) -> Vec<Happening> {
        let serves = self.containers.iter().any(ContainerRecord::is_running);
        let drains = self.ending == Some(Ending::Deleted) && self.draining != Draining::Over;
        let Some(until) = self.kill_at.filter(|at| drains && serves && *at > now) else {
            if self.draining == Draining::Begun {
                self.draining = Draining::Over;
            }
            return Vec::new();
        };
        plan.wake_at(until);
        if self.draining == Draining::Begun {
            return Vec::new();
        }
        self.draining = Draining::Begun;
        plan.steps.push(Step::Drain);
        let running = self.containers.iter().enumerate().filter(|(_, one)| one.is_running());
        running.map(|(index, container)| stopping(index, container)).collect()
    }

    pub(super) fn stop(&mut self, index: usize, plan: &mut Plan) -> Option<Happening> {
        let container = &mut self.containers[index];
        container.start_at = None;
        container.relabel = None;
        match &mut container.state {
            State::Running { stopping: is_stopping, .. } if !*is_stopping => {
                *is_stopping = true;
                plan.steps.push(Step::Kill(index));
                // Else it was told when the draining began.
                let is_news = self.draining == Draining::NotBegun;
                is_news.then(|| stopping(index, &self.containers[index]))
            }
            State::Starting { before } => {
                let before = std::mem::replace(&mut **before, waiting("ContainerCreating", None));
                container.state = before;
                container.runs -= 1;
                plan.steps.push(Step::Abandon(index));
                None
            }
            _ => None,
        }
    }
}

fn stopping(index: usize, container: &ContainerRecord) -> Happening {
    let text = format!("Stopping container {}", container.name);
    told(index, EventType::Normal, "Killing", text)
}
