//! One Pod's task: carries out what the pod worker decides, and tells it what came of it.
//!
//! Upstream: `pkg/kubelet/kubelet.go` (`SyncPod`, `SyncTerminatingPod`, `SyncTerminatedPod`).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod, PodStatus};
use kube::api::{Api, DeleteParams, Preconditions};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::etc::{self, Etc, HostDns, Name};
use super::lifecycle::Context;
use super::pod_worker::{self, Ending, Happening, PodWorker, Run, StartFailure, State, Step};
use super::pod_workers::{Desired, LivePod};
use super::run::{self, Live, Order, Outcome};
use super::status::{self, Place};
use super::status_writer::StatusWriter;
use super::volumes::{Keeper, Progress, Volumes};
use super::{references, termination};
use crate::api::downward::Facts;
use crate::api::pod::as_container;
use crate::client::cache::key_of;
use crate::client::events::EventType;
use crate::node::network::{Member, PodNetwork, Resolver};
use crate::node::runtime::{Exit, Processes, Sandbox};

/// SIGTERM: no guest handles it, so it ends them at once.
const TERM: u8 = 15;
/// A DELETE that failed is tried again after this long.
const DELETE_RETRY: Duration = Duration::from_secs(1);

/// Runs the Pod until it is gone or the kubelet stops.
pub(super) async fn run(
    ctx: Arc<Context>,
    live: Arc<LivePod>,
    pod: Arc<Pod>,
    mut desired_rx: watch::Receiver<Desired>,
) {
    let stop = ctx.stop.clone();
    let mut task = Task::new(ctx, live, pod);
    let gone = loop {
        let step = tokio::select! {
            biased;
            // First: guests that end because sampan stops have not exited.
            () = stop.cancelled() => break false,
            gone = task.step(&mut desired_rx) => gone,
        };
        if step {
            break true;
        }
    };
    task.live.clear();
    task.containers.clear();
    if gone {
        task.clean_up().await;
    }
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
}

enum Event {
    Started { index: usize, run: u32, outcome: Box<Outcome> },
    Exited { index: usize, run: u32, exit: Exit },
    Abandoned,
    Drained,
}

impl Task {
    fn new(ctx: Arc<Context>, live: Arc<LivePod>, pod: Arc<Pod>) -> Self {
        let mut worker = PodWorker::new(&pod, ctx.last_stop, ctx.rooms.clock.now());
        let has_ended = status::phase(&pod, &worker).is_terminal();
        let pod_ip = if has_ended { None } else { ctx.addresses.allocate(&live.uid) };
        let place = Place { host_ip: ctx.config.address, pod_ip };
        let name = Name::of(&pod, &ctx.rooms.network.config().cluster_domain);
        let warn = |reason, why| {
            ctx.recorder.record(&references::pod(&pod), EventType::Warning, reason, why);
        };
        if let Some((reason, why)) = obstacle(&ctx, pod_ip.is_some() || has_ended, &name) {
            worker.hold();
            warn(reason, why);
        }
        let name = name.unwrap_or_else(|_| Name::short(&pod));
        let (etc, resolver, left_out) =
            etc(&ctx, &pod, &name, pod_ip.unwrap_or(Ipv4Addr::UNSPECIFIED));
        left_out.into_iter().for_each(|why| warn("DNSConfigForming", why));
        if wants_host_network(&pod) && !has_ended {
            let text = format!(
                "The Pod has an address of its own: of the host's network it gets the ports that it \
                 declares, opened at {}, and nothing else",
                ctx.config.address
            );
            warn("HostNetworkNotShared", text);
        }
        let facts = Facts {
            node: ctx.config.node.clone(),
            host_ip: place.host_ip,
            pod_ip: pod_ip.unwrap_or(Ipv4Addr::UNSPECIFIED),
            allocatable: ctx.allocatable.clone(),
        };
        let keeper = (!has_ended && has_volumes(&pod)).then(|| {
            worker.volumes_are(pod_worker::Volumes::UnderWay);
            Keeper::new(ctx.clone(), pod.clone(), facts.clone(), live.directory.clone())
        });
        let mut containers = Vec::new();
        containers.resize_with(worker.containers.len(), Slot::default);
        let network = pod_ip.map(|address| ctx.rooms.network.join(member(&pod, address, resolver)));
        network.iter().for_each(|network| live.joined(network.clone()));
        Self {
            sandbox: sandbox(&ctx, &pod, &name.kernel, network.clone()),
            network,
            status_writer: StatusWriter::new(ctx.clone(), pod.clone()),
            ctx,
            live,
            pod,
            worker,
            place,
            name,
            etc: Arc::new(etc),
            facts,
            keeper,
            volumes: Arc::default(),
            containers,
            under_way: FuturesUnordered::new(),
            deleting: None,
            finishing: false,
        }
    }

    /// Does what is to be done now, then waits for something to happen. Answers whether the Pod is
    /// gone.
    async fn step(&mut self, desired_rx: &mut watch::Receiver<Desired>) -> bool {
        if self.worker.ending.is_none() && self.pod.metadata.deletion_timestamp.is_some() {
            self.worker.end(Ending::Deleted);
        }
        let wake = self.act();
        if self.finishing && self.worker.ending == Some(Ending::Gone) {
            return true;
        }
        if self.finishing && self.status_writer.is_done() && self.deleting.is_none() {
            self.deleting = Some(Box::pin(delete(self.ctx.clone(), self.pod.clone())));
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
            Ok(()) = desired_rx.changed() => self.desire(&desired_rx.borrow_and_update()),
            Some(event) = self.under_way.next() => self.happened(event),
            () = self.status_writer.finished() => {}
            gone = deleted => {
                self.deleting = None;
                return gone;
            }
            () = sleep => self.status_writer.go_on(),
        }
        false
    }

    fn desire(&mut self, desired: &Desired) {
        match desired {
            Desired::Pod(pod) => {
                self.pod = pod.clone();
                self.worker.update(pod);
                self.keeper.iter().for_each(|keeper| keeper.update(pod));
                self.containers.resize_with(self.worker.containers.len(), Slot::default);
            }
            Desired::Gone => {
                self.status_writer.give_up();
                self.worker.end(Ending::Gone);
            }
        }
    }

    fn volumes_came(&mut self, progress: Progress) {
        self.worker.volumes_are(match progress {
            Progress::UnderWay => pod_worker::Volumes::UnderWay,
            Progress::Failing => pod_worker::Volumes::Failing,
            Progress::Ready(volumes) => {
                self.volumes = volumes;
                pod_worker::Volumes::Ready
            }
        });
    }

    /// Carries out the plan and has the status written; answers when to wake up, on the monotonic
    /// clock.
    fn act(&mut self) -> Option<Duration> {
        let (now, monotonic) = (self.ctx.rooms.clock.now(), self.ctx.rooms.clock.monotonic());
        let (plan, happenings) = self.worker.plan(now);
        self.tell(happenings);
        for step in plan.steps {
            match step {
                Step::Start(index) => self.start(index),
                Step::Abandon(index) => {
                    if let Some(abort) = self.containers[index].abort.take() {
                        abort.abort();
                    }
                }
                Step::Drain => self.drain(),
                Step::Kill(index) => {
                    if let Some((live, _)) = &self.containers[index].live {
                        live.container.kill(TERM);
                    }
                }
                Step::Finish => self.finishing = true,
            }
        }
        self.show(now);
        let planned = plan
            .wake
            .map(|at| monotonic + Duration::try_from(at.duration_since(now)).unwrap_or_default());
        [planned, self.status_writer.wake()].into_iter().flatten().min()
    }

    /// New connections go elsewhere if they can; those that are open may end.
    fn drain(&self) {
        let network = self.network.clone();
        network.iter().for_each(PodNetwork::drain);
        self.under_way.push(Box::pin(async move {
            if let Some(network) = network {
                network.retire().await;
            }
            Event::Drained
        }));
    }

    fn show(&mut self, now: Timestamp) {
        let before = self.status_before();
        let status = status::build(&self.pod, &self.worker, self.place, &before, now);
        self.live.set_status(status.clone());
        // A Pod none of whose containers ever ran needs no last words.
        let unheard = self.finishing && self.worker.never_ran();
        if !unheard {
            self.status_writer.want(status, self.worker.is_being_created());
        }
    }

    /// What the status is built upon: of the API's conditions those of others, of ours our own.
    fn status_before(&self) -> PodStatus {
        let mut status = self.pod.status.clone().unwrap_or_default();
        let ours = self.status_writer.wanted().conditions.clone().unwrap_or_default();
        let theirs = status.conditions.take().unwrap_or_default().into_iter();
        let theirs = theirs.filter(|one| !ours.iter().any(|our| our.type_ == one.type_));
        status.conditions = Some(ours.iter().cloned().chain(theirs).collect());
        status
    }

    fn start(&mut self, index: usize) {
        let record = &self.worker.containers[index];
        let run = record.runs.saturating_sub(1);
        let (Some(container), Some(_)) = (self.spec(&record.name), self.place.pod_ip) else {
            return;
        };
        let order = Order {
            pod: self.pod.clone(),
            container,
            run,
            sandbox: self.sandbox_of(&record.name),
            hostname: self.name.kernel.clone(),
            etc: self.etc.clone(),
            facts: self.facts.clone(),
            volumes: self.volumes.clone(),
            directory: self.live.directory.clone(),
        };
        let (abort, registration) = AbortHandle::new_pair();
        self.containers[index] = Slot { run, abort: Some(abort), live: None };
        let start = Abortable::new(run::start(self.ctx.clone(), order), registration);
        self.under_way.push(Box::pin(async move {
            match start.await {
                Ok(outcome) => Event::Started { index, run, outcome: Box::new(outcome) },
                Err(_aborted) => Event::Abandoned,
            }
        }));
    }

    /// An ephemeral container may be among the processes of another, which must run.
    fn sandbox_of(&self, name: &str) -> Result<Sandbox, String> {
        let spec = self.pod.spec.as_ref();
        let ephemeral = spec.and_then(|spec| spec.ephemeral_containers.as_ref());
        let container = ephemeral.into_iter().flatten().find(|container| container.name == name);
        let target = container.and_then(|container| container.target_container_name.as_deref());
        match target.filter(|target| !target.is_empty()) {
            None => Ok(self.sandbox.clone()),
            Some(target) => match self.live.running(target) {
                Some(live) => Ok(self.sandbox.sharing(live.container.processes())),
                None => Err(format!("unable to find target container {target}")),
            },
        }
    }

    fn spec(&self, name: &str) -> Option<ContainerSpec> {
        let spec = self.pod.spec.as_ref()?;
        let init = spec.init_containers.iter().flatten();
        let ephemeral = spec.ephemeral_containers.iter().flatten();
        let lasting = init.chain(&spec.containers).find(|container| container.name == name);
        let ephemeral = || ephemeral.clone().find(|container| container.name == name);
        lasting.cloned().or_else(|| ephemeral().map(as_container))
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Started { index, run, outcome } if self.is_starting(index, run) => {
                self.started(index, *outcome);
            }
            Event::Exited { index, run, exit } if self.containers[index].run == run => {
                self.exited(index, &exit);
            }
            Event::Drained => self.worker.drained(),
            // Of a run that was given up: what it left is dropped, and so ended, here.
            Event::Started { .. } | Event::Exited { .. } | Event::Abandoned => {}
        }
    }

    fn is_starting(&self, index: usize, run: u32) -> bool {
        let starting = matches!(self.worker.containers[index].state, State::Starting { .. });
        starting && self.containers[index].run == run
    }

    fn started(&mut self, index: usize, outcome: Outcome) {
        let now = self.ctx.rooms.clock.now();
        let slot = &mut self.containers[index];
        slot.abort = None;
        if let Some(image) = outcome.image {
            self.worker.found_image(index, image);
        }
        match outcome.started {
            Ok(live) => {
                let run = slot.run;
                let container = live.container.clone();
                let name = &self.worker.containers[index].name;
                info!(pod = %key_of(&*self.pod), container = %name, run, "Container started");
                slot.live = Some((live.clone(), now));
                self.live.started(&self.worker.containers[index].name, live);
                self.worker.started(index, Run { id: self.container_id(), started_at: now });
                self.under_way.push(Box::pin(async move {
                    Event::Exited { index, run, exit: container.wait().await }
                }));
            }
            Err(failure) => {
                let ran = matches!(failure, StartFailure::Run { .. });
                let id = ran.then(|| self.container_id());
                let happenings = self.worker.failed(index, failure, id, now);
                self.tell(happenings);
            }
        }
    }

    fn exited(&mut self, index: usize, exit: &Exit) {
        let Some((live, started_at)) = self.containers[index].live.take() else { return };
        live.log.close();
        live.hub.end();
        let name = self.worker.containers[index].name.clone();
        self.live.ended(&name);
        info!(pod = %key_of(&*self.pod), container = %name, code = exit.code, "Container ended");
        let State::Running { run, .. } = &self.worker.containers[index].state else { return };
        let now = self.ctx.rooms.clock.now();
        let spec = self.spec(&name);
        let message = spec.and_then(|spec| termination::message(&spec, &live, exit));
        let end = termination::end(exit, message, run.id.clone(), started_at, now);
        let happenings = self.worker.exited(index, end, now);
        self.tell(happenings);
    }

    /// As long as those of other runtimes.
    fn container_id(&self) -> String {
        let ids = &self.ctx.rooms.ids;
        format!("sampan://{}{}", ids.uid(), ids.uid()).replace('-', "")
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

    async fn clean_up(self) {
        if let Some(network) = &self.network {
            network.leave();
        }
        self.ctx.addresses.release(&self.live.uid);
        for container in &self.worker.containers {
            let server = run::http_server(&self.ctx, &self.pod, &container.name);
            self.ctx.rooms.metrics.forget_http_server(&server);
        }
        let directory = self.live.directory.clone();
        drop(self);
        let removed =
            tokio::task::spawn_blocking(move || match std::fs::remove_dir_all(&directory) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    warn!(path = %directory.display(), %error, "Failed to remove a Pod's files");
                }
                _ => {}
            });
        // Fails only if the removal panicked, which the panic has told.
        let _ = removed.await;
    }
}

/// Removes the object, if it still is this Pod; answers whether it is gone.
async fn delete(ctx: Arc<Context>, pod: Arc<Pod>) -> bool {
    let meta = &pod.metadata;
    let (Some(namespace), Some(name)) = (&meta.namespace, &meta.name) else { return true };
    let api: Api<Pod> = Api::namespaced(ctx.rooms.client.clone(), namespace);
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: meta.uid.clone(), resource_version: None }),
        ..DeleteParams::default()
    };
    match api.delete(name, &params).await {
        // Finalizers may keep the object; our part is done all the same.
        Ok(_) => true,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => true,
        Err(error) => {
            debug!(%error, "Failed to remove a Pod; trying again");
            ctx.rooms.clock.sleep(DELETE_RETRY).await;
            false
        }
    }
}

/// Why the Pod's containers cannot be started, if they cannot: an Event's reason and text.
fn obstacle(
    ctx: &Context,
    has_address: bool,
    name: &Result<Name, String>,
) -> Option<(&'static str, String)> {
    if !has_address {
        let pods = ctx.addresses.network();
        let text = format!("Failed to create pod sandbox: no address is left in {pods}");
        return Some(("FailedCreatePodSandBox", text));
    }
    if let Err(why) = name {
        return Some(("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {why}")));
    }
    None
}

fn has_volumes(pod: &Pod) -> bool {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    volumes.is_some_and(|volumes| !volumes.is_empty())
}

fn wants_host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true)
}

/// The Pod's files in /etc, its way to look up names, and what of its dnsConfig was left out.
fn etc(ctx: &Context, pod: &Pod, name: &Name, address: Ipv4Addr) -> (Etc, Resolver, Vec<String>) {
    let network = ctx.rooms.network.config();
    let cluster = etc::Cluster { domain: &network.cluster_domain, dns: network.dns_address() };
    Etc::of(pod, name, address, &cluster, HostDns::read)
}

/// Who the Pod is on the network.
fn member(pod: &Pod, address: Ipv4Addr, resolver: Resolver) -> Member {
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    Member { address, namespace, name: pod.metadata.name.clone().unwrap_or_default(), resolver }
}

fn sandbox(ctx: &Context, pod: &Pod, hostname: &str, network: Option<PodNetwork>) -> Sandbox {
    let sandbox = ctx.rooms.runtime.sandbox(hostname, network);
    let shares = pod.spec.as_ref().and_then(|spec| spec.share_process_namespace);
    if shares == Some(true) { sandbox.sharing(Processes::default()) } else { sandbox }
}
