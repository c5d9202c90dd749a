//! Says of Pods on a node that is not ready that they are not ready: nobody is sent to who may be gone. When
//! the node speaks again its kubelet says how they are.
//!
//! Upstream: `processPod` in `pkg/controller/nodelifecycle/node_lifecycle_controller.go`,
//! `MarkPodsNotReady` in `pkg/controller/util/node/controller_utils.go`.

use std::collections::HashMap;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, Patch, PatchParams};
use parking_lot::Mutex;
use serde_json::json;

use super::Context;
use super::ownership::{namespace, reference, revision};
use super::pods::ready_since;
use super::reconcile::{self, is_gone};
use crate::api::object::ObjectKey;
use crate::client::cache::{Cache, key_of};
use crate::client::clock::whole_second;
use crate::client::events::EventType;

pub(super) async fn run(ctx: Context) {
    ctx.caches.nodes.synced().await;
    ctx.caches.pods.synced().await;
    let nodes = ctx.caches.nodes.clone();
    let of_pods = ctx.caches.pods.changes_as(move |pod| misleads(&nodes, pod).then(|| key_of(pod)));
    let all = ctx.caches.pods.clone();
    let was_ready: Mutex<HashMap<String, bool>> = Mutex::default();
    let of_nodes = ctx
        .caches
        .nodes
        .changes_as(|node: &Node| Some((node.metadata.name.clone()?, is_ready(node))));
    let of_nodes = of_nodes.flat_map(move |(name, is_ready)| {
        // Told of every heartbeat, but only the first of being unready concerns its Pods.
        let before = was_ready.lock().insert(name.clone(), is_ready);
        let fell = !is_ready && before != Some(false);
        let mut pods = if fell { all.list() } else { Vec::new() };
        pods.retain(|pod| node_of(pod) == Some(&*name));
        stream::iter(pods.iter().map(|pod| key_of(&**pod)).collect::<Vec<_>>())
    });
    let keys = stream::select(of_pods, of_nodes);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("node-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { look(&ctx, &key).await }
    })
    .await;
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref())
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    // One that has not said anything yet is not asked for its Pods.
    conditions.into_iter().all(|one| one.type_ != "Ready" || one.status == "True")
}

/// It says that it is ready, and its node is not.
fn misleads(nodes: &Cache<Node>, pod: &Pod) -> bool {
    let node = || nodes.get(&ObjectKey::new("", node_of(pod)?));
    ready_since(pod).is_some() && node().is_some_and(|node| !is_ready(&node))
}

async fn look(ctx: &Context, key: &ObjectKey) -> Result<(), kube::Error> {
    let pod = ctx.caches.pods.get(key).filter(|pod| misleads(&ctx.caches.nodes, pod));
    let Some(pod) = pod else { return Ok(()) };
    let api: Api<Pod> = Api::namespaced(ctx.client.kube(), namespace(&pod.metadata));
    let now = Time(whole_second(ctx.clock.now()));
    let unready = json!({"type": "Ready", "status": "False", "lastTransitionTime": now});
    let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [unready]}});
    let patch = Patch::Strategic(&patch);
    let written = match api.patch_status(&key.name, &PatchParams::default(), &patch).await {
        Err(error) if is_gone(&error) => return Ok(()),
        answer => answer?,
    };
    let text = "Node is not ready";
    ctx.recorder.record(&reference(&*pod), EventType::Warning, "NodeNotReady", text);
    ctx.caches.pods.reached(revision(&written.metadata)).await;
    Ok(())
}
