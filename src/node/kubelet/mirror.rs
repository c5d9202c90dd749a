//! The Pod that shows sampan itself: `sampan-<node>` in kube-system, one container per component,
//! whose logs are theirs.
//!
//! Nothing is started for it: its containers run as long as this process does. A mirror Pod is made
//! again when somebody deletes it.
//!
//! Upstream: `pkg/kubelet/pod/mirror_client.go`, and what kubeadm makes of static Pods.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{info, warn};

use super::conditions;
use super::lifecycle::{Config, Context};
use crate::api::object::ObjectKey;
use crate::client::node_api::{ContainerRef, NodeError};
use crate::telemetry::{ComponentLog, ComponentLogs};

/// Marks Pods that the API only shows; its value tells one state of the Pod's source from another.
const MIRROR: &str = "kubernetes.io/config.mirror";
const NAMESPACE: &str = "kube-system";
const IMAGE: &str = concat!("sampan:", env!("CARGO_PKG_VERSION"));
/// What failed is tried again after this long, then twice as long, up to a minute: kube-system may
/// be gone until the next start.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

pub(super) fn is_mirror(pod: &Pod) -> bool {
    source(pod).is_some()
}

fn source(pod: &Pod) -> Option<&str> {
    Some(pod.metadata.annotations.as_ref()?.get(MIRROR)?.as_str())
}

fn key(config: &Config) -> ObjectKey {
    ObjectKey::new(NAMESPACE, format!("sampan-{}", config.node))
}

/// Whether a change of the key is this room's concern: of our Pod, or of a mirror Pod that somebody
/// else made on this node.
pub(super) fn is_about(config: &Config, key: &ObjectKey, pod: Option<&Pod>) -> bool {
    match pod {
        Some(pod) => is_mirror_here(config, pod),
        None => key.namespace == NAMESPACE && *key == self::key(config),
    }
}

fn is_mirror_here(config: &Config, pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node == Some(config.node.as_str()) && is_mirror(pod)
}

/// The log of one of our Pod's containers; `None` if the container is another Pod's.
///
/// # Errors
/// In the kubelet's words, if there is no such log.
pub(super) fn log<'a>(
    ctx: &'a Context,
    container: &ContainerRef,
    previous: bool,
) -> Option<Result<&'a ComponentLog, NodeError>> {
    let name = &container.container;
    if !is_ours(ctx, container) {
        return None;
    }
    let log = ctx.rooms.component_logs.get(name).filter(|_| !previous);
    Some(log.ok_or_else(|| {
        let text =
            format!("previous terminated container {name:?} in pod {:?} not found", container.pod);
        NodeError::BadRequest(text)
    }))
}

/// # Errors
/// If it is a component: there is no sandbox with programs around it.
pub(super) fn refuse_to_enter(ctx: &Context, container: &ContainerRef) -> Result<(), NodeError> {
    if !is_ours(ctx, container) {
        return Ok(());
    }
    let ContainerRef { container: name, pod, .. } = container;
    Err(NodeError::BadRequest(format!(
        "{name} is a part of the sampan process and has no container to enter; \
         read its log: kubectl logs -n {NAMESPACE} {pod} -c {name}"
    )))
}

fn is_ours(ctx: &Context, container: &ContainerRef) -> bool {
    let key = ObjectKey::new(container.namespace.as_str(), container.pod.as_str());
    // A user's Pod may have taken the name, and runs.
    key.namespace == NAMESPACE && key == self::key(&ctx.config) && ctx.live.get(&key).is_none()
}

/// Keeps the Pod there from the node's registration until the kubelet stops.
pub(super) async fn run(ctx: Arc<Context>, mut registered_rx: watch::Receiver<bool>) {
    let stop = ctx.stop.clone();
    let started = ctx.rooms.clock.now();
    let work = async {
        // Fails only when the kubelet is gone.
        let _ = registered_rx.wait_for(|registered| *registered).await;
        ctx.rooms.pods.synced().await;
        let (mut shown, mut retry) = (None, RETRY_FIRST);
        loop {
            match mend(&ctx, &mut shown, started).await {
                Ok(()) => {
                    retry = RETRY_FIRST;
                    ctx.mirror_changed.notified().await;
                }
                Err(error) => {
                    warn!(pod = %key(&ctx.config), %error, "Failed to show sampan's own Pod; trying again");
                    ctx.rooms.clock.sleep(retry).await;
                    retry = (retry * 2).min(RETRY_MAX);
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Lets go of mirror Pods that are being deleted, and makes ours if it is not there. `shown` is the
/// uid of the one whose status is written.
async fn mend(
    ctx: &Context,
    shown: &mut Option<String>,
    started: Timestamp,
) -> Result<(), kube::Error> {
    for pod in ctx.rooms.pods.list() {
        let goes = pod.metadata.deletion_timestamp.is_some();
        if goes && is_mirror_here(&ctx.config, &pod) {
            delete(ctx, &pod).await?;
        }
    }
    let wanted = pod(&ctx.config);
    let pod = match ctx.rooms.pods.get(&key(&ctx.config)) {
        Some(pod) if pod.metadata.uid == *shown => return Ok(()),
        // The change that says it is gone is yet to come.
        Some(pod) if pod.metadata.deletion_timestamp.is_some() => return Ok(()),
        Some(pod) if !is_mirror(&pod) => {
            warn!(pod = %key(&ctx.config), "Somebody's Pod has the name of sampan's own, which is not shown");
            return Ok(());
        }
        // Of an earlier version, or another address.
        Some(pod) if source(&pod) != source(&wanted) => return delete(ctx, &pod).await,
        Some(pod) => pod,
        None => match api(ctx, NAMESPACE).create(&PostParams::default(), &wanted).await {
            // The cache was behind; it tells when it has caught up.
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(()),
            made => Arc::new(made?),
        },
    };
    let status =
        json!({ "metadata": { "uid": pod.metadata.uid }, "status": status(ctx, &pod, started) });
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let params = PatchParams::default();
    match api(ctx, NAMESPACE).patch_status(name, &params, &Patch::Merge(&status)).await {
        // It went meanwhile, and the cache is about to tell.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        outcome => {
            outcome?;
            info!(pod = %key(&ctx.config), "Showing sampan's own components");
            shown.clone_from(&pod.metadata.uid);
            Ok(())
        }
    }
}

/// There is nothing to end first.
async fn delete(ctx: &Context, pod: &Pod) -> Result<(), kube::Error> {
    let meta = &pod.metadata;
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: meta.uid.clone(), resource_version: None }),
        ..DeleteParams::default()
    };
    let name = meta.name.as_deref().unwrap_or_default();
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    match api(ctx, namespace).delete(name, &params).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn api(ctx: &Context, namespace: &str) -> Api<Pod> {
    Api::namespaced(ctx.rooms.client.kube(), namespace)
}

fn pod(config: &Config) -> Pod {
    let ObjectKey { namespace, name } = key(config);
    let containers: Vec<Value> =
        ComponentLogs::names().map(|name| json!({ "name": name, "image": IMAGE })).collect();
    let pod = json!({
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": { "component": "sampan", "tier": "control-plane" },
            "annotations": {
                MIRROR: format!("{IMAGE}@{}", config.address),
                "kubernetes.io/config.source": "file",
            },
        },
        "spec": {
            "containers": containers,
            "hostNetwork": true,
            "nodeName": config.node,
            "priorityClassName": "system-node-critical",
            "tolerations": [{ "effect": "NoExecute", "operator": "Exists" }],
        },
    });
    serde_json::from_value(pod).expect("the fields above are a Pod's")
}

/// Everything runs since `started`; what an earlier life of sampan left counts as a run before.
fn status(ctx: &Context, pod: &Pod, started: Timestamp) -> Value {
    let restarts = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let restarts = restarts.and_then(|all| all.first()).map_or(0, |one| one.restart_count + 1);
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let containers = ComponentLogs::names().map(|name| {
        json!({
            "name": name,
            "image": IMAGE,
            "imageID": IMAGE,
            "containerID": format!("sampan://{uid}/{name}"),
            "ready": true,
            "started": true,
            "restartCount": restarts,
            "state": { "running": { "startedAt": Time(started) } },
        })
    });
    let conditions = conditions::OF_KUBELET.map(
        |type_| json!({ "type": type_, "status": "True", "lastTransitionTime": Time(started) }),
    );
    let address = ctx.config.address;
    json!({
        "phase": "Running",
        "startTime": Time(started),
        "hostIP": address,
        "hostIPs": [{ "ip": address }],
        "podIP": address,
        "podIPs": [{ "ip": address }],
        "conditions": conditions,
        "containerStatuses": containers.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            node: "sampan-blue".to_owned(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            capacity: Default::default(),
            pods_directory: std::path::PathBuf::new(),
            volumes_directory: std::path::PathBuf::new(),
        }
    }

    #[test]
    fn the_pod_has_a_container_for_each_component() {
        let pod = pod(&config());
        assert!(is_mirror_here(&config(), &pod));
        assert_eq!(pod.metadata.name.as_deref(), Some("sampan-sampan-blue"));
        let containers = pod.spec.unwrap().containers;
        let names: Vec<&str> = containers.iter().map(|container| &*container.name).collect();
        assert_eq!(
            names,
            [
                "kube-apiserver",
                "kube-scheduler",
                "kube-controller-manager",
                "kubelet",
                "kube-proxy"
            ]
        );
    }

    #[test]
    fn only_mirror_pods_of_this_node_and_our_pods_end_are_a_concern() {
        let ours = key(&config());
        let other = ObjectKey::new("default", "a");
        let mirror = pod(&config());
        let mut elsewhere = mirror.clone();
        elsewhere.spec.as_mut().unwrap().node_name = Some("sampan".to_owned());
        let mut plain = mirror.clone();
        plain.metadata.annotations = None;
        assert!(is_about(&config(), &ours, None));
        assert!(is_about(&config(), &ours, Some(&mirror)));
        assert!(is_about(&config(), &other, Some(&mirror)));
        assert!(!is_about(&config(), &other, None));
        assert!(!is_about(&config(), &other, Some(&elsewhere)));
        assert!(!is_about(&config(), &ours, Some(&plain)));
    }
}
