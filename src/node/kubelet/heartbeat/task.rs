//! The task that registers the node and keeps it alive.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::node;
use crate::client::events::EventType;
use crate::node::kubelet::lifecycle::Context;

/// Upstream's `nodeLeaseDurationSeconds`, renewed at a quarter of it.
const LEASE_SECONDS: i32 = 40;
const RENEWAL: Duration = Duration::from_secs(10);
/// Upstream's `nodeStatusReportFrequency`: conditions are written anew this often, or when they
/// change, which ours do not.
const REPORT: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_millis(200);
const LEASES: &str = "kube-node-lease";

/// Registers the node, says so on `ready_tx`, then renews its Lease until the kubelet stops.
pub(in crate::node::kubelet) async fn run(ctx: Arc<Context>, ready_tx: Arc<watch::Sender<bool>>) {
    let stop = ctx.stop.clone();
    let work = async {
        let node = register(&ctx).await;
        ctx.recorder.record(
            &ctx.node_reference(),
            EventType::Normal,
            "Starting",
            "Starting kubelet.",
        );
        info!(node = %ctx.config.node, address = %ctx.config.address, "Registered the node");
        ready_tx.send_replace(true);
        keep_alive(&ctx, &node).await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn register(ctx: &Context) -> Node {
    loop {
        match try_register(ctx).await {
            Ok(node) => return node,
            Err(error) => {
                warn!(node = %ctx.config.node, %error, "Failed to register the node; trying again");
                ctx.rooms.clock.sleep(RETRY).await;
            }
        }
    }
}

/// Creates the Node, or brings the one of an earlier life up to date.
async fn try_register(ctx: &Context) -> Result<Node, kube::Error> {
    let api: Api<Node> = Api::all(ctx.rooms.client.kube());
    let now = ctx.rooms.clock.now();
    let wanted = node::node(&ctx.config, &ctx.allocatable, ctx.addresses.cidr(), now);
    match api.create(&PostParams::default(), &wanted).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let labels = json!({ "metadata": { "labels": wanted.metadata.labels } });
            api.patch(&ctx.config.node, &PatchParams::default(), &Patch::Merge(&labels)).await?;
        }
        outcome => drop(outcome?),
    }
    // Also after a create: the server may have kept only what a client may set there.
    let status = json!({ "status": wanted.status });
    api.patch_status(&ctx.config.node, &PatchParams::default(), &Patch::Merge(&status)).await
}

async fn keep_alive(ctx: &Context, node: &Node) {
    let clock = &ctx.rooms.clock;
    let mut report_at = clock.monotonic() + REPORT;
    loop {
        if let Err(error) = renew(ctx, node).await {
            warn!(node = %ctx.config.node, %error, "Failed to renew the node's Lease");
        }
        if clock.monotonic() >= report_at || is_given_up(ctx).await {
            report_at = clock.monotonic() + REPORT;
            if let Err(error) = report(ctx).await {
                warn!(node = %ctx.config.node, %error, "Failed to report the node's conditions");
            }
        }
        clock.sleep(RENEWAL).await;
    }
}

/// Whether the cluster takes the node for lost (it was suspended, or very slow): it is told at once that the
/// node lives, before its Pods are sent away.
async fn is_given_up(ctx: &Context) -> bool {
    let api: Api<Node> = Api::all(ctx.rooms.client.kube());
    // One that cannot be read is asked for again with the next renewal.
    let Ok(node) = api.get(&ctx.config.node).await else { return false };
    let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
    conditions.iter().any(|condition| condition.status == "Unknown")
}

async fn renew(ctx: &Context, node: &Node) -> Result<(), kube::Error> {
    let api: Api<Lease> = Api::namespaced(ctx.rooms.client.kube(), LEASES);
    let name = &ctx.config.node;
    let now = MicroTime(ctx.rooms.clock.now());
    let renewal = json!({ "spec": { "renewTime": now, "holderIdentity": name } });
    match api.patch(name, &PatchParams::default(), &Patch::Merge(&renewal)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {
            debug!(node = %name, "Making the node's Lease");
            api.create(&PostParams::default(), &lease(name, node, now)).await.map(drop)
        }
        outcome => outcome.map(drop),
    }
}

fn lease(name: &str, node: &Node, now: MicroTime) -> Lease {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.to_owned(),
        uid: node.metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    };
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(LEASES.to_owned()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.to_owned()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }),
    }
}

/// Writes the conditions with a new heartbeat; transition times stay where nothing changed.
async fn report(ctx: &Context) -> Result<(), kube::Error> {
    let api: Api<Node> = Api::all(ctx.rooms.client.kube());
    let old = api.get(&ctx.config.node).await?;
    let known = old.status.and_then(|status| status.conditions).unwrap_or_default();
    let conditions = refreshed(&known, ctx.rooms.clock.now());
    let patch = json!({ "status": { "conditions": conditions } });
    api.patch_status(&ctx.config.node, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map(drop)
}

fn refreshed(known: &[NodeCondition], now: Timestamp) -> Vec<NodeCondition> {
    let since: HashMap<(&str, &str), &Option<Time>> = known
        .iter()
        .map(|old| ((old.type_.as_str(), old.status.as_str()), &old.last_transition_time))
        .collect();
    let mut conditions = node::conditions(now);
    for condition in &mut conditions {
        if let Some(since) = since.get(&(condition.type_.as_str(), condition.status.as_str())) {
            condition.last_transition_time.clone_from(since);
        }
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_moves_the_heartbeat_and_not_the_transition() {
        let later = Timestamp::UNIX_EPOCH + REPORT;
        let refreshed = refreshed(&node::conditions(Timestamp::UNIX_EPOCH), later);
        for condition in refreshed {
            assert_eq!(condition.last_heartbeat_time, Some(Time(later)));
            assert_eq!(condition.last_transition_time, Some(Time(Timestamp::UNIX_EPOCH)));
        }
    }
}
