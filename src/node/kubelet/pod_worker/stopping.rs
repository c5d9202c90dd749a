//! How a container is stopped: its preStop hook, then it is told if it listens, then what is left of its
//! grace period, then it is killed.
//!
//! ```text
//! Asked -> Hook -> Serving -> Told -> Killed      it listens
//!                     `-----------------^         it does not: nothing would come of waiting
//! ```
//!
//! Upstream: `pkg/kubelet/kuberuntime/kuberuntime_container.go` (`killContainer`),
//! `kuberuntime_termination_order.go`.

use jiff::{SignedDuration, Timestamp};

use super::machine::{Happening, Plan, PodWorker, Step, told};
use super::record::{ContainerRecord, Kind, State, waiting};
use crate::client::events::EventType;

const TERM: u8 = 15;
const KILL: u8 = 9;
/// Upstream's `minimumGracePeriodInSeconds`: what is left to a container that was told, even if its hook
/// has used all of its grace period.
const GRACE_MIN: SignedDuration = SignedDuration::from_secs(2);

/// A container that is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node::kubelet) struct Stop {
    grace: Grace,
    stage: Stage,
    /// It ends alone, and not with its Pod: it waits neither for other containers nor for connections.
    alone: bool,
    /// It runs again, whatever its exit code says, unless the Pod's containers never do.
    pub(super) restarts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grace {
    /// Counted from the next plan on, which knows the time.
    Seconds(i64),
    Until(Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    /// Its preStop hook runs.
    Hook,
    /// Until its turn has come; if it does not listen, until nobody is connected to the Pod, too. It does
    /// not wait for other containers' hooks.
    Serving,
    Told {
        at: Timestamp,
    },
    Killed,
}

impl PodWorker {
    /// Ends one container of a Pod that goes on, to be started again unless `restartPolicy` is Never.
    /// `message` tells why, in an Event; `grace_seconds` goes before the Pod's own. One that does not
    /// run, or is being stopped already, is left alone.
    pub(in crate::node::kubelet) fn restart(
        &mut self,
        index: usize,
        message: String,
        grace_seconds: Option<i64>,
    ) -> Vec<Happening> {
        if self.ending.is_some() {
            return Vec::new();
        }
        let grace = grace_seconds.unwrap_or(self.grace_seconds);
        self.stop_alone(index, message, grace, true).into_iter().collect()
    }

    pub(super) fn stop_alone(
        &mut self,
        index: usize,
        message: String,
        grace_seconds: i64,
        restarts: bool,
    ) -> Option<Happening> {
        let State::Running { stop: stop @ None, .. } = &mut self.containers[index].state else {
            return None;
        };
        let grace = Grace::Seconds(grace_seconds);
        *stop = Some(Stop { grace, stage: Stage::Asked, alone: true, restarts });
        Some(told(index, EventType::Normal, "Killing", message))
    }

    /// Whether the container's first process wants to be told of its end.
    pub(in crate::node::kubelet) fn listens(&mut self, index: usize, listens: bool) {
        self.containers[index].listens = listens;
    }

    /// The preStop hook is over.
    pub(in crate::node::kubelet) fn pre_stop_ended(
        &mut self,
        index: usize,
        result: Result<(), String>,
    ) -> Option<Happening> {
        let stop = self.containers[index].stop_mut().filter(|stop| stop.stage == Stage::Hook)?;
        stop.stage = Stage::Serving;
        result.err().map(|_| pre_stop_failed(index))
    }

    /// When a grace period is over that begins now.
    pub(super) fn grace_end(&self, now: Timestamp) -> Timestamp {
        after(now, self.grace_seconds)
    }

    /// Begins to end the container with its Pod; one that is being ended has until then at most.
    pub(super) fn stop(
        &mut self,
        index: usize,
        until: Timestamp,
        plan: &mut Plan,
    ) -> Option<Happening> {
        let container = &mut self.containers[index];
        container.start_at = None;
        container.relabel = None;
        match &mut container.state {
            State::Running { stop: stop @ None, .. } => {
                let grace = Grace::Until(until);
                *stop = Some(Stop { grace, stage: Stage::Asked, alone: false, restarts: false });
                let text = format!("Stopping container {}", container.name);
                Some(told(index, EventType::Normal, "Killing", text))
            }
            State::Running { stop: Some(Stop { grace, .. }), .. } => {
                *grace = match *grace {
                    Grace::Until(earlier) => Grace::Until(earlier.min(until)),
                    Grace::Seconds(_) => Grace::Until(until),
                };
                None
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

    /// Takes each container that is being stopped as far as it may go. While the Pod `serves`, those
    /// that do not listen stay.
    pub(super) fn go_on_stopping(
        &mut self,
        now: Timestamp,
        serves: bool,
        plan: &mut Plan,
    ) -> Vec<Happening> {
        let mut happenings = Vec::new();
        for index in 0..self.containers.len() {
            let is_its_turn = self.is_its_turn(index);
            let container = &mut self.containers[index];
            let (listens, has_hook) = (container.listens, container.hooks.pre_stop);
            let Some(stop) = container.stop_mut() else { continue };
            let until = stop.until(now);
            if stop.stage == Stage::Asked {
                let runs_hook = has_hook && now < until;
                stop.stage = if runs_hook { Stage::Hook } else { Stage::Serving };
                plan.steps.extend(runs_hook.then_some(Step::PreStop(index)));
            }
            if stop.stage == Stage::Hook && now >= until {
                stop.stage = Stage::Serving;
                plan.steps.push(Step::CutPreStop(index));
                happenings.push(pre_stop_failed(index));
            }
            let may_go = now >= until || stop.alone || is_its_turn && (listens || !serves);
            if stop.stage == Stage::Serving && may_go {
                stop.stage = if listens { Stage::Told { at: now } } else { Stage::Killed };
                let step = if listens { Step::Tell(index) } else { Step::Kill(index, TERM) };
                plan.steps.push(step);
            }
            match stop.stage {
                Stage::Told { at } if now >= until.max(at + GRACE_MIN) => {
                    stop.stage = Stage::Killed;
                    plan.steps.push(Step::Kill(index, KILL));
                }
                Stage::Told { at } => plan.wake_at(until.max(at + GRACE_MIN)),
                Stage::Hook | Stage::Serving => plan.wake_at(until),
                Stage::Asked | Stage::Killed => {}
            }
        }
        happenings
    }

    /// A preStop hook runs, or is to run.
    pub(super) fn hooks_are_under_way(&self) -> bool {
        let stops = self.containers.iter().filter_map(ContainerRecord::stop);
        stops.into_iter().any(|stop| matches!(stop.stage, Stage::Asked | Stage::Hook))
    }

    /// A container that is not told of its end waits for the Pod's connections, and for nothing else.
    pub(super) fn somebody_serves_on(&self) -> bool {
        self.containers.iter().enumerate().any(|(index, container)| {
            let serves = container.stop().is_some_and(|stop| stop.stage == Stage::Serving);
            serves && !container.listens && self.is_its_turn(index)
        })
    }

    /// Sidecars end after the app containers, the last one first.
    fn is_its_turn(&self, index: usize) -> bool {
        let lives = |(other, container): (usize, &ContainerRecord)| {
            let goes_first = match container.kind {
                Kind::App => true,
                Kind::Sidecar => other > index,
                Kind::Init | Kind::Ephemeral => false,
            };
            goes_first && container.lives()
        };
        self.containers[index].kind != Kind::Sidecar
            || !self.containers.iter().enumerate().any(lives)
    }
}

impl Stop {
    fn until(&mut self, now: Timestamp) -> Timestamp {
        let until = match self.grace {
            Grace::Until(until) => until,
            Grace::Seconds(seconds) => after(now, seconds),
        };
        self.grace = Grace::Until(until);
        until
    }
}

fn pre_stop_failed(index: usize) -> Happening {
    told(index, EventType::Warning, "FailedPreStopHook", "PreStopHook failed".to_owned())
}

/// Grace periods may be as long as the API's numbers: then they never end.
fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
