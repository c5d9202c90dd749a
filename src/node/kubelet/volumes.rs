//! A Pod's volumes: set up before its first container starts, brought up to date while it lives, and
//! what its containers mount of them.
//!
//! Upstream: `pkg/kubelet/volumemanager`, `pkg/kubelet/kubelet_pods.go` (`makeMounts`).

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use tokio::sync::watch;

use super::lifecycle::Context;
use super::{env, references};
use crate::api::downward::Facts;
use crate::client::events::EventType;
use crate::client::queue::Backoff;
use crate::node::files::Mount;
use crate::node::volumes::{Mounted, PodVolumes};

/// Upstream's `exponentialbackoff`.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(500), max: Duration::from_secs(122) };

/// How far the volumes are.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    UnderWay,
    /// Something is missing; it is tried again.
    Failing,
    Ready(Arc<Volumes>),
}

/// A Pod's volumes by name, all set up.
pub(super) type Volumes = HashMap<String, Mounted>;

/// Sets a Pod's volumes up and keeps them up to date, as long as it is polled.
pub(super) struct Keeper {
    pod_tx: watch::Sender<Arc<Pod>>,
    progress_rx: watch::Receiver<Progress>,
    work: BoxFuture<'static, ()>,
}

impl Keeper {
    pub(super) fn new(ctx: Arc<Context>, pod: Arc<Pod>, facts: Facts, directory: PathBuf) -> Self {
        let volumes = ctx.rooms.volumes.of_pod(&pod, facts, directory);
        let (pod_tx, pod_rx) = watch::channel(pod);
        let (progress_tx, progress_rx) = watch::channel(Progress::UnderWay);
        let work = Box::pin(keep(ctx, volumes, pod_rx, progress_tx));
        Self { pod_tx, progress_rx, work }
    }

    /// The Pod has changed.
    pub(super) fn update(&self, pod: &Arc<Pod>) {
        self.pod_tx.send_if_modified(|before| {
            let shown = |pod: &Pod| {
                let meta = &pod.metadata;
                (meta.labels.clone(), meta.annotations.clone())
            };
            let has_changed = shown(before) != shown(pod);
            *before = pod.clone();
            has_changed
        });
    }

    /// Works until there is progress. Losing the race of a `select!` loses nothing.
    pub(super) async fn progress(&mut self) -> Progress {
        tokio::select! {
            Ok(()) = self.progress_rx.changed() => self.progress_rx.borrow_and_update().clone(),
            () = &mut self.work => std::future::pending().await,
        }
    }
}

async fn keep(
    ctx: Arc<Context>,
    mut volumes: PodVolumes,
    mut pod_rx: watch::Receiver<Arc<Pod>>,
    progress_tx: watch::Sender<Progress>,
) {
    let clock = &ctx.rooms.clock;
    let changed = volumes.changed();
    let mut failures = 0;
    loop {
        let pod = pod_rx.borrow_and_update().clone();
        let failed = volumes.set_up(&pod).await;
        failures = if failed.is_empty() { 0 } else { failures + 1 };
        for text in failed {
            let about = references::pod(&pod);
            ctx.recorder.record(&about, EventType::Warning, "FailedMount", text);
        }
        progress_tx.send_if_modified(|progress| advance(progress, &volumes));
        let due = volumes
            .again_at()
            .map(|at| Duration::try_from(at.duration_since(clock.now())).unwrap_or_default());
        let retry = (failures > 0).then(|| BACKOFF.delay(failures));
        let wait = due.into_iter().chain(retry).min();
        let sleep = async {
            match wait {
                Some(wait) => clock.sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed.notified() => {}
            Ok(()) = pod_rx.changed() => {}
            () = sleep => {}
        }
    }
}

/// Takes note of what became of the volumes; answers whether that is news. Once all were there, they
/// stay.
fn advance(progress: &mut Progress, volumes: &PodVolumes) -> bool {
    if matches!(progress, Progress::Ready(_)) {
        return false;
    }
    let was_failing = matches!(progress, Progress::Failing);
    let mounted = volumes.mounted();
    let is_news = mounted.is_some() || !was_failing;
    *progress = mounted.map_or(Progress::Failing, |all| Progress::Ready(Arc::new(all)));
    is_news
}

/// What a container mounts. Makes what a `subPath` lacks.
///
/// # Errors
/// In upstream's words: a reference to what is not there, or a path that leads out of its volume.
pub(super) fn mounts(
    container: &Container,
    volumes: &Volumes,
    environment: &[(String, String)],
) -> Result<Vec<Mount>, String> {
    if let Some(device) = container.volume_devices.iter().flatten().next() {
        return Err(format!(
            "volume {} is specified in volumeDevices: sampan has no block devices",
            device.name
        ));
    }
    let mounts = container.volume_mounts.iter().flatten();
    mounts.map(|mount| one_mount(container, mount, volumes, environment)).collect()
}

fn one_mount(
    container: &Container,
    mount: &VolumeMount,
    volumes: &Volumes,
    environment: &[(String, String)],
) -> Result<Mount, String> {
    let VolumeMount { name, mount_path, .. } = mount;
    let of = &container.name;
    let volume = volumes.get(name);
    let volume = volume
        .ok_or_else(|| format!("cannot find volume {name:?} to mount into container {of:?}"))?;
    let sub_path = sub_path(mount, environment)?;
    let source = volume.source(&sub_path).map_err(|error| {
        if sub_path.is_empty() {
            format!("failed to open volume {name:?} of container {of:?}: {error}")
        } else {
            format!(
                "failed to prepare subPath for volumeMount {name:?} of container {of:?}: {error}"
            )
        }
    })?;
    let path =
        if mount_path.starts_with('/') { mount_path.clone() } else { format!("/{mount_path}") };
    let read_only = volume.read_only || mount.read_only.unwrap_or(false);
    Ok(Mount { path, source, read_only })
}

/// The part of the volume that is mounted; empty for all of it.
fn sub_path(mount: &VolumeMount, environment: &[(String, String)]) -> Result<String, String> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let path = match given(&mount.sub_path_expr) {
        Some(expression) => expanded(&expression, environment)?,
        None => given(&mount.sub_path).unwrap_or_default(),
    };
    if path.starts_with('/') {
        return Err(format!("error SubPath `{path}` must not be an absolute path"));
    }
    if path.split('/').any(|part| part == "..") {
        return Err(format!("unable to provision SubPath `{path}`: must not contain '..'"));
    }
    Ok(path)
}

/// Upstream: `ExpandContainerVolumeMounts`; a variable that is empty is missing too.
fn expanded(expression: &str, environment: &[(String, String)]) -> Result<String, String> {
    let mut missing = BTreeSet::new();
    let path = env::expand(expression, |name| {
        let found = environment.iter().find(|(known, value)| known == name && !value.is_empty());
        if found.is_none() {
            missing.insert(name.to_owned());
        }
        found.map(|(_, value)| value.clone())
    });
    if missing.is_empty() {
        return Ok(path);
    }
    let missing: Vec<String> = missing.into_iter().collect();
    Err(format!("missing value for {}", missing.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(mount: Value, expect: Result<&str, &str>) {
        let mut mount = mount;
        mount["name"] = json!("v");
        mount["mountPath"] = json!("/v");
        let environment = [("POD", "p-0"), ("UP", ".."), ("ROOT", "/etc"), ("EMPTY", "")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found = sub_path(&serde_json::from_value(mount).unwrap(), &environment);
        assert_eq!(found.as_deref().map_err(String::as_str), expect);
    }

    #[test]
    fn a_sub_path_is_given_or_expanded() {
        check(json!({}), Ok(""));
        check(json!({"subPath": "$(POD)/x"}), Ok("$(POD)/x"));
        check(json!({"subPathExpr": "logs/$(POD)"}), Ok("logs/p-0"));
        check(json!({"subPathExpr": "$(NO)/$(EMPTY)/$(NO)"}), Err("missing value for EMPTY, NO"));
    }

    #[test]
    fn a_variable_does_not_lead_out_of_the_volume() {
        let up = "unable to provision SubPath `a/../b`: must not contain '..'";
        check(json!({"subPathExpr": "a/$(UP)/b"}), Err(up));
        let absolute = "error SubPath `/etc` must not be an absolute path";
        check(json!({"subPathExpr": "$(ROOT)"}), Err(absolute));
    }

    #[test]
    fn what_cannot_be_mounted_is_named() {
        let error = |container: Value| {
            let container = serde_json::from_value(container).unwrap();
            mounts(&container, &Volumes::new(), &[]).unwrap_err()
        };
        let mount = json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
        assert_eq!(error(mount), "cannot find volume \"v\" to mount into container \"c\"");
        let device = json!({"name": "c", "volumeDevices": [{"name": "v", "devicePath": "/v"}]});
        let expect = "volume v is specified in volumeDevices: sampan has no block devices";
        assert_eq!(error(device), expect);
    }
}
