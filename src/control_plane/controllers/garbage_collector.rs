//! Deletes what has lost its owners; sees to it that an owner goes after its dependents, or without them,
//! where that was asked for.
//!
//! It works on the graph of owner references ([`crate::client::owners`]), which tells the uids that there
//! may be something to do for. Before it deletes anything it asks the API server what is there now.
//!
//! Upstream: `pkg/controller/garbagecollector/garbagecollector.go`.

use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::debug;

use super::Context;
use super::reconcile::{self, is_gone};
use crate::client::owners::{FOREGROUND, KindName, Node, ORPHAN, Owners};

pub(super) async fn run(ctx: Context) {
    let keys = ctx.caches.owners.changes();
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("generic-garbage-collector", clock, stop, keys, |uid| {
        let ctx = ctx.clone();
        async move { look_at(&ctx, &uid).await }
    })
    .await;
}

async fn look_at(ctx: &Context, uid: &str) -> Result<(), kube::Error> {
    let owners = &ctx.caches.owners;
    let Some(node) = owners.get(uid) else { return Ok(()) };
    if node.orphans() {
        orphan(ctx, &node).await
    } else if node.waits_for_dependents() {
        go_after_dependents(ctx, &node).await
    } else if node.going || node.owners.is_empty() {
        Ok(())
    } else {
        collect(ctx, &node).await
    }
}

/// Lets the dependents go, then the object itself.
async fn orphan(ctx: &Context, node: &Node) -> Result<(), kube::Error> {
    for dependent in ctx.caches.owners.dependents(&node.uid) {
        unlink(ctx, &dependent, &[node.uid.as_str()]).await?;
    }
    remove_finalizer(ctx, node, ORPHAN).await
}

/// The object goes once no dependent is left that asked it to wait. The others were told when it began.
async fn go_after_dependents(ctx: &Context, node: &Node) -> Result<(), kube::Error> {
    let blocks =
        |owner: &OwnerReference| owner.uid == node.uid && owner.block_owner_deletion == Some(true);
    let dependents = ctx.caches.owners.dependents(&node.uid);
    if dependents.iter().any(|dependent| dependent.owners.iter().any(blocks)) {
        return Ok(());
    }
    remove_finalizer(ctx, node, FOREGROUND).await
}

/// What an owner reference is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Present,
    /// It waits for its dependents, to be deleted after them.
    Waiting,
    Absent,
}

/// Deletes the object if no owner is left to keep it, or drops the references that keep nothing.
///
/// Upstream: `attemptToDeleteItem`.
async fn collect(ctx: &Context, node: &Node) -> Result<(), kube::Error> {
    let Some(meta) = live(ctx, &node.path()).await? else { return Ok(()) };
    if meta.uid.as_deref() != Some(&node.uid) || meta.deletion_timestamp.is_some() {
        return Ok(());
    }
    let references = meta.owner_references.clone().unwrap_or_default();
    let mut standings = Vec::with_capacity(references.len());
    for owner in &references {
        standings.push(standing(ctx, node, owner).await?);
    }
    if references.is_empty() || standings.iter().all(|standing| *standing == Standing::Present) {
        return Ok(());
    }
    if standings.contains(&Standing::Present) {
        let pairs = references.iter().zip(&standings);
        let lost = pairs.filter(|(_, standing)| **standing != Standing::Present);
        let lost: Vec<&str> = lost.map(|(owner, _)| owner.uid.as_str()).collect();
        return unlink(ctx, node, &lost).await;
    }
    let dependents = ctx.caches.owners.dependents(&node.uid);
    let policy = if standings.contains(&Standing::Waiting) && !dependents.is_empty() {
        for dependent in dependents.iter().filter(|dependent| dependent.waits_for_dependents()) {
            // Each would wait for the other.
            unblock(ctx, dependent, &node.uid).await?;
        }
        "Foreground"
    } else {
        policy_of(meta.finalizers.as_deref().unwrap_or_default())
    };
    delete(ctx, node, &meta, policy).await
}

/// Finalizers from before the deletion say how it shall go.
fn policy_of(finalizers: &[String]) -> &'static str {
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    match () {
        () if has(ORPHAN) => "Orphan",
        () if has(FOREGROUND) => "Foreground",
        () => "Background",
    }
}

/// The graph may be behind (each kind is fed on its own): that an owner is absent is asked of the API
/// server. An owner of a kind that is not known, or that cannot be an owner there, is left alone.
async fn standing(
    ctx: &Context,
    node: &Node,
    owner: &OwnerReference,
) -> Result<Standing, kube::Error> {
    let namespace = node.key.namespace.as_str();
    if let Some(known) = known_standing(&ctx.caches.owners, owner, namespace) {
        return Ok(known);
    }
    let Some(kind) = ctx.caches.owners.kind_of(owner) else { return Ok(Standing::Present) };
    if kind.namespaced && namespace.is_empty() {
        return Ok(Standing::Present);
    }
    match live(ctx, &kind.path(namespace, &owner.name)).await? {
        Some(meta) if meta.uid.as_deref() == Some(&owner.uid) => Ok(standing_of(&meta)),
        _ => Ok(Standing::Absent),
    }
}

fn known_standing(owners: &Owners, owner: &OwnerReference, namespace: &str) -> Option<Standing> {
    let known = owners.get(&owner.uid).filter(|known| known.is_meant(owner, namespace))?;
    Some(if known.waits_for_dependents() { Standing::Waiting } else { Standing::Present })
}

fn standing_of(meta: &ObjectMeta) -> Standing {
    let waits = meta.finalizers.iter().flatten().any(|finalizer| finalizer == FOREGROUND);
    match meta.deletion_timestamp {
        Some(_) if waits => Standing::Waiting,
        _ => Standing::Present,
    }
}

async fn delete(
    ctx: &Context,
    node: &Node,
    meta: &ObjectMeta,
    policy: &str,
) -> Result<(), kube::Error> {
    let KindName { kind, .. } = node.kind;
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": policy,
        // Whoever gives it an owner meanwhile keeps it.
        "preconditions": {"uid": node.uid, "resourceVersion": meta.resource_version},
    });
    let request = request("DELETE", &node.path(), "application/json", &options)?;
    let outcome = ctx.client.request_text(request).await.map(drop);
    if outcome.is_ok() {
        debug!(kind, object = %node.key, policy, "Deleted: its owners are gone");
    }
    unless_gone(outcome)
}

/// Takes these owners from the object.
async fn unlink(ctx: &Context, node: &Node, owners: &[&str]) -> Result<(), kube::Error> {
    let reference = |uid: &&str| json!({"$patch": "delete", "uid": uid});
    let references: Vec<Value> = owners.iter().map(reference).collect();
    let change = json!({"metadata": {"uid": node.uid, "ownerReferences": references}});
    patch(ctx, node, &change).await
}

async fn unblock(ctx: &Context, node: &Node, owner: &str) -> Result<(), kube::Error> {
    let references = json!([{"uid": owner, "blockOwnerDeletion": false}]);
    let change = json!({"metadata": {"uid": node.uid, "ownerReferences": references}});
    patch(ctx, node, &change).await
}

async fn remove_finalizer(ctx: &Context, node: &Node, name: &str) -> Result<(), kube::Error> {
    let change =
        json!({"metadata": {"uid": node.uid, "$deleteFromPrimitiveList/finalizers": [name]}});
    patch(ctx, node, &change).await
}

async fn patch(ctx: &Context, node: &Node, change: &Value) -> Result<(), kube::Error> {
    let media_type = "application/strategic-merge-patch+json";
    let request = request("PATCH", &node.path(), media_type, change)?;
    unless_gone(ctx.client.request_text(request).await.map(drop))
}

fn request(
    method: &str,
    path: &str,
    media_type: &str,
    body: &Value,
) -> Result<Request<Vec<u8>>, kube::Error> {
    let builder = Request::builder().method(method).uri(path).header("content-type", media_type);
    builder.body(body.to_string().into_bytes()).map_err(kube::Error::HttpError)
}

fn unless_gone(outcome: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match outcome {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome,
    }
}

/// The metadata of the object at `path` as it is now.
async fn live(ctx: &Context, path: &str) -> Result<Option<ObjectMeta>, kube::Error> {
    #[derive(Deserialize)]
    struct Partial {
        metadata: ObjectMeta,
    }
    const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let request = Request::builder().uri(path).header("accept", PARTIAL).body(Vec::new());
    match ctx.client.request::<Partial>(request.map_err(kube::Error::HttpError)?).await {
        Ok(partial) => Ok(Some(partial.metadata)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
