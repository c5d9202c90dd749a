//! Asks a Pod's probes when they are due, tells of their answers in Events, and says what is news.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod, Probe};

use super::ask::{Answer, Errored, Question};
use super::container::{ContainerProbes, News};
use super::dial::Dialer;
use super::worker::{Effect, FIRST, Kind, Outcome};
use crate::client::events::EventType;
use crate::node::kubelet::lifecycle::Context;
use crate::node::kubelet::pod_worker::Health;
use crate::node::kubelet::references;
use crate::node::network::PodNetwork;
use crate::node::runtime::Container;

/// A Pod's probes.
pub(in crate::node::kubelet) struct Prober {
    ctx: Arc<Context>,
    pod: Arc<Pod>,
    dialer: Option<Dialer>,
    /// See [`ContainerProbes::begin`].
    spread: f64,
    is_ending: bool,
    /// Containers with probes, by the worker's index.
    probed: BTreeMap<usize, Probed>,
    /// Bound: one question for each probe.
    asking: Vec<Asking>,
}

struct Probed {
    spec: Arc<ContainerSpec>,
    probes: ContainerProbes,
    /// What runs, and since when on the monotonic clock.
    live: Option<(Arc<Container>, Duration)>,
}

struct Asking {
    index: usize,
    kind: Kind,
    answer: BoxFuture<'static, Result<Answer, Errored>>,
}

impl Prober {
    /// For a Pod's containers in the worker's order. One that an earlier sampan ran comes with all the
    /// others: its liveness is asked for a part of the period later, so that not all are asked at once.
    pub(in crate::node::kubelet) fn new<'a>(
        ctx: Arc<Context>,
        pod: Arc<Pod>,
        network: Option<PodNetwork>,
        containers: impl Iterator<Item = (usize, &'a ContainerSpec)>,
    ) -> Self {
        let spec = pod.spec.as_ref();
        let is_on_host = spec.and_then(|spec| spec.host_network) == Some(true);
        let of_nodes = ctx.rooms.network.clone();
        let dialer = network.map(|pod| Dialer { network: of_nodes, pod, is_on_host });
        let probed = containers.filter_map(|(index, spec)| {
            let probes = ContainerProbes::of(spec)?;
            Some((index, Probed { spec: Arc::new(spec.clone()), probes, live: None }))
        });
        let was_seen = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
        let spread = if was_seen { spread(&pod) } else { 0.0 };
        let probed = probed.collect();
        Self { ctx, pod, dialer, spread, is_ending: false, probed, asking: Vec::new() }
    }

    /// The container runs; answers how it is until somebody has asked.
    pub(in crate::node::kubelet) fn began(
        &mut self,
        index: usize,
        container: Arc<Container>,
    ) -> Health {
        let now = self.ctx.rooms.clock.monotonic();
        let Some(probed) = self.probed.get_mut(&index) else { return Health::WELL };
        probed.probes.begin(now, self.spread);
        if self.is_ending {
            probed.probes.pod_ends();
        }
        probed.live = Some((container, now));
        probed.probes.health()
    }

    /// The container runs no more; questions to it are given up.
    pub(in crate::node::kubelet) fn ended(&mut self, index: usize) {
        self.asking.retain(|asking| asking.index != index);
        if let Some(probed) = self.probed.get_mut(&index) {
            probed.probes.end();
            probed.live = None;
        }
    }

    /// The Pod is ending: it is asked only whether it is ready, by which it may still be told from others
    /// that end.
    pub(in crate::node::kubelet) fn pod_ends(&mut self) {
        if !std::mem::replace(&mut self.is_ending, true) {
            self.asking.retain(|asking| asking.kind == Kind::Readiness);
            self.probed.values_mut().for_each(|probed| probed.probes.pod_ends());
        }
    }

    /// The object has changed; what it says of probes cannot.
    pub(in crate::node::kubelet) fn update(&mut self, pod: &Arc<Pod>) {
        self.pod = pod.clone();
    }

    /// What the probe says of how much time its container has to end: `None` if nothing.
    pub(in crate::node::kubelet) fn grace_seconds(&self, index: usize, kind: Kind) -> Option<i64> {
        let probed = self.probed.get(&index)?;
        probe(&probed.spec, kind)?.termination_grace_period_seconds
    }

    /// Works until something is to be acted upon: of which container, and what. Losing the race of a
    /// `select!` loses nothing.
    pub(in crate::node::kubelet) async fn news(&mut self) -> (usize, News) {
        loop {
            let clock = self.ctx.rooms.clock.clone();
            self.ask(clock.monotonic());
            let due = self.probed.values().filter_map(|probed| probed.probes.next());
            let due = due.map(|(at, _)| at).min();
            let sleep = async {
                match due {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                (index, kind, answer) = answered(&mut self.asking) => {
                    if let Some(news) = self.answered(index, kind, answer) {
                        return (index, news);
                    }
                }
                () = sleep => {}
            }
        }
    }

    /// Asks what is due.
    fn ask(&mut self, now: Duration) {
        for (index, probed) in &mut self.probed {
            let Some((container, began)) = &probed.live else { continue };
            while let Some((_, kind)) = probed.probes.next().filter(|(at, _)| *at <= now) {
                probed.probes.ask(kind, now);
                let Some(probe) = probe(&probed.spec, kind) else { continue };
                let question = Question {
                    probe: probe.clone(),
                    spec: probed.spec.clone(),
                    container: container.clone(),
                    dialer: self.dialer.clone(),
                    port_by: *began + FIRST,
                    clock: self.ctx.rooms.clock.clone(),
                    turns: self.ctx.probes.clone(),
                };
                let answer = question.ask().boxed();
                self.asking.push(Asking { index: *index, kind, answer });
            }
        }
    }

    fn answered(
        &mut self,
        index: usize,
        kind: Kind,
        answer: Result<Answer, Errored>,
    ) -> Option<News> {
        let now = self.ctx.rooms.clock.monotonic();
        let probed = self.probed.get_mut(&index)?;
        let outcome = match &answer {
            Ok(Answer::Success | Answer::Warning(_)) => Some(Outcome::Success),
            Ok(Answer::Failure(_)) => Some(Outcome::Failure),
            Err(_) => None,
        };
        let (effect, news) = probed.probes.answered(kind, outcome, now);
        if effect != Effect::Ignored {
            self.tell(index, kind, answer);
        }
        news
    }

    fn tell(&self, index: usize, kind: Kind, answer: Result<Answer, Errored>) {
        let (reason, text) = match answer {
            Ok(Answer::Success) => return,
            Ok(Answer::Warning(text)) => ("ProbeWarning", format!("{kind} probe warning: {text}")),
            Ok(Answer::Failure(text)) => ("Unhealthy", format!("{kind} probe failed: {text}")),
            Err(Errored { result, text }) => {
                let text = format!("{kind} probe errored and resulted in {result} state: {text}");
                ("Unhealthy", text)
            }
        };
        let Some(probed) = self.probed.get(&index) else { return };
        let about = references::container(&self.pod, &probed.spec.name);
        self.ctx.recorder.record(&about, EventType::Warning, reason, text);
    }
}

/// The first that has its answer; none is asked any more then. For ever, if nobody is asked.
async fn answered(asking: &mut Vec<Asking>) -> (usize, Kind, Result<Answer, Errored>) {
    poll_fn(|cx| {
        for (place, one) in asking.iter_mut().enumerate() {
            if let Poll::Ready(answer) = one.answer.poll_unpin(cx) {
                let Asking { index, kind, .. } = asking.swap_remove(place);
                return Poll::Ready((index, kind, answer));
            }
        }
        Poll::Pending
    })
    .await
}

fn probe(container: &ContainerSpec, kind: Kind) -> Option<&Probe> {
    match kind {
        Kind::Startup => container.startup_probe.as_ref(),
        Kind::Readiness => container.readiness_probe.as_ref(),
        Kind::Liveness => container.liveness_probe.as_ref(),
    }
}

/// Between 0 and 1, the same for one Pod each time.
fn spread(pod: &Pod) -> f64 {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let number = uid.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    f64::from(number.unwrap_or(0)) / f64::from(u32::MAX)
}
