//! Brings claims and volumes together, and reclaims volumes whose claim is gone.
//!
//! One step at a time: each is planned from both objects as they are, written if neither has changed
//! meanwhile, and seen before the next. So it does not matter where it is interrupted: what follows is what
//! would have followed, and of two who want the same volume one loses the race and plans anew.
//!
//! ```text
//! claim    Pending ── volume found, or made by a provisioner ──> Bound ── volume gone ──> Lost
//! volume   Available ── claim ──> Bound ── claim gone ──> Released ── policy Delete ──> deleted
//!                                                            └── cannot be deleted ──> Failed
//! ```
//!
//! Binding is four writes: the volume names the claim, and says Bound; the claim names the volume, and says
//! Bound. The first one decides.
//!
//! Upstream: `pkg/controller/volume/persistentvolume/pv_controller.go`.

mod claims;
#[cfg(test)]
mod model;
mod plan;
mod volumes;

use std::fmt;
use std::sync::Arc;

use futures::{StreamExt, stream};
use jiff::Unit;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use tokio::sync::Semaphore;
use tracing::info;

use super::Context;
use super::ownership::{namespace, reference, revision, uid};
use super::reconcile::{self, is_gone};
use crate::api::claim::{self, class_of_claim, volume_name};
use crate::api::object::ObjectKey;
use crate::client::cache::key_of;
use plan::{About, Plan, Step};

/// Bound: steps of one reconcile. A binding takes four; whoever needs more is looked at again, for each
/// step changes something.
const STEPS_MAX: usize = 8;

static POST: PostParams = PostParams { dry_run: false, field_manager: None };

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Claim(ObjectKey),
    Volume(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(key) => write!(f, "persistentvolumeclaim {key}"),
            Self::Volume(name) => write!(f, "persistentvolume {name}"),
        }
    }
}

pub(super) async fn run(ctx: Context) {
    ctx.caches.claims.synced().await;
    ctx.caches.volumes.synced().await;
    ctx.caches.storage_classes.synced().await;
    let claims =
        ctx.caches.claims.changes_as(|claim| Some((key_of(claim), volume_name(claim).to_owned())));
    let of_ctx = ctx.clone();
    let claims = claims.flat_map(move |(key, volume)| {
        let volumes = if volume.is_empty() { naming(&of_ctx, &key) } else { vec![volume] };
        let volumes = volumes.into_iter().map(Key::Volume);
        stream::iter(volumes.chain([Key::Claim(key)]).collect::<Vec<_>>())
    });
    let volumes = ctx.caches.volumes.changes_as(|volume| {
        let name = volume.metadata.name.clone().unwrap_or_default();
        Some((name, claim_key(volume), claim::class_of_volume(volume).to_owned()))
    });
    let of_ctx = ctx.clone();
    let volumes = volumes.flat_map(move |(name, claim, class)| {
        let claims = match claim {
            Some(claim) => vec![claim],
            None => unbound(&of_ctx, |claim| {
                class_of_claim(claim) == class || volume_name(claim) == name
            }),
        };
        let claims = claims.into_iter().map(Key::Claim);
        stream::iter([Key::Volume(name)].into_iter().chain(claims).collect::<Vec<_>>())
    });
    let of_ctx = ctx.clone();
    let classes = ctx.caches.storage_classes.changes().flat_map(move |class| {
        let of_class =
            |claim: &PersistentVolumeClaim| ["", &class.name].contains(&class_of_claim(claim));
        let claims = unbound(&of_ctx, of_class).into_iter().map(Key::Claim);
        stream::iter(claims.collect::<Vec<_>>())
    });
    let keys = stream::select(claims, stream::select(volumes, classes));
    // One at a time: many that look at once would all choose the same one, and all but one lose.
    let choosing = Arc::new(Semaphore::new(1));
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("persistentvolume-controller", clock, stop, keys, |key| {
        let (ctx, choosing) = (ctx.clone(), choosing.clone());
        async move { reconcile_key(&ctx, &key, &choosing).await }
    })
    .await;
}

/// The volumes that name this claim.
fn naming(ctx: &Context, claim: &ObjectKey) -> Vec<String> {
    let volumes = ctx.caches.volumes.list();
    let naming = volumes.iter().filter(|volume| claim_key(volume).as_ref() == Some(claim));
    naming.filter_map(|volume| volume.metadata.name.clone()).collect()
}

fn unbound(ctx: &Context, wanted: impl Fn(&PersistentVolumeClaim) -> bool) -> Vec<ObjectKey> {
    let claims = ctx.caches.claims.list();
    let unbound = claims.iter().filter(|claim| !claim::is_bound(claim) && wanted(claim));
    unbound.map(|claim| key_of(&**claim)).collect()
}

fn claim_key(volume: &PersistentVolume) -> Option<ObjectKey> {
    let reference = volume.spec.as_ref()?.claim_ref.as_ref()?;
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    Some(ObjectKey::new(part(&reference.namespace), part(&reference.name)))
}

async fn reconcile_key(ctx: &Context, key: &Key, choosing: &Semaphore) -> Result<(), kube::Error> {
    for _ in 0..STEPS_MAX {
        let mut _turn = None;
        let plan = match key {
            Key::Claim(key) => match plan_claim(ctx, key) {
                Plan { step: Some(Step::Volume(_)), .. } => {
                    _turn = choosing.acquire().await.ok();
                    plan_claim(ctx, key)
                }
                plan => plan,
            },
            Key::Volume(name) => plan_volume(ctx, name).await?,
        };
        for note in &plan.notes {
            let about = match &note.about {
                About::Claim(claim) => reference(&**claim),
                About::Volume(volume) => reference(&**volume),
            };
            ctx.recorder.record(&about, note.type_, note.reason, note.text.clone());
        }
        match plan.step {
            Some(step) => Box::pin(perform(ctx, step)).await?,
            None => return Ok(()),
        }
    }
    Ok(())
}

fn plan_claim(ctx: &Context, key: &ObjectKey) -> Plan {
    let caches = &ctx.caches;
    let Some(claim) = caches.claims.get(key) else { return Plan::default() };
    let volume = caches.volumes.get(&ObjectKey::new("", volume_name(&claim)));
    let class = caches.storage_classes.get(&ObjectKey::new("", class_of_claim(&claim)));
    claims::plan(&claims::View {
        claim: &claim,
        volume: volume.as_ref(),
        volumes: &|| caches.volumes.list(),
        class: class.as_deref(),
        default_class: &|| default_class(ctx),
    })
}

/// The newest of those marked.
fn default_class(ctx: &Context) -> Option<String> {
    let classes = ctx.caches.storage_classes.list();
    let is_default = |class: &&Arc<StorageClass>| {
        let mark = "storageclass.kubernetes.io/is-default-class";
        claim::annotation(&class.metadata, mark) == "true"
    };
    let made =
        |class: &&Arc<StorageClass>| class.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let newest = classes.iter().filter(is_default).max_by_key(made);
    newest.and_then(|class| class.metadata.name.clone())
}

async fn plan_volume(ctx: &Context, name: &str) -> Result<Plan, kube::Error> {
    let caches = &ctx.caches;
    let Some(volume) = caches.volumes.get(&ObjectKey::new("", name)) else {
        return Ok(Plan::default());
    };
    let claim = match claim_key(&volume) {
        Some(key) => claim_of(ctx, &volume, &key).await?,
        None => None,
    };
    Ok(volumes::plan(&volume, claim.as_ref()))
}

/// The claim whose the volume is. That one is gone is believed only if the API server itself says so: data
/// may be deleted for it.
async fn claim_of(
    ctx: &Context,
    volume: &PersistentVolume,
    key: &ObjectKey,
) -> Result<Option<Arc<PersistentVolumeClaim>>, kube::Error> {
    let claim = ctx.caches.claims.get(key);
    if claim.as_ref().is_some_and(|claim| claim::is_reserved_for(volume, claim)) {
        return Ok(claim);
    }
    let api: Api<PersistentVolumeClaim> = Api::namespaced(ctx.client.kube(), &key.namespace);
    let claim = api.get_opt(&key.name).await?;
    Ok(claim.filter(|claim| claim::is_reserved_for(volume, claim)).map(Arc::new))
}

/// Writes what a plan says, if nothing has changed since; when it returns, the cache shows it.
async fn perform(ctx: &Context, step: Step) -> Result<(), kube::Error> {
    let volumes: Api<PersistentVolume> = Api::all(ctx.client.kube());
    match step {
        Step::Volume(volume) => {
            let name = volume.metadata.name.as_deref().unwrap_or_default();
            see_volume(ctx, volumes.replace(name, &POST, &volume).await).await
        }
        Step::VolumeStatus(mut volume) => {
            let now = ctx.clock.now();
            let status = volume.status.get_or_insert_default();
            status.last_phase_transition_time = Some(Time(now.round(Unit::Second).unwrap_or(now)));
            let name = volume.metadata.name.as_deref().unwrap_or_default();
            see_volume(ctx, volumes.replace_status(name, &POST, &volume).await).await
        }
        Step::Claim(claim) => {
            let api = claims_api(ctx, &claim);
            let name = claim.metadata.name.as_deref().unwrap_or_default();
            see_claim(ctx, api.replace(name, &POST, &claim).await).await
        }
        Step::ClaimStatus(claim) => {
            let api = claims_api(ctx, &claim);
            let name = claim.metadata.name.as_deref().unwrap_or_default();
            see_claim(ctx, api.replace_status(name, &POST, &claim).await).await
        }
        Step::Delete(volume) => {
            let meta = &volume.metadata;
            let preconditions = Preconditions {
                uid: Some(uid(meta).to_owned()),
                resource_version: meta.resource_version.clone(),
            };
            let parameters =
                DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            let name = meta.name.as_deref().unwrap_or_default();
            match volumes.delete(name, &parameters).await {
                Err(error) if is_gone(&error) => Ok(()),
                Err(error) => Err(error),
                Ok(answer) => {
                    info!(volume = %name, "Deleted: its claim is gone");
                    let written = answer.left().map_or(0, |volume| revision(&volume.metadata));
                    ctx.caches.volumes.reached(written).await;
                    Ok(())
                }
            }
        }
    }
}

fn claims_api(ctx: &Context, claim: &PersistentVolumeClaim) -> Api<PersistentVolumeClaim> {
    Api::namespaced(ctx.client.kube(), namespace(&claim.metadata))
}

async fn see_volume(
    ctx: &Context,
    written: Result<PersistentVolume, kube::Error>,
) -> Result<(), kube::Error> {
    match written {
        Ok(volume) => ctx.caches.volumes.reached(revision(&volume.metadata)).await,
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn see_claim(
    ctx: &Context,
    written: Result<PersistentVolumeClaim, kube::Error>,
) -> Result<(), kube::Error> {
    match written {
        Ok(claim) => ctx.caches.claims.reached(revision(&claim.metadata)).await,
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
