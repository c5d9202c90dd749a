//! Keeps `pods/status` at the API server as it is here: one write at a time, the newest wins, and
//! nothing is written that does not change anything.
//!
//! Upstream: `pkg/kubelet/status/status_manager.go`.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::Patch;
use tracing::debug;

use super::conditions;
use super::lifecycle::Context;
use super::status_patch::{self, Identity};
use crate::client::written;

/// A status that says no more than "being created" is held back this long: most containers start
/// sooner, and their Pod is spared a write.
const CREATING_HELD: Duration = Duration::from_millis(100);
/// A failed write is tried again after this long.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct StatusWriter {
    ctx: Arc<Context>,
    of: Arc<Identity>,
    wanted: Arc<PodStatus>,
    written: Written,
    /// Before it is written that the first container runs: until those that wait for a thread have had
    /// theirs. A container that ends at once has often done so by then, and its Pod is spared a write.
    turn: Option<BoxFuture<'static, ()>>,
    writing: Option<BoxFuture<'static, Result<Written, kube::Error>>>,
    /// Not before this time of the monotonic clock.
    not_before: Duration,
    /// The object is gone: there is nothing to write to.
    gone: bool,
}

/// What the server has, as far as we know, and since which revision.
struct Written {
    status: Arc<PodStatus>,
    at: u64,
}

impl StatusWriter {
    pub(super) fn new(ctx: Arc<Context>, pod: &Pod) -> Self {
        let written = Written { status: Arc::new(said_of_ours(pod)), at: revision(pod) };
        let not_before = ctx.rooms.clock.monotonic();
        let (of, wanted) = (Arc::new(Identity::of(pod)), written.status.clone());
        let (turn, writing, gone) = (None, None, false);
        Self { ctx, of, wanted, written, turn, writing, not_before, gone }
    }

    /// The status as it should be at the server.
    pub(super) fn wanted(&self) -> &Arc<PodStatus> {
        &self.wanted
    }

    /// Has `status` written as soon as may be; with `held` only if nothing better comes soon.
    pub(super) fn want(&mut self, status: Arc<PodStatus>, held: bool) {
        let now = self.ctx.rooms.clock.monotonic();
        let is_new = !same(&status, &self.wanted);
        if held && is_new {
            self.not_before = self.not_before.max(now + CREATING_HELD);
        } else if !held && is_new && self.not_before <= now + CREATING_HELD {
            self.not_before = now;
        }
        self.wanted = status;
        self.go_on();
    }

    /// The object has changed. What somebody else has said of what is the kubelet's to say is put right by the
    /// next [`StatusWriter::want`]: the controllers do, of a node that they have not heard of for long.
    ///
    /// Upstream: `needsReconcile`.
    pub(super) fn object_is(&mut self, pod: &Pod) {
        // What comes late is older than what we wrote.
        if !self.is_idle() || revision(pod) <= self.written.at {
            return;
        }
        // What is wanted now may be older than what others have said of theirs: the next `want` knows.
        let said = said_of_ours(pod);
        if said != *self.written.status {
            self.written.status = Arc::new(said);
        }
    }

    /// All that is wanted has been written, or nothing can be.
    pub(super) fn is_done(&self) -> bool {
        self.gone || self.is_idle() && same(&self.wanted, &self.written.status)
    }

    /// All that is wanted has been written, and `pod` shows it.
    pub(super) fn is_shown_by(&self, pod: &Pod) -> bool {
        !self.gone && self.is_done() && revision(pod) >= self.written.at
    }

    fn is_idle(&self) -> bool {
        self.turn.is_none() && self.writing.is_none()
    }

    pub(super) fn give_up(&mut self) {
        self.gone = true;
    }

    /// When to call [`StatusWriter::go_on`], on the monotonic clock.
    pub(super) fn wake(&self) -> Option<Duration> {
        let waits = !self.is_done() && self.is_idle();
        waits.then_some(self.not_before)
    }

    /// Begins a write if there is something to write and nothing speaks against it.
    pub(super) fn go_on(&mut self) {
        let due = self.wake().is_some_and(|at| at <= self.ctx.rooms.clock.monotonic());
        if due && runs(&self.wanted) && !runs(&self.written.status) {
            self.turn = Some(Box::pin(tokio::task::yield_now()));
        } else if due {
            self.begin();
        }
    }

    fn begin(&mut self) {
        if !self.is_done() {
            let (written, wanted) = (self.written.status.clone(), self.wanted.clone());
            let write = write(self.ctx.clone(), self.of.clone(), written, wanted);
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
            Ok(written) => self.written = written,
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

/// What an object says, of the conditions those that the kubelet keeps.
fn said_of_ours(pod: &Pod) -> PodStatus {
    let mut status = pod.status.clone().unwrap_or_default();
    status.conditions.get_or_insert_default().retain(conditions::is_of_kubelet);
    status
}

fn same(one: &Arc<PodStatus>, other: &Arc<PodStatus>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Makes of `written` what is `wanted`; answers what the server has now.
async fn write(
    ctx: Arc<Context>,
    of: Arc<Identity>,
    written: Arc<PodStatus>,
    wanted: Arc<PodStatus>,
) -> Result<Written, kube::Error> {
    let patch = status_patch::between(&written, &wanted, &of).map_err(kube::Error::SerdeError)?;
    let name = (of.key.namespace.as_str(), of.key.name.as_str());
    let patch = Patch::Strategic(&*patch);
    let answer = written::patch::<Pod>(&ctx.rooms.client, name, Some("status"), &patch).await?;
    Ok(Written { status: wanted, at: answer.revision })
}

fn revision(pod: &Pod) -> u64 {
    let version = pod.metadata.resource_version.as_deref();
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}
