//! Makes the claims of volumes that live as long as their Pods (`ephemeral.volumeClaimTemplate`): named after
//! the Pod and the volume, managed by the Pod, and so collected with it.
//!
//! A claim of that name that is not the Pod's is left alone, and the Pod is told.
//!
//! Upstream: `pkg/controller/volume/ephemeral/controller.go`.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimTemplate, Pod, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use tracing::info;

use super::Context;
use super::ownership::{managed_by, reference, revision};
use super::reconcile::{self, text_of};
use crate::api::claim;
use crate::api::object::ObjectKey;
use crate::client::cache::key_of;
use crate::client::events::EventType;

/// Why a volume has no claim.
enum Trouble {
    /// Somebody must do something about it.
    Conflict(String),
    Create(String, kube::Error),
}

pub(super) async fn run(ctx: Context) {
    ctx.caches.claims.synced().await;
    let pods = ctx.caches.pods.changes_as(|pod| has_templates(pod).then(|| key_of(pod)));
    // One that is deleted is made anew, or was in the way.
    let claims = ctx.caches.claims.changes().flat_map(|key| stream::iter(pods_of(&key)));
    let keys = stream::select(pods, claims);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("ephemeral-volume-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { make_claims(&ctx, &key).await }
    })
    .await;
}

/// The Pods that such a claim may be made for, by its name.
fn pods_of(claim: &ObjectKey) -> Vec<ObjectKey> {
    let ends = claim.name.match_indices('-').map(|(at, _)| &claim.name[..at]);
    ends.map(|name| ObjectKey::new(claim.namespace.as_str(), name)).collect()
}

fn has_templates(pod: &Pod) -> bool {
    templates(pod).next().is_some()
}

/// The Pod's volumes that get claims of their own.
fn templates(pod: &Pod) -> impl Iterator<Item = (&Volume, &PersistentVolumeClaimTemplate)> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| {
        let template = volume.ephemeral.as_ref()?.volume_claim_template.as_ref()?;
        Some((volume, template))
    })
}

async fn make_claims(ctx: &Context, key: &ObjectKey) -> Result<(), kube::Error> {
    let Some(pod) = ctx.caches.pods.get(key) else { return Ok(()) };
    if pod.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    for (volume, template) in templates(&pod) {
        let Err(trouble) = make_claim(ctx, &pod, volume, template).await else { continue };
        let (why, outcome) = match trouble {
            // Whoever deletes that claim has the Pod looked at again.
            Trouble::Conflict(why) => (why, Ok(())),
            Trouble::Create(name, error) => {
                (format!("create PVC {name}: {}", text_of(&error)), Err(error))
            }
        };
        let text = format!("ephemeral volume {}: {why}", volume.name);
        ctx.recorder.record(&reference(&*pod), EventType::Warning, "FailedBinding", text);
        return outcome;
    }
    Ok(())
}

async fn make_claim(
    ctx: &Context,
    pod: &Pod,
    volume: &Volume,
    template: &PersistentVolumeClaimTemplate,
) -> Result<(), Trouble> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = claim::ephemeral_name(pod, &volume.name);
    if let Some(there) = ctx.caches.claims.get(&ObjectKey::new(namespace, name.as_str())) {
        return claim::check_made_for(pod, &there).map_err(Trouble::Conflict);
    }
    let api: Api<PersistentVolumeClaim> = Api::namespaced(ctx.client.kube(), namespace);
    let made = api.create(&PostParams::default(), &of_template(pod, &name, template)).await;
    match made {
        Ok(made) => {
            info!(claim = %name, pod = %key_of(pod), "Made a Pod's own claim");
            ctx.caches.claims.reached(revision(&made.metadata)).await;
            Ok(())
        }
        Err(error) => Err(Trouble::Create(name, error)),
    }
}

fn of_template(
    pod: &Pod,
    name: &str,
    template: &PersistentVolumeClaimTemplate,
) -> PersistentVolumeClaim {
    let meta = template.metadata.clone().unwrap_or_default();
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: Some(vec![managed_by(pod)]),
            annotations: meta.annotations,
            labels: meta.labels,
            ..ObjectMeta::default()
        },
        spec: Some(template.spec.clone()),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claims_name_tells_the_pods_it_may_be_of() {
        let pods = pods_of(&ObjectKey::new("n", "web-0-data"));
        assert_eq!(pods, [ObjectKey::new("n", "web"), ObjectKey::new("n", "web-0")]);
    }

    #[test]
    fn a_claim_is_what_its_template_says_and_the_pods() {
        let template = json!({
            "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard"},
        });
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "7"},
            "spec": {"containers": [], "volumes": [
                {"name": "plain", "emptyDir": {}},
                {"name": "own", "ephemeral": {"volumeClaimTemplate": template}},
            ]},
        }))
        .unwrap();
        let found: Vec<_> = templates(&pod).collect();
        let [(volume, template)] = found[..] else { panic!("{found:?}") };
        assert_eq!(volume.name, "own");
        let made = of_template(&pod, "p-own", template);
        assert_eq!(
            serde_json::to_value(made).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": "p-own",
                    "labels": {"a": "b"},
                    "annotations": {"c": "d"},
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "7",
                        "controller": true, "blockOwnerDeletion": true}],
                },
                "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard"},
            })
        );
    }
}
