//! Keeps `pods/status` at the API server as it is here: one write at a time, the newest wins, and
//! nothing is written that does not change anything.
//!
//! Upstream: `pkg/kubelet/status/status_manager.go`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::Patch;
use serde_json::{Map, Value, json};
use tracing::debug;

use super::lifecycle::Context;
use crate::client::written;

/// A status that says no more than "being created" is held back this long: most containers start
/// sooner, and their Pod is spared a write.
const CREATING_HELD: Duration = Duration::from_millis(100);
/// A failed write is tried again after this long.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct StatusWriter {
    ctx: Arc<Context>,
    pod: Arc<Pod>,
    wanted: PodStatus,
    /// What the server has, as far as we know.
    written: PodStatus,
    /// Before it is written that the first container runs: until those that wait for a thread have had
    /// theirs. A container that ends at once has often done so by then, and its Pod is spared a write.
    turn: Option<BoxFuture<'static, ()>>,
    writing: Option<BoxFuture<'static, Result<(PodStatus, u64), kube::Error>>>,
    /// When that was, as a revision.
    written_at: u64,
    /// Not before this time of the monotonic clock.
    not_before: Duration,
    /// The object is gone: there is nothing to write to.
    gone: bool,
}

impl StatusWriter {
    pub(super) fn new(ctx: Arc<Context>, pod: Arc<Pod>) -> Self {
        let written = pod.status.clone().unwrap_or_default();
        let not_before = ctx.rooms.clock.monotonic();
        let (wanted, written_at) = (written.clone(), revision(&pod));
        let (turn, writing, gone) = (None, None, false);
        Self { ctx, pod, wanted, written, turn, writing, written_at, not_before, gone }
    }

    /// The status as it should be at the server.
    pub(super) fn wanted(&self) -> &PodStatus {
        &self.wanted
    }

    /// Has `status` written as soon as may be; with `held` only if nothing better comes soon.
    pub(super) fn want(&mut self, status: PodStatus, held: bool) {
        let now = self.ctx.rooms.clock.monotonic();
        if held && status != self.wanted {
            self.not_before = self.not_before.max(now + CREATING_HELD);
        } else if !held && status != self.wanted && self.not_before <= now + CREATING_HELD {
            self.not_before = now;
        }
        self.wanted = status;
        self.go_on();
    }

    /// The object has changed. If somebody else has said whether the Pod is ready, that is put right: the
    /// controllers do, of a node that they have not heard of for long.
    ///
    /// Upstream: `needsReconcile`.
    pub(super) fn object_is(&mut self, pod: &Pod) {
        // What comes late is older than what we wrote.
        if !self.is_idle() || revision(pod) <= self.written_at {
            return;
        }
        let Some(status) = &pod.status else { return };
        if ready(status) != ready(&self.written) {
            self.written.conditions.clone_from(&status.conditions);
            self.go_on();
        }
    }

    /// All that is wanted has been written, or nothing can be.
    pub(super) fn is_done(&self) -> bool {
        self.gone || self.is_idle() && self.wanted == self.written
    }

    fn is_idle(&self) -> bool {
        self.turn.is_none() && self.writing.is_none()
    }

    pub(super) fn give_up(&mut self) {
        self.gone = true;
    }

    /// When to call [`StatusWriter::go_on`], on the monotonic clock.
    pub(super) fn wake(&self) -> Option<Duration> {
        let waits = !self.gone && self.is_idle() && self.wanted != self.written;
        waits.then_some(self.not_before)
    }

    /// Begins a write if there is something to write and nothing speaks against it.
    pub(super) fn go_on(&mut self) {
        let due = self.wake().is_some_and(|at| at <= self.ctx.rooms.clock.monotonic());
        if due && runs(&self.wanted) && !runs(&self.written) {
            self.turn = Some(Box::pin(tokio::task::yield_now()));
        } else if due {
            self.begin();
        }
    }

    fn begin(&mut self) {
        if !self.gone && self.wanted != self.written {
            let patch = patch(&self.pod, &self.written, &self.wanted);
            let write = write(self.ctx.clone(), self.pod.clone(), patch, self.wanted.clone());
            self.writing = Some(Box::pin(write));
        }
    }

    /// Waits for the write under way, if there is one, else for ever. Losing the race of a `select!`
    /// loses nothing.
    pub(super) async fn finished(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.await;
            self.turn = None;
            self.begin();
        }
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        let outcome = writing.await;
        self.writing = None;
        match outcome {
            Ok((status, at)) => (self.written, self.written_at) = (status, at),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => self.gone = true,
            Err(error) => {
                debug!(%error, "Failed to write a Pod's status; trying again");
                self.not_before = self.ctx.rooms.clock.monotonic() + RETRY;
            }
        }
        self.go_on();
    }
}

fn runs(status: &PodStatus) -> bool {
    let containers = status.container_statuses.iter().flatten();
    containers.flat_map(|container| &container.state).any(|state| state.running.is_some())
}

/// Writes the patch; answers what the server has now, and since which revision.
async fn write(
    ctx: Arc<Context>,
    pod: Arc<Pod>,
    patch: Value,
    wanted: PodStatus,
) -> Result<(PodStatus, u64), kube::Error> {
    let meta = &pod.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    let patch = Patch::Merge(&patch);
    let name = (namespace, name);
    let answer = written::patch::<Pod>(&ctx.rooms.client, name, Some("status"), &patch).await?;
    Ok((wanted, answer.revision))
}

fn revision(pod: &Pod) -> u64 {
    let version = pod.metadata.resource_version.as_deref();
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

fn ready(status: &PodStatus) -> Option<&str> {
    let conditions = status.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    Some(&ready.status)
}

fn patch(pod: &Pod, written: &PodStatus, wanted: &PodStatus) -> Value {
    let status = difference(&fields(written), fields(wanted));
    // A Pod of the same name that came after ours refuses the uid.
    json!({ "metadata": { "uid": pod.metadata.uid }, "status": status })
}

fn fields(status: &PodStatus) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        // A PodStatus is a struct of texts, numbers and lists: always an object.
        _ => Map::new(),
    }
}

/// The merge patch from one to the other: a status has texts and lists, which are replaced as a whole.
fn difference(from: &Map<String, Value>, to: Map<String, Value>) -> Map<String, Value> {
    let gone: Vec<String> = from.keys().filter(|key| !to.contains_key(*key)).cloned().collect();
    let changed = to.into_iter().filter(|(key, value)| from.get(key) != Some(value));
    let mut patch: Map<String, Value> = changed.collect();
    patch.extend(gone.into_iter().map(|key| (key, Value::Null)));
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_changed_and_what_went() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let from = object(json!({ "same": [1], "changed": [{ "a": 1 }], "gone": "x" }));
        let to = object(json!({ "same": [1], "changed": [{ "b": 1 }], "new": true }));
        assert_eq!(
            Value::Object(difference(&from, to)),
            json!({ "changed": [{ "b": 1 }], "gone": null, "new": true })
        );
    }
}
