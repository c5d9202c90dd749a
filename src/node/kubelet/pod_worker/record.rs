//! What is known of a Pod's containers.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, PodStatus, VolumeMountStatus};

use super::backoff::Backoff;
use super::probes::Health;
use super::stopping::Stop;

/// When a container runs within its Pod's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::kubelet) enum Kind {
    /// Before the others, to its end.
    Init,
    /// An init container with `restartPolicy: Always`: from its turn on, beside the others.
    Sidecar,
    App,
    /// Added while the Pod runs, by whoever debugs it: runs at most once, and nothing waits for it.
    Ephemeral,
}

/// Why a Pod's containers are being ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node::kubelet) enum Ending {
    /// The object is being deleted; once nothing lives it is removed.
    Deleted,
    /// The object is gone already: nobody is left to tell.
    Gone,
    /// The Pod failed as a whole; `reason` and `message` go into its status, unless they are empty.
    Failed { reason: String, message: String },
}

impl Ending {
    /// As the object says.
    pub(in crate::node::kubelet) fn failed(said: &PodStatus) -> Self {
        let text = |given: &Option<String>| given.clone().unwrap_or_default();
        Self::Failed { reason: text(&said.reason), message: text(&said.message) }
    }
}

/// One try at running a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node::kubelet) struct Run {
    /// `sampan://…`
    pub(in crate::node::kubelet) id: String,
    pub(in crate::node::kubelet) started_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node::kubelet) struct Terminated {
    pub(in crate::node::kubelet) exit_code: i32,
    pub(in crate::node::kubelet) reason: String,
    pub(in crate::node::kubelet) message: Option<String>,
    pub(in crate::node::kubelet) id: Option<String>,
    pub(in crate::node::kubelet) started_at: Option<Timestamp>,
    pub(in crate::node::kubelet) finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node::kubelet) enum State {
    Waiting {
        reason: String,
        message: Option<String>,
    },
    /// Under way; the status still shows what was before.
    Starting {
        before: Box<Self>,
    },
    Running {
        run: Run,
        /// What the status still shows, until its postStart hook is over.
        before: Option<Box<Self>>,
        stop: Option<Stop>,
    },
    Terminated(Terminated),
}

/// Why a container did not come to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node::kubelet) enum StartFailure {
    /// `InvalidImageName`, `ErrImagePull`, `ErrImageNeverPull`.
    Image { reason: &'static str, message: String },
    /// `CreateContainerConfigError`.
    Config(String),
    /// `CreateContainerError`: the host could not prepare it.
    Create(String),
    /// It was made, but its program could not be started: counts as a run that ended.
    Run { exit_code: i32, reason: &'static str, message: String },
}

#[derive(Debug, Clone)]
pub(in crate::node::kubelet) struct ContainerRecord {
    pub(in crate::node::kubelet) name: String,
    pub(in crate::node::kubelet) kind: Kind,
    /// The image as the spec names it.
    pub(in crate::node::kubelet) asked: String,
    /// As the status shows them.
    pub(in crate::node::kubelet) mounts: Vec<VolumeMountStatus>,
    pub(in crate::node::kubelet) state: State,
    /// The run before the one that `state` speaks of.
    pub(in crate::node::kubelet) last: Option<Terminated>,
    /// Runs that were begun.
    pub(in crate::node::kubelet) runs: u32,
    /// The image in use: reference and digest.
    pub(in crate::node::kubelet) image: Option<(String, String)>,
    /// Of the run that goes on.
    pub(super) health: Health,
    pub(super) crash_backoff: Backoff,
    pub(super) image_backoff: Backoff,
    /// When to start it (again) when it is its turn; `None` is never.
    pub(super) start_at: Option<Timestamp>,
    /// What a waiting container is to be shown as from then on.
    pub(super) relabel: Option<(Timestamp, State)>,
    pub(super) hooks: Hooks,
    /// Its first process wants to be told that it is to end, and ends by itself then.
    pub(super) listens: bool,
    /// Why its postStart hook failed, in this run.
    pub(super) hook_error: Option<String>,
}

/// What a container has done for it when it starts and before it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hooks {
    pub(super) post_start: bool,
    pub(super) pre_stop: bool,
}

impl Hooks {
    fn of(container: &Container) -> Self {
        let Some(lifecycle) = &container.lifecycle else { return Self::default() };
        Self { post_start: lifecycle.post_start.is_some(), pre_stop: lifecycle.pre_stop.is_some() }
    }
}

impl ContainerRecord {
    pub(super) fn new(container: &Container, kind: Kind, reason: &str) -> Self {
        Self {
            name: container.name.clone(),
            kind,
            asked: container.image.clone().unwrap_or_default(),
            mounts: mounts(container),
            state: waiting(reason, None),
            last: None,
            runs: 0,
            image: None,
            health: Health::WELL,
            crash_backoff: Backoff::default(),
            image_backoff: Backoff::default(),
            start_at: Some(Timestamp::MIN),
            relabel: None,
            hooks: Hooks::of(container),
            listens: false,
            hook_error: None,
        }
    }

    /// What the API calls `restartCount`: runs before the one that is shown.
    pub(in crate::node::kubelet) fn restart_count(&self) -> u32 {
        let under_way = u32::from(self.is_coming_up());
        self.runs.saturating_sub(1 + under_way)
    }

    /// The start that was under way has led to something: the run before it is the last one now.
    pub(super) fn settle(&mut self) {
        if self.is_coming_up()
            && let State::Terminated(end) = self.shown()
        {
            self.last = Some(end.clone());
        }
    }

    pub(in crate::node::kubelet) fn lives(&self) -> bool {
        matches!(self.state, State::Starting { .. } | State::Running { .. })
    }

    /// Its start is over, and its postStart hook, too.
    pub(in crate::node::kubelet) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { before: None, .. })
    }

    /// It is being started, or its postStart hook runs: the status shows what was before.
    pub(super) fn is_coming_up(&self) -> bool {
        matches!(self.state, State::Starting { .. } | State::Running { before: Some(_), .. })
    }

    /// The run that is going on.
    pub(in crate::node::kubelet) fn run(&self) -> Option<&Run> {
        match &self.state {
            State::Running { run, .. } => Some(run),
            _ => None,
        }
    }

    pub(super) fn stop(&self) -> Option<&Stop> {
        match &self.state {
            State::Running { stop, .. } => stop.as_ref(),
            _ => None,
        }
    }

    pub(super) fn stop_mut(&mut self) -> Option<&mut Stop> {
        match &mut self.state {
            State::Running { stop, .. } => stop.as_mut(),
            _ => None,
        }
    }

    /// It runs, or has run before.
    pub(in crate::node::kubelet) fn has_run(&self) -> bool {
        !matches!(self.shown(), State::Waiting { .. }) || self.last.is_some()
    }

    /// It runs, and its startup probe has succeeded if it has one.
    pub(in crate::node::kubelet) fn has_started(&self) -> bool {
        self.is_running() && self.health.started
    }

    /// It has started, and its readiness probe says that it is ready, if it has one.
    pub(in crate::node::kubelet) fn serves(&self) -> bool {
        self.has_started() && self.health.ready
    }

    /// What the status shows.
    pub(in crate::node::kubelet) fn shown(&self) -> &State {
        match &self.state {
            State::Starting { before } | State::Running { before: Some(before), .. } => before,
            state => state,
        }
    }

    /// Has ended and is not to be started again.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Terminated(_)) && self.start_at.is_none()
    }

    pub(super) fn has_succeeded(&self) -> bool {
        matches!(&self.state, State::Terminated(end) if end.exit_code == 0)
    }
}

/// Nothing is mounted within a volume, so that one that is mounted read-only is so to its depth: who
/// asks for that has it.
///
/// Upstream: `convertToAPIContainerStatuses`, KEP-3857.
fn mounts(container: &Container) -> Vec<VolumeMountStatus> {
    let mounts = container.volume_mounts.iter().flatten();
    mounts
        .map(|mount| {
            let read_only = mount.read_only.filter(|read_only| *read_only);
            let asked = mount.recursive_read_only.as_deref().unwrap_or("Disabled");
            let mode = if asked == "Disabled" { "Disabled" } else { "Enabled" };
            VolumeMountStatus {
                mount_path: mount.mount_path.clone(),
                name: mount.name.clone(),
                read_only,
                recursive_read_only: read_only.map(|_| mode.to_owned()),
            }
        })
        .collect()
}

pub(super) fn waiting(reason: &str, message: Option<String>) -> State {
    State::Waiting { reason: reason.to_owned(), message }
}
