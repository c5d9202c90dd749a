//! All probes of one container. Pure; times are of the monotonic clock.
//!
//! Upstream: `pkg/kubelet/prober/prober_manager.go` (`UpdatePodStatus`).

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;

use super::worker::{Effect, Kind, Outcome, Timing, Worker};
use crate::node::kubelet::pod_worker::Health;

/// What a Pod's task must act upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::kubelet) enum News {
    /// The container has started, is ready, or is not ready any more.
    Health(Health),
    /// It has not started in time, or is not alive: it is to be restarted.
    Failed(Kind),
}

#[derive(Debug, Clone)]
pub(super) struct ContainerProbes {
    /// Startup first, whose answer the others wait for.
    workers: Vec<(Kind, Worker)>,
}

impl ContainerProbes {
    /// `None` for a container without probes.
    pub(super) fn of(container: &Container) -> Option<Self> {
        let probes = [
            (Kind::Startup, &container.startup_probe),
            (Kind::Readiness, &container.readiness_probe),
            (Kind::Liveness, &container.liveness_probe),
        ];
        let probes = probes.into_iter().filter_map(|(kind, probe)| Some((kind, probe.as_ref()?)));
        let workers: Vec<(Kind, Worker)> =
            probes.map(|(kind, probe)| (kind, Worker::new(kind, Timing::of(probe)))).collect();
        (!workers.is_empty()).then_some(Self { workers })
    }

    /// The container has begun to run. `spread`, between 0 and 1, is the part of its period by which the
    /// first question for liveness is held back: whether somebody is ready is waited for.
    pub(super) fn begin(&mut self, now: Duration, spread: f64) {
        for (kind, worker) in &mut self.workers {
            let spread = if *kind == Kind::Liveness { spread } else { 0.0 };
            worker.begin(now, worker.period().mul_f64(spread));
        }
    }

    /// The container runs no more.
    pub(super) fn end(&mut self) {
        self.workers.iter_mut().for_each(|(_, worker)| worker.end());
    }

    /// The Pod is ending: from now on only readiness is asked for.
    pub(super) fn pod_ends(&mut self) {
        self.workers.iter_mut().for_each(|(_, worker)| worker.pod_ends());
    }

    /// While the container runs.
    pub(super) fn health(&self) -> Health {
        let passed = |wanted| {
            let worker = self.workers.iter().find(|(kind, _)| *kind == wanted);
            worker.is_none_or(|(_, worker)| worker.result() == Some(Outcome::Success))
        };
        Health { started: passed(Kind::Startup), ready: passed(Kind::Readiness) }
    }

    /// What is to be asked next, and when.
    pub(super) fn next(&self) -> Option<(Duration, Kind)> {
        let has_started = self.health().started;
        let due = |(kind, worker): &(Kind, Worker)| Some((worker.due(has_started)?, *kind));
        self.workers.iter().filter_map(due).min_by_key(|(at, _)| *at)
    }

    pub(super) fn ask(&mut self, kind: Kind, now: Duration) {
        self.worker(kind).for_each(|worker| worker.ask(now));
    }

    /// Takes note of an answer; also answers whether it was ignored.
    pub(super) fn answered(
        &mut self,
        kind: Kind,
        outcome: Option<Outcome>,
        now: Duration,
    ) -> (Effect, Option<News>) {
        let before = self.health();
        let effect = self.worker(kind).map(|worker| worker.answered(outcome, now)).last();
        let effect = effect.unwrap_or(Effect::Ignored);
        let restarts = kind != Kind::Readiness && outcome == Some(Outcome::Failure);
        let news = match effect {
            Effect::Changed if restarts => Some(News::Failed(kind)),
            _ => Some(self.health()).filter(|now| *now != before).map(News::Health),
        };
        (effect, news)
    }

    fn worker(&mut self, wanted: Kind) -> impl Iterator<Item = &mut Worker> {
        let wanted = move |(kind, worker)| (kind == wanted).then_some(worker);
        self.workers.iter_mut().map(|(kind, worker)| (*kind, worker)).filter_map(wanted)
    }
}
