//! Sends Pods away from nodes whose NoExecute taints they do not tolerate, or not for ever.
//!
//! Upstream: `pkg/controller/tainteviction`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use parking_lot::Mutex;

use super::Context;
use super::ownership::reference;
use super::pod_removal::{self, Disruption};
use super::pods;
use super::reconcile::{self, Next};
use crate::api::object::ObjectKey;
use crate::api::scheduling::taints;
use crate::client::cache::key_of;
use crate::client::events::EventType;

/// Since when Pods have been on a node with taints that they tolerate for a while. Bound: one entry for each
/// such Pod.
type Since = Mutex<HashMap<ObjectKey, (Option<String>, Timestamp)>>;

/// What becomes of a Pod.
#[derive(Debug, PartialEq)]
enum Verdict {
    Stays,
    /// It leaves so long after it was first noticed.
    LeavesAfter(SignedDuration),
    Leaves,
}

pub(super) async fn run(ctx: Context) {
    ctx.caches.nodes.synced().await;
    ctx.caches.pods.synced().await;
    let since: Arc<Since> = Arc::default();
    let all = ctx.caches.pods.clone();
    let nodes = ctx.caches.nodes.changes_as(|node: &Node| {
        // Told of every heartbeat, but only who has had such taints, or has them, is asked about.
        let taints: Vec<(String, String)> = no_execute(node)
            .map(|it| (it.key.clone(), it.value.clone().unwrap_or_default()))
            .collect();
        Some((node.metadata.name.clone()?, taints))
    });
    let seen: Mutex<HashMap<String, Vec<(String, String)>>> = Mutex::default();
    let of_nodes = nodes.flat_map(move |(name, taints)| {
        let before = seen.lock().insert(name.clone(), taints.clone());
        let differs = before.is_none_or(|before| before != taints);
        let pods = if differs { all.list() } else { Vec::new() };
        let here: Vec<ObjectKey> =
            pods.iter().filter(|pod| node_of(pod) == name).map(|pod| key_of(&**pod)).collect();
        stream::iter(here)
    });
    let keys = stream::select(ctx.caches.pods.changes(), of_nodes);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("taint-eviction-controller", clock, stop, keys, |key| {
        let (ctx, since) = (ctx.clone(), since.clone());
        async move { look(&ctx, &since, &key).await }
    })
    .await;
}

fn node_of(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

fn no_execute(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.iter().filter_map(|spec| spec.taints.as_ref()).flatten();
    taints.filter(|taint| taint.effect == "NoExecute")
}

async fn look(ctx: &Context, since: &Since, key: &ObjectKey) -> Result<Next, kube::Error> {
    let pod = ctx.caches.pods.get(key).filter(|pod| pods::is_active(pod));
    let node = pod.as_deref().map(node_of).filter(|name| !name.is_empty());
    let node = node.and_then(|name| ctx.caches.nodes.get(&ObjectKey::new("", name)));
    let (Some(pod), Some(node)) = (pod, node) else {
        since.lock().remove(key);
        return Ok(Next::Done);
    };
    let taints: Vec<&Taint> = no_execute(&node).collect();
    let now = ctx.clock.now();
    match verdict(&pod, &taints) {
        Verdict::Stays => {
            if since.lock().remove(key).is_some() {
                let text = format!("Cancelling deletion of Pod {key}");
                tell(ctx, &pod, text);
            }
            Ok(Next::Done)
        }
        Verdict::LeavesAfter(patience) => {
            let began = {
                let mut all = since.lock();
                let entry =
                    all.entry(key.clone()).or_insert_with(|| (pod.metadata.uid.clone(), now));
                if entry.0 != pod.metadata.uid {
                    *entry = (pod.metadata.uid.clone(), now);
                }
                entry.1
            };
            let left = (began + patience).duration_since(now);
            match Duration::try_from(left) {
                Ok(left) if !left.is_zero() => Ok(Next::After(left)),
                _ => leave(ctx, since, key, &pod).await,
            }
        }
        Verdict::Leaves => leave(ctx, since, key, &pod).await,
    }
}

async fn leave(
    ctx: &Context,
    since: &Since,
    key: &ObjectKey,
    pod: &Pod,
) -> Result<Next, kube::Error> {
    tell(ctx, pod, format!("Marking for deletion Pod {key}"));
    let why = Disruption {
        reason: "DeletionByTaintManager",
        message: "Taint manager: deleting due to NoExecute taint",
    };
    pod_removal::delete(ctx, pod, &why, None).await?;
    since.lock().remove(key);
    Ok(Next::Done)
}

fn tell(ctx: &Context, pod: &Pod, text: String) {
    ctx.recorder.record(&reference(pod), EventType::Normal, "TaintManagerEviction", text);
}

/// By the tolerations that match: none for one of the taints, and the Pod leaves at once; else the shortest of
/// the times that they grant.
fn verdict(pod: &Pod, found: &[&Taint]) -> Verdict {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref());
    let tolerations = tolerations.unwrap_or_default();
    let mut shortest: Option<i64> = None;
    for taint in found {
        let Some(toleration) = tolerations.iter().find(|it| taints::covers(it, taint)) else {
            return Verdict::Leaves;
        };
        if let Some(seconds) = toleration.toleration_seconds {
            shortest = Some(shortest.map_or(seconds, |least| least.min(seconds)));
        }
    }
    match shortest {
        None => Verdict::Stays,
        Some(..=0) => Verdict::Leaves,
        Some(seconds) => Verdict::LeavesAfter(SignedDuration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(tolerations: Value, expect: Verdict) {
        let pod = json!({"spec": {"containers": [], "tolerations": tolerations}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let taint = |key: &str| Taint {
            key: key.to_owned(),
            effect: "NoExecute".to_owned(),
            ..Taint::default()
        };
        let found = [taint("a"), taint("b")];
        assert_eq!(verdict(&pod, &found.iter().collect::<Vec<_>>()), expect);
    }

    #[test]
    fn every_taint_must_be_tolerated_and_the_shortest_time_counts() {
        let of = |key: &str, seconds: Option<i64>| {
            json!({"key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": seconds})
        };
        check(json!([]), Verdict::Leaves);
        check(json!([of("a", None)]), Verdict::Leaves);
        check(json!([of("a", None), of("b", None)]), Verdict::Stays);
        let after = |seconds| Verdict::LeavesAfter(SignedDuration::from_secs(seconds));
        check(json!([of("a", Some(60)), of("b", Some(30))]), after(30));
        check(json!([of("a", Some(60)), of("b", None)]), after(60));
        check(json!([of("a", Some(0)), of("b", None)]), Verdict::Leaves);
        check(json!([{"operator": "Exists"}]), Verdict::Stays);
    }
}
