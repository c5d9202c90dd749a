//! In which order a Pod's containers start.

use jiff::Timestamp;

use super::machine::{Plan, PodWorker, Step};
use super::record::{ContainerRecord, Kind, State, waiting};

impl PodWorker {
    pub(super) fn bring_up(&mut self, now: Timestamp, plan: &mut Plan) {
        if self.apps_are_done() {
            return;
        }
        // Ephemeral containers wait for no other: a Pod that does not get up is to be debugged too.
        for index in 0..self.containers.len() {
            if self.containers[index].kind == Kind::Ephemeral {
                self.start_if_due(index, now, plan);
            }
        }
        let initialized = self.of_kind(Kind::App).any(|container| container.runs > 0);
        for index in 0..self.containers.len() {
            self.start_if_due(index, now, plan);
            let container = &self.containers[index];
            let goes_on = match container.kind {
                Kind::Init => container.has_succeeded(),
                Kind::Sidecar => initialized || container.has_started(),
                // Upstream starts one after the other, each with its hook: users rely on that.
                Kind::App => !(container.hooks.post_start && container.is_coming_up()),
                Kind::Ephemeral => true,
            };
            if !goes_on {
                return;
            }
        }
    }

    fn start_if_due(&mut self, index: usize, now: Timestamp, plan: &mut Plan) {
        let container = &mut self.containers[index];
        let Some(start_at) = container.start_at.filter(|_| !container.lives()) else { return };
        if start_at > now {
            plan.wake_at(start_at);
            return;
        }
        let end = match &container.state {
            State::Terminated(end) => Some(end),
            _ => container.last.as_ref(),
        };
        if let Some(finished_at) = end.and_then(|end| end.finished_at) {
            container.crash_backoff.advance(finished_at, now);
        }
        container.runs += 1;
        container.start_at = None;
        container.relabel = None;
        let before = std::mem::replace(&mut container.state, waiting("ContainerCreating", None));
        container.state = State::Starting { before: Box::new(before) };
        plan.steps.push(Step::Start(index));
    }

    /// The Pod's work is over: nothing is left to run but, perhaps, sidecars and ephemeral
    /// containers.
    pub(super) fn apps_are_done(&self) -> bool {
        self.init_failed() || self.of_kind(Kind::App).all(ContainerRecord::is_done)
    }

    /// An init container failed for good.
    fn init_failed(&self) -> bool {
        self.of_kind(Kind::Init).any(|container| container.is_done() && !container.has_succeeded())
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &ContainerRecord> {
        self.containers.iter().filter(move |container| container.kind == kind)
    }
}
