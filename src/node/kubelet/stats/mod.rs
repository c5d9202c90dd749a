//! What containers and the node itself use: for `kubectl top`, and for whoever scales by it.
//!
//! Memory is read when it is asked for. CPU time is a sum that only grows, so how much is used *now*
//! takes two readings: [`run`] keeps the latest two of everything that runs. A reading is a few loads
//! from memory; ten thousand containers cost some milliseconds in each period.
//!
//! Upstream: `pkg/kubelet/server/stats`, metrics-server's `pkg/storage`.

mod host;
mod samples;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use self::samples::{PERIOD, Rate, Sample, Samples};
use super::lifecycle::Context;
use super::pod_workers::LivePod;
use super::run::Live;
use crate::client::clock::Clock;
use crate::client::node_api::{ContainerUsage, PodRef, Stats, Usage};
use crate::node::runtime::Container;

/// What is remembered of one container's use, or of the node's.
#[derive(Debug)]
pub(super) struct Meter(Mutex<Samples>);

impl Meter {
    pub(super) fn starting(clock: &Clock) -> Self {
        Self(Mutex::new(Samples::starting(clock.monotonic(), Duration::ZERO)))
    }

    /// Of this process, which has computed before.
    pub(super) fn of_node(clock: &Clock) -> Self {
        let cpu = host::cpu_time().unwrap_or_default();
        Self(Mutex::new(Samples::starting(clock.monotonic(), cpu)))
    }

    fn take(&self, sample: Sample) {
        self.0.lock().take(sample);
    }

    fn rate(&self, now: Sample) -> Option<Rate> {
        self.0.lock().rate(now)
    }
}

/// Reads what everything has used so far, again and again, until the kubelet stops.
pub(super) async fn run(ctx: Arc<Context>) {
    let stop = ctx.stop.clone();
    let sample = async {
        loop {
            ctx.rooms.clock.sleep(PERIOD).await;
            sample_all(&ctx);
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = sample => {}
    }
}

fn sample_all(ctx: &Context) {
    let at = ctx.rooms.clock.monotonic();
    let pods = ctx.live.list();
    let mut guests = Duration::ZERO;
    for pod in &pods {
        pod.each_running(|_, live| {
            let sample = sample(&live.container, at);
            guests += sample.cpu;
            live.meter.take(sample);
        });
    }
    let cpu = host::cpu_time().unwrap_or(guests);
    ctx.node_meter.take(Sample { at, cpu, requests: 0 });
}

fn sample(container: &Container, at: Duration) -> Sample {
    Sample { at, cpu: container.cpu_time(), requests: container.requests().unwrap_or(0) }
}

/// What the node and these Pods use now.
pub(super) fn stats(ctx: &Context, pods: &[PodRef]) -> Stats {
    let (now, at) = (ctx.rooms.clock.now(), ctx.rooms.clock.monotonic());
    let of_pod = |pod: &PodRef| {
        let live = ctx.live.of(&pod.namespace, &pod.name, &pod.uid);
        live.map(|live| of_pod(&live, now, at)).unwrap_or_default()
    };
    Stats {
        node: ctx.config.node.clone(),
        usage: of_node(ctx, now, at),
        pods: pods.iter().map(of_pod).collect(),
    }
}

fn of_pod(pod: &LivePod, now: Timestamp, at: Duration) -> Vec<ContainerUsage> {
    let mut containers = Vec::new();
    pod.each_running(|name, live| {
        let usage = of_container(live, now, at);
        containers.extend(usage.map(|usage| ContainerUsage { name: name.to_owned(), usage }));
    });
    containers.sort_by(|one, other| one.name.cmp(&other.name));
    containers
}

fn of_container(live: &Live, now: Timestamp, at: Duration) -> Option<Usage> {
    let container: &Container = &live.container;
    let rate = live.meter.rate(sample(container, at))?;
    let request_millis = container.requests().map(|_| rate.request_millis);
    Some(Usage { request_millis, ..usage(now, rate, container.memory_bytes()) })
}

/// Where the host does not tell of the process, it is its guests.
fn of_node(ctx: &Context, now: Timestamp, at: Duration) -> Option<Usage> {
    let guests = || {
        let mut sum = (Duration::ZERO, 0);
        for pod in ctx.live.list() {
            pod.each_running(|_, live| {
                sum.0 += live.container.cpu_time();
                sum.1 += live.container.memory_bytes();
            });
        }
        sum
    };
    let cpu = host::cpu_time().unwrap_or_else(|| guests().0);
    let memory = host::memory_bytes().unwrap_or_else(|| guests().1);
    Some(usage(now, ctx.node_meter.rate(Sample { at, cpu, requests: 0 })?, memory))
}

fn usage(at: Timestamp, rate: Rate, memory_bytes: u64) -> Usage {
    let (window, cpu_nanocores) = (rate.window, rate.nanocores);
    Usage { at, window, cpu_nanocores, memory_bytes, request_millis: None }
}
