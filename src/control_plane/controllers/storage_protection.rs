//! Keeps claims while Pods use them, and volumes while they are bound: a finalizer that is taken away when
//! nobody needs them any more.
//!
//! Upstream: `pkg/controller/volume/{pvcprotection,pvprotection}`.

use std::fmt::Debug;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Context;
use super::ownership::revision;
use super::reconcile::{self, is_gone};
use crate::api::claim::{self, CLAIM_PROTECTION, VOLUME_PROTECTION};
use crate::api::object::ObjectKey;

pub(super) async fn protect_claims(ctx: Context) {
    ctx.caches.pods.synced().await;
    let claims = ctx.caches.claims.changes();
    let of_pods = ctx.caches.pods.changes_as(|pod| {
        let names = claim::claims_of(pod);
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        (!names.is_empty()).then_some((namespace, names))
    });
    let of_pods = of_pods.flat_map(|(namespace, names)| {
        let key = move |name| ObjectKey::new(namespace.as_str(), name);
        stream::iter(names.into_iter().map(key).collect::<Vec<_>>())
    });
    let keys = stream::select(claims, of_pods);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("pvc-protection-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { protect_claim(&ctx, &key).await }
    })
    .await;
}

async fn protect_claim(ctx: &Context, key: &ObjectKey) -> Result<(), kube::Error> {
    let Some(claim) = ctx.caches.claims.get(key) else { return Ok(()) };
    let api: Api<PersistentVolumeClaim> = Api::namespaced(ctx.client.kube(), &key.namespace);
    let Some(finalizers) = changed(&claim.metadata, CLAIM_PROTECTION) else { return Ok(()) };
    if claim.metadata.deletion_timestamp.is_some() {
        let uses = |pod: &Pod| is_used_by(&claim, pod);
        if ctx.caches.pods.list_in(&key.namespace).iter().any(|pod| uses(pod)) {
            return Ok(());
        }
        // The cache may be behind, and what goes now does not come back.
        let pods: Api<Pod> = Api::namespaced(ctx.client.kube(), &key.namespace);
        if pods.list(&ListParams::default()).await?.items.iter().any(uses) {
            return Ok(());
        }
    }
    if let Some(written) = write(&api, &claim.metadata, &finalizers).await? {
        ctx.caches.claims.reached(revision(&written.metadata)).await;
    }
    Ok(())
}

/// A Pod that no node has yet cannot start with a claim that is going. One that has ended still counts: its
/// volumes are looked at until it is deleted.
///
/// Upstream: `podUsesPVC`.
fn is_used_by(claim: &PersistentVolumeClaim, pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    let is_it = |one: &claim::Use| {
        Some(&one.claim) == claim.metadata.name.as_ref()
            && (!one.is_ephemeral
                || (!is_shut_down(pod) && claim::check_made_for(pod, claim).is_ok()))
    };
    !node.is_empty() && claim::uses_of(pod).iter().any(is_it)
}

/// The node has let go of it. What remains may wait for this very claim, if it is deleted in the
/// foreground.
fn is_shut_down(pod: &Pod) -> bool {
    let meta = &pod.metadata;
    meta.deletion_timestamp.is_some() && meta.deletion_grace_period_seconds == Some(0)
}

pub(super) async fn protect_volumes(ctx: Context) {
    let keys = ctx.caches.volumes.changes();
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("pv-protection-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { protect_volume(&ctx, &key).await }
    })
    .await;
}

async fn protect_volume(ctx: &Context, key: &ObjectKey) -> Result<(), kube::Error> {
    let Some(volume) = ctx.caches.volumes.get(key) else { return Ok(()) };
    let Some(finalizers) = changed(&volume.metadata, VOLUME_PROTECTION) else { return Ok(()) };
    let is_going = volume.metadata.deletion_timestamp.is_some();
    if is_going && claim::phase_of_volume(&volume) == "Bound" {
        return Ok(());
    }
    let api: Api<PersistentVolume> = Api::all(ctx.client.kube());
    if let Some(written) = write(&api, &volume.metadata, &finalizers).await? {
        ctx.caches.volumes.reached(revision(&written.metadata)).await;
    }
    Ok(())
}

/// The finalizers as they should become: with ours while the object stays, without it once nothing but use
/// keeps it. `None`: they are right.
fn changed(meta: &ObjectMeta, ours: &str) -> Option<Vec<String>> {
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    let is_there = finalizers.iter().any(|finalizer| finalizer == ours);
    match (meta.deletion_timestamp.is_some(), is_there) {
        (true, true) => finalizers.retain(|finalizer| finalizer != ours),
        (false, false) => finalizers.push(ours.to_owned()),
        _ => return None,
    }
    Some(finalizers)
}

/// `None`: it is gone.
async fn write<K>(
    api: &Api<K>,
    meta: &ObjectMeta,
    finalizers: &[String],
) -> Result<Option<K>, kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let patch = json!({"metadata": {
        "uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": finalizers,
    }});
    let name = meta.name.as_deref().unwrap_or_default();
    match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(written) => Ok(Some(written)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finalizer_is_there_until_the_object_goes() {
        let meta = |deleted: bool, finalizers: &[&str]| -> ObjectMeta {
            let deleted = deleted.then_some("2026-01-01T00:00:00Z");
            serde_json::from_value(json!({"deletionTimestamp": deleted, "finalizers": finalizers}))
                .unwrap()
        };
        let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(changed(&meta(false, &["x"]), "ours"), list(&["x", "ours"]));
        assert_eq!(changed(&meta(false, &["ours"]), "ours"), None);
        assert_eq!(changed(&meta(true, &["ours", "x"]), "ours"), list(&["x"]));
        assert_eq!(changed(&meta(true, &["x"]), "ours"), None);
    }

    #[test]
    fn a_pod_uses_a_claim_from_its_binding_on() {
        let pod = |node: &str| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": [],
                "nodeName": node,
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}}))
            .unwrap()
        };
        assert!(is_used_by(&claim("c"), &pod("n")));
        assert!(!is_used_by(&claim("c"), &pod("")));
        assert!(!is_used_by(&claim("d"), &pod("n")));
    }

    fn claim(name: &str) -> PersistentVolumeClaim {
        let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "7",
            "controller": true});
        let meta = json!({"name": name, "ownerReferences": [owner]});
        serde_json::from_value(json!({"metadata": meta})).unwrap()
    }

    #[test]
    fn a_pods_own_claim_is_used_until_the_node_lets_go() {
        let pod = |uid: &str, grace: Option<i64>| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "p", "uid": uid, "deletionGracePeriodSeconds": grace,
                    "deletionTimestamp": grace.map(|_| "2026-01-01T00:00:00Z")},
                "spec": {"containers": [], "nodeName": "n",
                    "volumes": [{"name": "v", "ephemeral": {}}]},
            }))
            .unwrap()
        };
        assert!(is_used_by(&claim("p-v"), &pod("7", None)));
        assert!(is_used_by(&claim("p-v"), &pod("7", Some(30))));
        assert!(!is_used_by(&claim("p-v"), &pod("7", Some(0))));
        assert!(!is_used_by(&claim("p-v"), &pod("8", None)));
    }
}
