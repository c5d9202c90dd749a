//! Lets volumes grow with their claims. A volume of ours is a directory with a limit, so it grows at once:
//! first the volume, whose size the node holds Pods to, then what the claim says it has.
//!
//! Upstream: `pkg/controller/volume/expand/expand_controller.go`.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tracing::info;

use super::Context;
use super::ownership::{reference, revision};
use super::reconcile::{self, is_gone};
use crate::api::claim::{self, LOCAL_PATH, PROVISIONED_BY};
use crate::api::object::ObjectKey;
use crate::api::quantity::Quantity;
use crate::client::cache::key_of;
use crate::client::events::EventType;

pub(super) async fn run(ctx: Context) {
    ctx.caches.volumes.synced().await;
    let keys = ctx.caches.claims.changes_as(|claim| wishes(claim).is_some().then(|| key_of(claim)));
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("expand-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { expand(&ctx, &key).await }
    })
    .await;
}

/// How large a bound claim would be, if that is more than it has.
fn wishes(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    let status = claim.status.as_ref()?;
    let wanted = claim::requested(claim);
    let has = claim::storage(status.capacity.as_ref());
    (status.phase.as_deref() == Some("Bound") && wanted > has).then_some(wanted)
}

async fn expand(ctx: &Context, key: &ObjectKey) -> Result<(), kube::Error> {
    let Some(claim) = ctx.caches.claims.get(key) else { return Ok(()) };
    let Some(wanted) = wishes(&claim) else { return Ok(()) };
    let name = claim::volume_name(&claim);
    let Some(volume) = ctx.caches.volumes.get(&ObjectKey::new("", name)) else { return Ok(()) };
    let tell = |reason, text: &str| {
        ctx.recorder.record(&reference(&*claim), EventType::Normal, reason, text);
    };
    if claim::annotation(&volume.metadata, PROVISIONED_BY) != LOCAL_PATH {
        let text = "waiting for an external controller to expand this PVC";
        tell("ExternalExpanding", text);
        return Ok(());
    }
    if claim::capacity(&volume) < wanted {
        let patch = json!({
            "metadata": {"uid": volume.metadata.uid, "resourceVersion": volume.metadata.resource_version},
            "spec": {"capacity": {"storage": wanted.to_api()}},
        });
        let api: Api<PersistentVolume> = Api::all(ctx.client.kube());
        match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Err(error) if is_gone(&error) => return Ok(()),
            written => ctx.caches.volumes.reached(revision(&written?.metadata)).await,
        }
    }
    let patch = json!({
        "metadata": {"uid": claim.metadata.uid, "resourceVersion": claim.metadata.resource_version},
        "status": {"capacity": {"storage": wanted.to_api()}},
    });
    let api: Api<PersistentVolumeClaim> = Api::namespaced(ctx.client.kube(), &key.namespace);
    match api.patch_status(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(error) if is_gone(&error) => return Ok(()),
        written => ctx.caches.claims.reached(revision(&written?.metadata)).await,
    }
    info!(claim = %key, size = %wanted, "Grown");
    tell("VolumeResizeSuccessful", &format!("ExpandVolume succeeded for volume {key}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_claim_that_asks_for_more_than_it_has_wishes_to_grow() {
        let claim = |wanted: &str, has: &str, phase: &str| -> PersistentVolumeClaim {
            serde_json::from_value(json!({
                "spec": {"resources": {"requests": {"storage": wanted}}},
                "status": {"phase": phase, "capacity": {"storage": has}},
            }))
            .unwrap()
        };
        assert_eq!(wishes(&claim("2Gi", "1Gi", "Bound")), Quantity::parse("2Gi").ok());
        assert_eq!(wishes(&claim("1Gi", "1Gi", "Bound")), None);
        assert_eq!(wishes(&claim("1Gi", "2Gi", "Bound")), None);
        assert_eq!(wishes(&claim("2Gi", "1Gi", "Lost")), None);
    }
}
