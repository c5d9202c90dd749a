//! One Pod's task: carries out what the pod worker decides, and tells it what came of it.
//!
//! Upstream: `pkg/kubelet/kubelet.go` (`SyncPod`, `SyncTerminatingPod`, `SyncTerminatedPod`).

mod containers;
mod hooks;
mod probes;
mod removal;
mod rest;
mod setup;

use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, BoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;

use self::rest::Roused;
use super::etc::{Etc, Name};
use super::eviction;
use super::lifecycle::Context;
use super::pod_worker::{self, Ending, Happening, PodWorker, Step};
use super::pod_workers::{Desired, LivePod};
use super::prober::Prober;
use super::references;
use super::run::{Live, Outcome};
use super::status::{self, Place};
use super::status_writer::StatusWriter;
use super::volumes::{Keeper, Progress, Volumes};
use crate::api::downward::Facts;
use crate::client::events::EventType;
use crate::node::network::PodNetwork;
use crate::node::runtime::{Exit, Sandbox};

/// Runs the Pod until it is gone or the kubelet stops.
pub(super) async fn run(
    ctx: Arc<Context>,
    live: Arc<LivePod>,
    pod: Arc<Pod>,
    mut desired_rx: watch::Receiver<Desired>,
) {
    let (mut pod, mut news) = (pod, None);
    loop {
        // On the heap: it is large, and there are many Pods that have ended.
        match Box::pin(live_on(ctx.clone(), live.clone(), pod, news, &mut desired_rx)).await {
            Left::Stopped | Left::Gone => return,
            Left::Ended(last) => match rest::rest(&ctx, &live, last, &mut desired_rx).await {
                Some(Roused { last, now }) => (pod, news) = (last, Some(Desired::Pod(now))),
                None => return,
            },
        }
    }
}

/// Why a Pod's task was left.
enum Left {
    Stopped,
    /// With all that it had.
    Gone,
    /// It has ended and the API server knows; this is what it shows.
    Ended(Arc<Pod>),
}

/// `news`: what has become of the object since `pod`.
async fn live_on(
    ctx: Arc<Context>,
    live: Arc<LivePod>,
    pod: Arc<Pod>,
    news: Option<Desired>,
    desired_rx: &mut watch::Receiver<Desired>,
) -> Left {
    let stop = ctx.stop.clone();
    let mut task = Task::new(ctx, live, pod);
    news.iter().for_each(|desired| task.desire(desired));
    let next = loop {
        let next = tokio::select! {
            biased;
            // First: guests that end because sampan stops have not exited.
            () = stop.cancelled() => Next::Stop,
            next = task.step(desired_rx) => next,
        };
        if next != Next::Step {
            break next;
        }
    };
    task.live.clear();
    task.containers.clear();
    if next == Next::Stop {
        return Left::Stopped;
    }
    task.let_go();
    if next == Next::Rest {
        return Left::Ended(task.pod);
    }
    let directory = task.live.directory.clone();
    drop(task);
    removal::remove(directory).await;
    Left::Gone
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Step,
    /// Nothing is left to do until the object changes.
    Rest,
    /// The Pod is gone.
    Leave,
    Stop,
}

struct Task {
    ctx: Arc<Context>,
    live: Arc<LivePod>,
    pod: Arc<Pod>,
    worker: PodWorker,
    place: Place,
    /// `None` without an address.
    network: Option<PodNetwork>,
    sandbox: Sandbox,
    name: Name,
    etc: Arc<Etc>,
    facts: Facts,
    /// `None` for a Pod that starts nothing.
    keeper: Option<Keeper>,
    volumes: Arc<Volumes>,
    prober: Prober,
    /// By index, as in the worker.
    containers: Vec<Slot>,
    under_way: FuturesUnordered<BoxFuture<'static, Event>>,
    status_writer: StatusWriter,
    deleting: Option<BoxFuture<'static, bool>>,
    finishing: bool,
}

/// One container's run, or its start.
#[derive(Default)]
struct Slot {
    /// Containers' starts and ends carry the number of their run: one that was abandoned is told
    /// from the one that came after it.
    run: u32,
    abort: Option<AbortHandle>,
    live: Option<(Live, Timestamp)>,
    /// The hook that runs.
    hook: Option<AbortHandle>,
}

enum Event {
    Started { index: usize, run: u32, outcome: Box<Outcome> },
    PostStartEnded { index: usize, run: u32, result: Result<(), String> },
    PreStopEnded { index: usize, run: u32, result: Result<(), String> },
    Exited { index: usize, run: u32, exit: Exit },
    Abandoned,
    Quiet,
    Drained,
}

impl Task {
    /// Does what is to be done now, then waits for something to happen.
    async fn step(&mut self, desired_rx: &mut watch::Receiver<Desired>) -> Next {
        if self.pod.metadata.deletion_timestamp.is_some() {
            self.worker.end(Ending::Deleted);
        }
        let wake = self.act();
        if self.finishing && self.worker.ending == Some(Ending::Gone) {
            return Next::Leave;
        }
        if wake.is_none() && self.may_rest() {
            return Next::Rest;
        }
        if self.finishing && self.status_writer.is_done() && self.deleting.is_none() {
            let directory = self.live.directory.clone();
            let deleted = removal::delete(self.ctx.clone(), self.pod.clone(), directory);
            self.deleting = Some(Box::pin(deleted));
        }
        let clock = self.ctx.rooms.clock.clone();
        let sleep = async {
            match wake {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let deleted = async {
            match &mut self.deleting {
                Some(deleting) => deleting.await,
                None => std::future::pending().await,
            }
        };
        let progress = async {
            match &mut self.keeper {
                Some(keeper) => keeper.progress().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            progress = progress => self.volumes_came(progress),
            (index, news) = self.prober.news() => self.probed(index, news),
            Ok(()) = desired_rx.changed() => self.desire(&desired_rx.borrow_and_update()),
            Some(event) = self.under_way.next() => self.happened(event),
            () = self.status_writer.finished() => {}
            why = self.live.storage.verdict() => self.evict(why),
            gone = deleted => {
                self.deleting = None;
                return if gone { Next::Leave } else { Next::Step };
            }
            () = sleep => self.status_writer.go_on(),
        }
        Next::Step
    }

    /// The Pod has ended, nothing of it is under way, and its object says so.
    fn may_rest(&self) -> bool {
        self.worker.has_ended()
            && status::phase(&self.pod, &self.worker).is_terminal()
            && self.under_way.is_empty()
            && self.status_writer.is_shown_by(&self.pod)
    }

    fn desire(&mut self, desired: &Desired) {
        match desired {
            Desired::Pod(pod) => {
                self.pod = pod.clone();
                self.status_writer.object_is(pod);
                self.worker.update(pod);
                self.heed_verdict();
                self.prober.update(pod);
                self.keeper.iter().for_each(|keeper| keeper.update(pod));
                self.containers.resize_with(self.worker.containers.len(), Slot::default);
            }
            Desired::Gone => {
                self.status_writer.give_up();
                self.worker.end(Ending::Gone);
            }
        }
    }

    /// A Pod that somebody else has called failed is ended, and stays so.
    ///
    /// Upstream: `UpdatePod` in `pkg/kubelet/pod_workers.go`, which ends one that was called succeeded, too.
    fn heed_verdict(&mut self) {
        let Some(said) = &self.pod.status else { return };
        let has_ended = status::phase(&self.pod, &self.worker).is_terminal();
        if said.phase.as_deref() == Some("Failed") && !has_ended {
            self.worker.end(Ending::failed(said));
        }
    }

    fn volumes_came(&mut self, progress: Progress) {
        self.worker.volumes_are(match progress {
            Progress::UnderWay => pod_worker::Volumes::UnderWay,
            Progress::Failing => pod_worker::Volumes::Failing,
            Progress::Ready(volumes) => {
                self.live.storage.volumes(&self.pod, &volumes);
                self.volumes = volumes;
                pod_worker::Volumes::Ready
            }
        });
    }

    /// It uses more of the node than it may.
    fn evict(&mut self, message: String) {
        let has_ended = status::phase(&self.pod, &self.worker).is_terminal();
        if has_ended || self.worker.ending.is_some() {
            return;
        }
        let reason = eviction::REASON;
        self.worker.hurry();
        self.worker.end(Ending::Failed { reason: reason.to_owned(), message: message.clone() });
        let type_ = EventType::Warning;
        self.tell(vec![Happening { container: None, type_, reason, message }]);
    }

    /// Carries out the plan and has the status written; answers when to wake up, on the monotonic
    /// clock.
    fn act(&mut self) -> Option<Duration> {
        let (now, monotonic) = (self.ctx.rooms.clock.now(), self.ctx.rooms.clock.monotonic());
        for (index, slot) in self.containers.iter().enumerate() {
            let listens = slot.live.as_ref().is_some_and(|(live, _)| live.container.listens());
            self.worker.listens(index, listens);
        }
        let (plan, happenings) = self.worker.plan(now);
        self.tell(happenings);
        if self.worker.ending.is_some() {
            self.prober.pod_ends();
        }
        for step in plan.steps {
            match step {
                Step::Start(index) => self.start(index),
                Step::Abandon(index) => {
                    if let Some(abort) = self.containers[index].abort.take() {
                        abort.abort();
                    }
                }
                Step::Drain => self.network.iter().for_each(PodNetwork::drain),
                Step::AwaitQuiet => self.await_quiet(),
                Step::Retire => self.retire(),
                Step::PreStop(index) => self.pre_stop(index),
                Step::CutPreStop(index) => self.containers[index].cut_hook(),
                Step::Tell(index) => self.containers[index].tell(),
                Step::Kill(index, signal) => self.containers[index].kill(signal),
                Step::Finish => self.finishing = true,
            }
        }
        self.show(now);
        let planned = plan
            .wake
            .map(|at| monotonic + Duration::try_from(at.duration_since(now)).unwrap_or_default());
        [planned, self.status_writer.wake()].into_iter().flatten().min()
    }

    /// Waits until nobody is connected to the Pod.
    pub(super) fn await_quiet(&self) {
        let network = self.network.clone();
        self.under_way.push(Box::pin(async move {
            if let Some(network) = network {
                network.idle().await;
            }
            Event::Quiet
        }));
    }

    /// Waits until nobody is connected to the Pod, and from then on nobody can be.
    fn retire(&self) {
        let network = self.network.clone();
        self.under_way.push(Box::pin(async move {
            if let Some(network) = network {
                network.retire().await;
            }
            Event::Drained
        }));
    }

    fn show(&mut self, now: Timestamp) {
        let known = self.status_writer.wanted();
        let ours = known.conditions.as_deref().unwrap_or_default();
        let status = status::build(&self.pod, &self.worker, self.place, ours, now);
        let status = if status == **known { known.clone() } else { Arc::new(status) };
        self.live.set_status(status.clone());
        // A Pod none of whose containers ever ran needs no last words.
        let unheard = self.finishing && self.worker.never_ran();
        if !unheard {
            self.status_writer.want(status, self.worker.is_being_created());
        }
    }

    fn tell(&self, happenings: Vec<Happening>) {
        for happening in happenings {
            let reference = match happening.container {
                Some(index) => {
                    references::container(&self.pod, &self.worker.containers[index].name)
                }
                None => references::pod(&self.pod),
            };
            let Happening { type_, reason, message, .. } = happening;
            self.ctx.recorder.record(&reference, type_, reason, message);
        }
    }
}
