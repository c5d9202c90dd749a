//! What became of containers that were to start: they run, they have ended, they did not come to it; and
//! whether and when they are tried again.

use std::time::Duration;

use jiff::Timestamp;

use super::machine::{Happening, PodWorker, RestartPolicy, told};
use super::record::{Kind, Run, StartFailure, State, Terminated, waiting};
use crate::client::events::EventType;

/// A failed pull is shown as `ErrImagePull` for this long, then as `ImagePullBackOff`.
const PULL_ERROR_SHOWN: Duration = Duration::from_secs(2);
/// A container whose configuration is incomplete is tried again this often, as upstream's sync
/// period.
const CONFIG_RETRY: Duration = Duration::from_secs(10);

impl PodWorker {
    /// The container's program runs; if it has a postStart hook, that is to run now, and its end to be
    /// told by [`PodWorker::post_start_ended`].
    pub(in crate::node::kubelet) fn started(&mut self, index: usize, run: Run) {
        let container = &mut self.containers[index];
        let before = match &mut container.state {
            State::Starting { before } if container.hooks.post_start => {
                Some(std::mem::replace(before, Box::new(waiting("", None))))
            }
            _ => None,
        };
        if before.is_none() {
            container.settle();
        }
        container.hook_error = None;
        container.state = State::Running { run, before, stop: None };
    }

    /// The postStart hook is over; an error is shown to the user. A container whose hook failed is
    /// ended, and what becomes of it is as with any other failure.
    ///
    /// Upstream: `startContainer` in `kuberuntime_container.go`, which keeps the error out of the
    /// Event, so that it tells no secrets to whoever may read only Events.
    pub(in crate::node::kubelet) fn post_start_ended(
        &mut self,
        index: usize,
        result: Result<(), String>,
    ) -> Vec<Happening> {
        let container = &mut self.containers[index];
        if !matches!(container.state, State::Running { before: Some(_), .. }) {
            return Vec::new();
        }
        let Err(error) = result else {
            container.settle();
            if let State::Running { before, .. } = &mut container.state {
                *before = None;
            }
            return Vec::new();
        };
        container.hook_error = Some(error);
        let text = "PostStartHook failed".to_owned();
        let failed = told(index, EventType::Warning, "FailedPostStartHook", text);
        let grace = self.grace_seconds;
        let stopping = self.stop_alone(index, "FailedPostStartHook".to_owned(), grace, false);
        [failed].into_iter().chain(stopping).collect()
    }

    /// The image that the container uses.
    pub(in crate::node::kubelet) fn found_image(&mut self, index: usize, image: (String, String)) {
        self.containers[index].image = Some(image);
    }

    /// The container did not come to run.
    pub(in crate::node::kubelet) fn failed(
        &mut self,
        index: usize,
        failure: StartFailure,
        id: Option<String>,
        now: Timestamp,
    ) -> Vec<Happening> {
        self.containers[index].settle();
        match failure {
            StartFailure::Image { reason, message } => {
                self.image_failed(index, reason, message, now)
            }
            StartFailure::Config(message) => {
                self.not_begun(index, "CreateContainerConfigError", message, now)
            }
            StartFailure::Create(message) => {
                self.not_begun(index, "CreateContainerError", message, now)
            }
            StartFailure::Run { exit_code, reason, message } => {
                let mut happenings =
                    vec![told(index, EventType::Warning, "Failed", format!("Error: {message}"))];
                let end = Terminated {
                    exit_code,
                    reason: reason.to_owned(),
                    message: Some(message.clone()),
                    id,
                    started_at: None,
                    finished_at: Some(now),
                };
                let shown = waiting("RunContainerError", Some(message));
                happenings.extend(self.ended(index, end, Some(shown), now));
                happenings
            }
        }
    }

    /// The container's run ended.
    pub(in crate::node::kubelet) fn exited(
        &mut self,
        index: usize,
        end: Terminated,
        now: Timestamp,
    ) -> Vec<Happening> {
        let container = &mut self.containers[index];
        container.settle();
        let error = container.hook_error.take();
        let shown = error.map(|error| waiting("PostStartHookError", Some(error)));
        self.ended(index, end, shown, now)
    }

    fn image_failed(
        &mut self,
        index: usize,
        reason: &'static str,
        message: String,
        now: Timestamp,
    ) -> Vec<Happening> {
        let container = &mut self.containers[index];
        container.runs -= 1;
        container.image_backoff.advance(now, now);
        let retry_at = now + container.image_backoff.delay(now);
        container.start_at = Some(retry_at);
        let mut texts = vec![format!("Error: {reason}")];
        if reason == "ErrImagePull" {
            let image = &container.asked;
            texts.insert(0, format!("Failed to pull image {image:?}: {message}"));
            let text = format!("Back-off pulling image {image:?}: {reason}: {message}");
            let backing_off = waiting("ImagePullBackOff", Some(text));
            container.relabel = Some((now + PULL_ERROR_SHOWN, backing_off));
        }
        container.state = waiting(reason, Some(message));
        let tell = |text| told(index, EventType::Warning, "Failed", text);
        texts.into_iter().map(tell).collect()
    }

    /// It was never made: not counted as a run, and tried again.
    fn not_begun(
        &mut self,
        index: usize,
        reason: &'static str,
        message: String,
        now: Timestamp,
    ) -> Vec<Happening> {
        let container = &mut self.containers[index];
        container.runs -= 1;
        container.start_at = Some(now + CONFIG_RETRY);
        container.state = waiting(reason, Some(message.clone()));
        vec![told(index, EventType::Warning, "Failed", format!("Error: {message}"))]
    }

    /// Decides whether and when the container runs again. `shown` is what it shows meanwhile if it
    /// need not wait.
    fn ended(
        &mut self,
        index: usize,
        end: Terminated,
        shown: Option<State>,
        now: Timestamp,
    ) -> Vec<Happening> {
        let is_restart = self.containers[index].stop().is_some_and(|stop| stop.restarts);
        let again = self.ending.is_none()
            && if is_restart {
                self.restart_policy != RestartPolicy::Never
                    || self.containers[index].kind == Kind::Sidecar
            } else {
                self.restarts(index, end.exit_code)
            };
        let called = self.called.clone();
        let container = &mut self.containers[index];
        let finished_at = end.finished_at.unwrap_or(now);
        container.start_at = None;
        container.state = State::Terminated(end.clone());
        if !again {
            return Vec::new();
        }
        let delay = container.crash_backoff.delay(finished_at);
        container.start_at = Some(finished_at + delay);
        if delay.is_zero() {
            if let Some(shown) = shown {
                container.last = Some(end);
                container.state = shown;
            }
            return Vec::new();
        }
        container.last = Some(end);
        let name = &container.name;
        let text = format!(
            "back-off {} restarting failed container={name} pod={called}",
            go_duration(delay)
        );
        container.state = waiting("CrashLoopBackOff", Some(text));
        let text = format!("Back-off restarting failed container {name} in pod {called}");
        vec![told(index, EventType::Warning, "BackOff", text)]
    }

    /// What restartPolicy says of a container that ended with this code.
    pub(super) fn restarts(&self, index: usize, exit_code: i32) -> bool {
        match (self.containers[index].kind, self.restart_policy) {
            (Kind::Sidecar, _) => !self.apps_are_done(),
            (Kind::Init, RestartPolicy::Always | RestartPolicy::OnFailure)
            | (Kind::App, RestartPolicy::OnFailure) => exit_code != 0,
            (Kind::App, RestartPolicy::Always) => true,
            (Kind::Init | Kind::App, RestartPolicy::Never) | (Kind::Ephemeral, _) => false,
        }
    }
}

/// A whole number of seconds as Go prints a duration: `10s`, `2m40s`, `5m0s`.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}
