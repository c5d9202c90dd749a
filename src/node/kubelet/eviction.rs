//! How much of the node's disk a Pod uses: what its containers write to their own layers, their logs,
//! and its emptyDirs that are no memory. A write that would exceed a container's own limit, or an
//! emptyDir's, fails at once; a Pod whose logs come on top of it is ended, with the reason `Evicted`.
//!
//! Upstream: `localStorageEviction` in `pkg/kubelet/eviction/eviction_manager.go`, whose order and words
//! these are.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, Volume};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::lifecycle::Context;
use super::pod_workers::LivePod;
use super::volumes::Volumes;
use crate::api::quantity::Quantity;
use crate::node::files::Quota;
use crate::node::volumes::Mounted;

/// Upstream's `evictionMonitoringPeriod`.
const PERIOD: Duration = Duration::from_secs(10);
const RESOURCE: &str = "ephemeral-storage";
/// The reason of the Pod's status and of the Event.
pub(super) const REASON: &str = "Evicted";

/// What a Pod may use, and what it uses.
#[derive(Debug)]
pub(super) struct LocalStorage {
    /// `None`: as much as there is, and nobody counts.
    limits: Option<Limits>,
    /// The accounts of the containers' latest layers.
    layers: Mutex<HashMap<String, Arc<Quota>>>,
    /// Those of its volumes that count.
    scratch: Mutex<Vec<Mounted>>,
    /// Why it is to be ended.
    verdict: Mutex<Option<String>>,
    judged: Notify,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Limits {
    /// By container, in bytes.
    containers: BTreeMap<String, u64>,
    pod: u64,
}

/// In bytes.
#[derive(Debug, Default)]
struct Usage {
    /// Layer and logs, by container.
    containers: BTreeMap<String, u64>,
    volumes: u64,
}

impl LocalStorage {
    pub(super) fn of(pod: &Pod) -> Self {
        Self {
            limits: Limits::of(pod),
            layers: Mutex::default(),
            scratch: Mutex::default(),
            verdict: Mutex::default(),
            judged: Notify::new(),
        }
    }

    /// The account of a container's new layer; `None` if nobody counts.
    pub(super) fn layer(&self, container: &str) -> Option<Arc<Quota>> {
        let limits = self.limits.as_ref()?;
        let quota = match limits.containers.get(container) {
            Some(limit) => Quota::new(*limit),
            None => Quota::counting(),
        };
        let quota = Arc::new(quota);
        self.layers.lock().insert(container.to_owned(), quota.clone());
        Some(quota)
    }

    /// Takes note of the Pod's volumes.
    pub(super) fn volumes(&self, pod: &Pod, volumes: &Volumes) {
        if self.limits.is_none() {
            return;
        }
        let spec = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
        let counted = spec.into_iter().flatten().filter(|volume| is_scratch(volume));
        let mounted = counted.filter_map(|volume| volumes.get(&volume.name).cloned());
        *self.scratch.lock() = mounted.collect();
    }

    /// Nothing of it is counted any more but its logs.
    pub(super) fn clear(&self) {
        *self.layers.lock() = HashMap::new();
        *self.scratch.lock() = Vec::new();
    }

    /// Why the Pod is to be ended, once it is. Losing the race of a `select!` loses nothing.
    pub(super) async fn verdict(&self) -> String {
        loop {
            let verdict = self.verdict.lock().take();
            match verdict {
                Some(verdict) => return verdict,
                None => self.judged.notified().await,
            }
        }
    }

    /// What is used now; reads the names of the log files.
    fn usage(&self, directory: &Path) -> Usage {
        let mut usage = Usage::default();
        for (name, layer) in &*self.layers.lock() {
            usage.containers.insert(name.clone(), layer.usage().bytes);
        }
        for (name, bytes) in logs(directory) {
            *usage.containers.entry(name).or_default() += bytes;
        }
        usage.volumes = self.scratch.lock().iter().map(Mounted::bytes).sum();
        usage
    }
}

/// Looks at all Pods with a limit again and again, until the kubelet stops.
pub(super) async fn run(ctx: Arc<Context>) {
    let stop = ctx.stop.clone();
    let watch = async {
        loop {
            ctx.rooms.clock.sleep(PERIOD).await;
            let bounded = |pod: &Arc<LivePod>| pod.storage.limits.is_some();
            let pods: Vec<_> = ctx.live.list().into_iter().filter(bounded).collect();
            if !pods.is_empty() {
                // Reads directories. Fails only if it panics, which the panic has told.
                let _ = tokio::task::spawn_blocking(move || pods.iter().for_each(judge)).await;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch => {}
    }
}

fn judge(pod: &Arc<LivePod>) {
    let storage = &pod.storage;
    let Some(limits) = &storage.limits else { return };
    if let Some(verdict) = limits.exceeded(&storage.usage(&pod.directory)) {
        *storage.verdict.lock() = Some(verdict);
        storage.judged.notify_one();
    }
}

/// Bytes of the containers' logs, those of earlier runs among them.
fn logs(directory: &Path) -> Vec<(String, u64)> {
    let Ok(containers) = std::fs::read_dir(directory.join("logs")) else { return Vec::new() };
    let of_container = |entry: std::fs::DirEntry| {
        let files = std::fs::read_dir(entry.path()).ok()?;
        let bytes = files.flatten().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
        Some((entry.file_name().to_str()?.to_owned(), bytes))
    };
    containers.flatten().filter_map(of_container).collect()
}

impl Limits {
    fn of(pod: &Pod) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let mut limits = Self::default();
        let (mut sidecars, mut starting) = (0, 0);
        for container in spec.init_containers.iter().flatten() {
            let Some(bytes) = limit(container) else { continue };
            limits.containers.insert(container.name.clone(), bytes);
            if container.restart_policy.as_deref() == Some("Always") {
                sidecars += bytes;
                starting = starting.max(sidecars);
            } else {
                starting = starting.max(sidecars + bytes);
            }
        }
        limits.pod = sidecars;
        for container in &spec.containers {
            let Some(bytes) = limit(container) else { continue };
            limits.containers.insert(container.name.clone(), bytes);
            limits.pod += bytes;
        }
        limits.pod = limits.pod.max(starting);
        (!limits.containers.is_empty()).then_some(limits)
    }

    /// The text of the Event and of the status, if something is.
    fn exceeded(&self, usage: &Usage) -> Option<String> {
        let total = usage.containers.values().sum::<u64>() + usage.volumes;
        if total > self.pod {
            let limit = text(self.pod);
            return Some(format!(
                "Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
            ));
        }
        let over = self
            .containers
            .iter()
            .find(|(name, limit)| usage.containers.get(*name).is_some_and(|used| used > limit));
        over.map(|(name, limit)| {
            let limit = text(*limit);
            format!("Container {name} exceeded its local ephemeral storage limit {limit:?}. ")
        })
    }
}

fn limit(container: &Container) -> Option<u64> {
    let limits = container.resources.as_ref()?.limits.as_ref()?;
    u64::try_from(Quantity::of(limits.get(RESOURCE)?).ok()?.value()).ok()
}

/// As an amount of bytes is written: `10Mi`.
fn text(bytes: u64) -> String {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    Quantity::new(bytes, crate::api::quantity::Format::BinarySi).to_string()
}

fn is_scratch(volume: &Volume) -> bool {
    let medium = volume.empty_dir.as_ref().map(|empty| empty.medium.as_deref().unwrap_or_default());
    medium == Some("")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn limits(containers: &[(&str, &str)], init: Value) -> Option<Limits> {
        let containers: Vec<Value> =
            containers.iter().map(|(name, limit)| with(name, limit)).collect();
        let spec = json!({"containers": containers, "initContainers": init});
        let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
        Limits::of(&pod)
    }

    fn with(name: &str, limit: &str) -> Value {
        let limits = if limit.is_empty() { json!({}) } else { json!({RESOURCE: limit}) };
        json!({"name": name, "resources": {"limits": limits}})
    }

    #[test]
    fn a_pods_limit_is_its_containers_together_or_its_largest_start() {
        assert_eq!(limits(&[("a", "")], json!([])), None);
        let of = |containers: &[(&str, &str)], init| limits(containers, init).unwrap().pod;
        assert_eq!(of(&[("a", "1Ki"), ("b", "")], json!([])), 1 << 10);
        let init = json!([with("i", "5Ki")]);
        assert_eq!(of(&[("a", "1Ki"), ("b", "2Ki")], init), 5 << 10);
    }

    #[test]
    fn who_exceeds_what_is_told_in_upstreams_words() {
        let limits = limits(&[("a", "10Mi"), ("b", "20Mi")], json!([])).unwrap();
        let check = |a: u64, b: u64, volumes: u64, expect: Option<&str>| {
            let containers = [("a", a), ("b", b)];
            let containers = containers.map(|(name, mib)| (name.to_owned(), mib << 20)).into();
            let usage = Usage { containers, volumes: volumes << 20 };
            assert_eq!(limits.exceeded(&usage).as_deref(), expect);
        };
        check(10, 20, 0, None);
        let container = "Container a exceeded its local ephemeral storage limit \"10Mi\". ";
        check(11, 0, 0, Some(container));
        let pod = "Pod ephemeral local storage usage exceeds the total limit of containers 30Mi. ";
        check(11, 0, 20, Some(pod));
    }
}
