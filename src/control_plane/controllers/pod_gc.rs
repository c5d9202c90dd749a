//! Removes Pods that nobody else will: of nodes that are no more, those that were deleted before they had a
//! node, and the oldest of very many that have ended.
//!
//! Upstream: `pkg/controller/podgc/gc_controller.go`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tracing::{info, warn};

use super::Context;
use super::ownership::namespace;
use super::pod_removal::{self, Disruption};
use super::pods;
use crate::client::cache::key_of;

/// Upstream's `gcCheckPeriod`, and `--terminated-pod-gc-threshold`.
const PERIOD: Duration = Duration::from_secs(20);
const TERMINATED_MAX: usize = 12_500;
/// A node must have been gone for so long: it may be about to register. Upstream: `quarantineTime`.
const QUARANTINE: SignedDuration = SignedDuration::from_secs(40);

/// Who goes, and why.
#[derive(Debug, PartialEq)]
enum Removal {
    Terminated(Arc<Pod>),
    Orphaned(Arc<Pod>),
    Unscheduled(Arc<Pod>),
}

pub(super) async fn run(ctx: Context) {
    ctx.caches.nodes.synced().await;
    ctx.caches.pods.synced().await;
    let mut missing = HashMap::new();
    loop {
        tokio::select! {
            () = ctx.stop.cancelled() => return,
            () = ctx.clock.sleep(PERIOD) => {}
        }
        let nodes = ctx.caches.nodes.list();
        let nodes: HashSet<&str> =
            nodes.iter().filter_map(|node| node.metadata.name.as_deref()).collect();
        let (pods, now) = (ctx.caches.pods.list(), ctx.clock.now());
        for removal in removals(&pods, &nodes, &mut missing, TERMINATED_MAX, now) {
            remove(&ctx, removal).await;
        }
    }
}

async fn remove(ctx: &Context, removal: Removal) {
    let (pod, why, outcome) = match removal {
        Removal::Orphaned(pod) => {
            let why =
                Disruption { reason: "DeletionByPodGC", message: "PodGC: node no longer exists" };
            let outcome = pod_removal::delete(ctx, &pod, &why, Some(0)).await;
            (pod, "its node no longer exists", outcome)
        }
        Removal::Terminated(pod) | Removal::Unscheduled(pod) => {
            let api: Api<Pod> = Api::namespaced(ctx.client.kube(), namespace(&pod.metadata));
            let outcome = pod_removal::remove(&api, &pod, Some(0)).await;
            (pod, "it has ended, or was deleted before it had a node", outcome)
        }
    };
    match outcome {
        Ok(()) => info!(pod = %key_of(&*pod), why, "Removed"),
        Err(error) => warn!(pod = %key_of(&*pod), %error, "Failed to remove; trying again"),
    }
}

/// `missing`: since when nodes that Pods name have not been there. Bound: one entry for each.
fn removals(
    pods: &[Arc<Pod>],
    nodes: &HashSet<&str>,
    missing: &mut HashMap<String, Timestamp>,
    terminated_max: usize,
    now: Timestamp,
) -> Vec<Removal> {
    let node_of = |pod: &Pod| {
        let name = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        name.filter(|name| !name.is_empty())
    };
    let lost: HashSet<String> = pods
        .iter()
        .filter_map(|pod| node_of(pod))
        .filter(|name| !nodes.contains(name.as_str()))
        .collect();
    missing.retain(|name, _| lost.contains(name));
    for name in lost {
        missing.entry(name).or_insert(now);
    }
    let is_lost = |name: &String| missing.get(name).is_some_and(|since| *since + QUARANTINE <= now);
    let mut removals = Vec::new();
    let mut over: Vec<&Arc<Pod>> = Vec::new();
    for pod in pods {
        match node_of(pod) {
            Some(node) if is_lost(&node) => removals.push(Removal::Orphaned(pod.clone())),
            None if pod.metadata.deletion_timestamp.is_some() => {
                removals.push(Removal::Unscheduled(pod.clone()));
            }
            _ if pods::is_over(pod) => over.push(pod),
            _ => {}
        }
    }
    over.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let too_many = over.len().saturating_sub(terminated_max);
    removals.extend(over.into_iter().take(too_many).cloned().map(Removal::Terminated));
    removals
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, node: Option<&str>, more: Value) -> Arc<Pod> {
        let mut pod =
            json!({"metadata": {"name": name}, "spec": {"containers": [], "nodeName": node}});
        for (field, value) in more.as_object().unwrap() {
            match field.as_str() {
                "phase" => pod["status"] = json!({"phase": value}),
                field => pod["metadata"][field] = value.clone(),
            }
        }
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn pods_of_a_node_that_stays_away_go() {
        let pods = [pod("here", Some("n"), json!({})), pod("lost", Some("gone"), json!({}))];
        let (nodes, mut missing) = (HashSet::from(["n"]), HashMap::new());
        let mut look =
            |seconds, nodes: &HashSet<&str>| removals(&pods, nodes, &mut missing, 9, at(seconds));
        assert_eq!(look(0, &nodes), []);
        assert_eq!(look(20, &nodes), []);
        // It was there for a moment: the time begins anew.
        assert_eq!(look(30, &HashSet::from(["n", "gone"])), []);
        assert_eq!(look(40, &nodes), []);
        assert_eq!(look(80, &nodes), [Removal::Orphaned(pods[1].clone())]);
    }

    #[test]
    fn who_never_had_a_node_and_who_ended_long_ago_go() {
        let gone = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
        let ended = |name: &str, day: u8| {
            let made = format!("2026-01-0{day}T00:00:00Z");
            pod(name, Some("n"), json!({"phase": "Failed", "creationTimestamp": made}))
        };
        let pods = [pod("never", None, gone), ended("b", 2), ended("c", 3), ended("a", 1)];
        let nodes = HashSet::from(["n"]);
        let found = removals(&pods, &nodes, &mut HashMap::new(), 1, at(0));
        let expect = [
            Removal::Unscheduled(pods[0].clone()),
            Removal::Terminated(pods[3].clone()),
            Removal::Terminated(pods[1].clone()),
        ];
        assert_eq!(found, expect);
    }
}
