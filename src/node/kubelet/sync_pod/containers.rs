//! A Pod's containers: set going, and told to the worker when they run and when they have ended.

use futures::future::{AbortHandle, Abortable};
use k8s_openapi::api::core::v1::Container as ContainerSpec;
use tracing::info;

use super::{Event, Slot, Task};
use crate::api::pod::as_container;
use crate::client::cache::key_of;
use crate::node::kubelet::pod_worker::{Run, StartFailure, State};
use crate::node::kubelet::run::{self, Order, Outcome};
use crate::node::kubelet::termination;
use crate::node::runtime::{Exit, Sandbox};

impl Task {
    pub(super) fn start(&mut self, index: usize) {
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
            quota: self.live.storage.layer(&record.name),
        };
        let (abort, registration) = AbortHandle::new_pair();
        self.containers[index] = Slot { run, abort: Some(abort), ..Slot::default() };
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

    pub(super) fn spec(&self, name: &str) -> Option<ContainerSpec> {
        let spec = self.pod.spec.as_ref()?;
        let init = spec.init_containers.iter().flatten();
        let ephemeral = spec.ephemeral_containers.iter().flatten();
        let lasting = init.chain(&spec.containers).find(|container| container.name == name);
        let ephemeral = || ephemeral.clone().find(|container| container.name == name);
        lasting.cloned().or_else(|| ephemeral().map(as_container))
    }

    pub(super) fn happened(&mut self, event: Event) {
        match event {
            Event::Started { index, run, outcome } if self.is_starting(index, run) => {
                self.started(index, *outcome);
            }
            Event::Exited { index, run, exit } if self.containers[index].run == run => {
                self.exited(index, &exit);
            }
            Event::PostStartEnded { index, run, result } if self.containers[index].run == run => {
                let happenings = self.worker.post_start_ended(index, result);
                self.tell(happenings);
                self.begin_probes(index);
            }
            Event::PreStopEnded { index, run, result } if self.containers[index].run == run => {
                let happening = self.worker.pre_stop_ended(index, result);
                self.tell(happening.into_iter().collect());
            }
            // Whoever has come meanwhile is waited for, too.
            Event::Quiet if self.network.iter().any(|network| network.inbound() > 0) => {
                self.await_quiet();
            }
            Event::Quiet => self.worker.quiet(),
            Event::Drained => self.worker.drained(),
            // Of a run that was given up: what it left is dropped, and so ended, here.
            Event::Started { .. }
            | Event::PostStartEnded { .. }
            | Event::PreStopEnded { .. }
            | Event::Exited { .. }
            | Event::Abandoned => {}
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
                let post_started = self.post_start(index);
                self.begin_probes(index);
                self.under_way.push(Box::pin(async move {
                    let exit = container.wait().await;
                    // What came of the hook is told first; who gave it up need not be waited for.
                    if let Some(post_started) = post_started {
                        let _ = post_started.await;
                    }
                    Event::Exited { index, run, exit }
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
        self.prober.ended(index);
        live.log.close();
        live.hub.end();
        let name = self.worker.containers[index].name.clone();
        self.live.ended(&name);
        info!(pod = %key_of(&*self.pod), container = %name, code = exit.code, "Container ended");
        let Some(run) = self.worker.containers[index].run() else { return };
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
}
