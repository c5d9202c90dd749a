//! The state machine.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::ending::{Draining, Quiet};
use super::ephemeral::first_reason;
use super::record::{ContainerRecord, Ending, Kind, State};
use super::resume::{self, LastStop};
use crate::client::events::EventType;

/// The API server's default, for a Pod that it did not see.
const GRACE_SECONDS: i64 = 30;

/// One Pod on this node.
#[derive(Debug)]
pub(in crate::node::kubelet) struct PodWorker {
    /// Init containers and sidecars in order, then the app containers, as in the spec; then the
    /// ephemeral ones as they come. Whoever is in here stays at its index.
    pub(in crate::node::kubelet) containers: Vec<ContainerRecord>,
    pub(in crate::node::kubelet) started_at: Timestamp,
    pub(in crate::node::kubelet) ending: Option<Ending>,
    /// What `ending` was before.
    pub(super) ended_before: Option<Ending>,
    /// `name_namespace(uid)`, as the kubelet calls a Pod in messages.
    pub(super) called: String,
    pub(super) restart_policy: RestartPolicy,
    /// What its containers have to end, in seconds.
    pub(super) grace_seconds: i64,
    deadline: Option<Timestamp>,
    /// Nothing may be started.
    held: bool,
    volumes: Volumes,
    pub(super) draining: Draining,
    pub(super) quiet: Quiet,
    /// When a deleted Pod's containers are ended, whoever is connected to it.
    pub(super) kill_at: Option<Timestamp>,
}

/// How far a Pod's volumes are: without them no container is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::kubelet) enum Volumes {
    Ready,
    UnderWay,
    /// Something is missing.
    Failing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::node::kubelet) struct Plan {
    pub(in crate::node::kubelet) steps: Vec<Step>,
    /// When to ask again, if nothing happens before.
    pub(in crate::node::kubelet) wake: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::node::kubelet) enum Step {
    /// Start this container; its number of runs is already counted.
    Start(usize),
    /// Give up starting this container.
    Abandon(usize),
    /// Have new connections go to other Pods, if there are any.
    Drain,
    /// Say by [`PodWorker::quiet`] when nobody is connected to the Pod.
    AwaitQuiet,
    /// Have the Pod's connections come to an end; say so by [`PodWorker::drained`].
    Retire,
    /// Run this container's preStop hook; say so by [`PodWorker::pre_stop_ended`] when it is over.
    PreStop(usize),
    /// Its grace period is over: give up its preStop hook.
    CutPreStop(usize),
    /// Tell this container to end, as it has asked for.
    Tell(usize),
    /// End this container with this signal.
    Kill(usize, u8),
    /// Nothing lives, and the object is to go.
    Finish,
}

/// Something to tell in an Event; about the Pod if `container` is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node::kubelet) struct Happening {
    pub(in crate::node::kubelet) container: Option<usize>,
    pub(in crate::node::kubelet) type_: EventType,
    pub(in crate::node::kubelet) reason: &'static str,
    pub(in crate::node::kubelet) message: String,
}

impl PodWorker {
    /// A Pod that this node sees for the first time since sampan was started: a new one, or one
    /// that an earlier sampan ran, by what its status says.
    pub(in crate::node::kubelet) fn new(pod: &Pod, last_stop: LastStop, now: Timestamp) -> Self {
        let none = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&none);
        let first = first_reason(spec);
        let init = spec.init_containers.iter().flatten().map(|container| {
            ContainerRecord::new(container, init_kind(container), "PodInitializing")
        });
        let apps = spec
            .containers
            .iter()
            .map(|container| ContainerRecord::new(container, Kind::App, first));
        let status = pod.status.as_ref();
        let started_at =
            status.and_then(|status| status.start_time.as_ref()).map_or(now, |at| at.0);
        let mut worker = Self {
            containers: init.chain(apps).collect(),
            started_at,
            ending: None,
            ended_before: None,
            called: called(pod),
            restart_policy: RestartPolicy::parse(spec.restart_policy.as_deref()),
            grace_seconds: spec.termination_grace_period_seconds.unwrap_or(GRACE_SECONDS),
            deadline: None,
            held: false,
            volumes: Volumes::Ready,
            draining: Draining::default(),
            quiet: Quiet::default(),
            kill_at: None,
        };
        worker.note_deadline(spec);
        worker.note_deletion(pod);
        worker.add_ephemeral(spec, status);
        if let Some(status) = status {
            resume::resume(&mut worker, status, last_stop, now);
        }
        worker
    }

    /// It may be set, or brought forward, while the Pod runs.
    pub(super) fn note_deadline(&mut self, spec: &PodSpec) {
        self.deadline = spec.active_deadline_seconds.and_then(|seconds| {
            self.started_at.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()
        });
    }

    /// Something that containers need is missing: none is started.
    pub(in crate::node::kubelet) fn hold(&mut self) {
        self.held = true;
    }

    /// What became of the Pod's volumes.
    pub(in crate::node::kubelet) fn volumes_are(&mut self, volumes: Volumes) {
        self.volumes = volumes;
    }

    /// No container has come to run, or to fail, in this life or an earlier one.
    pub(in crate::node::kubelet) fn never_ran(&self) -> bool {
        self.containers.iter().all(|container| {
            matches!(container.shown(), State::Waiting { .. }) && container.last.is_none()
        })
    }

    /// Nothing of it lives, and nothing is to be started: for a Pod that nobody deletes.
    pub(in crate::node::kubelet) fn has_ended(&self) -> bool {
        let has_failed = match &self.ending {
            None => false,
            Some(Ending::Failed { .. }) => true,
            Some(Ending::Deleted | Ending::Gone) => return false,
        };
        let is_over = |one: &ContainerRecord| has_failed || one.start_at.is_none();
        self.containers.iter().all(|container| !container.lives() && is_over(container))
    }

    /// There is nothing to say yet but that containers are being made.
    pub(in crate::node::kubelet) fn is_being_created(&self) -> bool {
        self.ending.is_none()
            && !self.held
            && self.volumes != Volumes::Failing
            && self.never_ran()
            && self.containers.iter().all(|container| {
                matches!(&container.state, State::Starting { .. })
                    || matches!(container.shown(), State::Waiting { message: None, .. })
            })
    }

    /// Decides the next steps and takes note of them: what it answers is to be done.
    pub(in crate::node::kubelet) fn plan(&mut self, now: Timestamp) -> (Plan, Vec<Happening>) {
        let mut plan = Plan::default();
        let mut happenings = self.relabel(now, &mut plan);
        happenings.extend(self.watch_deadline(now, &mut plan));
        if self.ending.is_some() {
            happenings.extend(self.wind_up(now, &mut plan));
        } else {
            if !self.held && self.volumes == Volumes::Ready {
                self.bring_up(now, &mut plan);
            }
            happenings.extend(self.retire_companions(now, &mut plan));
            happenings.extend(self.go_on_stopping(now, false, &mut plan));
        }
        (plan, happenings)
    }

    fn relabel(&mut self, now: Timestamp, plan: &mut Plan) -> Vec<Happening> {
        let mut happenings = Vec::new();
        for (index, container) in self.containers.iter_mut().enumerate() {
            match container.relabel.take() {
                Some((at, state)) if at > now => {
                    plan.wake_at(at);
                    container.relabel = Some((at, state));
                }
                Some((_, state)) => {
                    container.state = state;
                    let text = format!("Back-off pulling image {:?}", container.asked);
                    happenings.push(told(index, EventType::Normal, "BackOff", text));
                    let text = "Error: ImagePullBackOff".to_owned();
                    happenings.push(told(index, EventType::Warning, "Failed", text));
                }
                None => {}
            }
        }
        happenings
    }

    fn watch_deadline(&mut self, now: Timestamp, plan: &mut Plan) -> Option<Happening> {
        let deadline = self.deadline.filter(|_| self.ending.is_none() && !self.apps_are_done())?;
        if deadline > now {
            plan.wake_at(deadline);
            return None;
        }
        let message = "Pod was active on the node longer than the specified deadline".to_owned();
        let reason = "DeadlineExceeded";
        self.ending = Some(Ending::Failed { reason: reason.to_owned(), message: message.clone() });
        Some(Happening { container: None, type_: EventType::Normal, reason, message })
    }

    /// Ends what only accompanies the Pod's work when that is over.
    fn retire_companions(&mut self, now: Timestamp, plan: &mut Plan) -> Vec<Happening> {
        if !self.apps_are_done() {
            return Vec::new();
        }
        let companions = (0..self.containers.len()).filter(|index| {
            matches!(self.containers[*index].kind, Kind::Sidecar | Kind::Ephemeral)
        });
        // The last started goes first, as upstream.
        let companions: Vec<usize> = companions.rev().collect();
        let until = self.grace_end(now);
        companions.into_iter().filter_map(|index| self.stop(index, until, plan)).collect()
    }
}

impl Plan {
    pub(super) fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |earlier| earlier.min(at)));
    }
}

impl RestartPolicy {
    fn parse(text: Option<&str>) -> Self {
        match text {
            Some("OnFailure") => Self::OnFailure,
            Some("Never") => Self::Never,
            _ => Self::Always,
        }
    }
}

pub(super) fn told(
    index: usize,
    type_: EventType,
    reason: &'static str,
    message: String,
) -> Happening {
    Happening { container: Some(index), type_, reason, message }
}

fn init_kind(container: &Container) -> Kind {
    match container.restart_policy.as_deref() {
        Some("Always") => Kind::Sidecar,
        _ => Kind::Init,
    }
}

/// Upstream: `format.Pod`.
pub(in crate::node::kubelet) fn called(pod: &Pod) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let meta = &pod.metadata;
    format!("{}_{}({})", part(&meta.name), part(&meta.namespace), part(&meta.uid))
}
