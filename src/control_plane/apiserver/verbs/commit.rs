//! The road of every change to a stored object: propose, check, compare-and-swap, again if somebody
//! was faster.
//!
//! Upstream: `GuaranteedUpdate` in `k8s.io/apiserver/pkg/storage/etcd3/store.go` and
//! `k8s.io/apiserver/pkg/registry/rest/update.go`.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::fields::Path;
use crate::api::{meta, status};
use crate::control_plane::admission::Operation;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::render::Shown;
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::registry::{AnyObject, Decoded, draft, want_the_same};
use crate::control_plane::storage::{self, Draft, Key, Precondition, Stored, Write};

/// Bound: how often a change is proposed anew after a lost race.
const ATTEMPTS_MAX: usize = 5;

/// Which part of the object the path may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but `status`.
    Object,
    /// Only `status`.
    Status,
    /// Only what this subresource of the kind is about: `ephemeralcontainers`.
    Subresource(&'static str),
    /// What a subresource of ours decided itself; its own checks suffice.
    Decided,
}

/// Changes the object that the path names. `propose` gets what is stored now, answers what it should
/// become, and may run several times.
///
/// # Errors
/// 404 if there is no such object, 409 if it is not the one the client knows, 422 for faults, and
/// what `propose` answers.
pub(crate) async fn modify(
    call: &mut Call,
    part: Part,
    dry: bool,
    mut propose: impl FnMut(&mut Call, &Stored, &Decoded) -> Outcome<Box<dyn AnyObject>> + Send,
) -> Outcome<Shown> {
    for _ in 0..ATTEMPTS_MAX {
        call.warnings.clear();
        let Some(current) = call.server.storage().get(&call.key()).await? else {
            return Err(call.not_found());
        };
        let old = call.resource.decoded(&current)?;
        let proposed = propose(call, &current, &old)?;
        match attempt(call, part, dry, &current, &old, proposed).await? {
            Some(shown) => return Ok(shown),
            None => continue,
        }
    }
    Err(call.conflict(status::MODIFIED))
}

/// `None`: somebody else was faster.
async fn attempt(
    call: &mut Call,
    part: Part,
    dry: bool,
    current: &Arc<Stored>,
    old: &Decoded,
    mut object: Box<dyn AnyObject>,
) -> Outcome<Option<Shown>> {
    let resource = call.resource;
    check_identity(call, object.metadata(), current, old)?;
    let annotations = object.metadata().annotations.clone();
    carry_over(object.metadata_mut(), old.metadata(), part);
    if part == Part::Status && resource.status_takes_annotations() {
        object.metadata_mut().annotations = annotations;
    }
    if part == Part::Status {
        resource.prepare_for_status_update(&mut *object, &**old);
    }
    resource.default(&mut *object);
    call.admit(Operation::Update, Some(&mut *object), Some(&**old)).await?;
    call.check_privileges(&*object, Some(&**old))?;
    let mut _turn = None;
    match part {
        Part::Object => {
            _turn = call.allocate(&mut *object, Some(&**old)).await?;
            resource.prepare_for_update(&mut *object, &**old);
        }
        Part::Subresource(name) => {
            resource.prepare_for_subresource_update(name, &mut *object, &**old);
        }
        Part::Status | Part::Decided => {}
    }
    resource.stamp(&mut *object, &**old, call.now);
    check(call, part, &*object, &**old)?;
    if part == Part::Object {
        call.warn(&*object);
    }
    let _counted = call.review(Operation::Update, Some(&mut *object), Some(&**old)).await?;
    let mut draft = encoded(&*object)?;
    let is_wanted = matches!(part, Part::Object | Part::Subresource(_));
    if is_wanted && resource.counts_generations() && wants_more(current, &draft)? {
        // By it controllers tell that what is wanted has changed.
        object.metadata_mut().generation = Some(old.metadata().generation.unwrap_or(0) + 1);
        draft = encoded(&*object)?;
    }
    if current.holds(&draft) {
        return Ok(Some(Shown::Stored(Arc::clone(current))));
    }
    if dry {
        return Ok(Some(Shown::Unstored(object)));
    }
    let written = if is_done(call, &*object) {
        let (storage, durability) = (call.server.storage(), resource.durability());
        let gone = storage.delete(&current.key, current.revision, durability).await;
        if let Ok(stored) = &gone {
            call.settled(stored).await;
        }
        gone
    } else {
        put(call, current.key.clone(), object, draft, Precondition::Revision(current.revision))
            .await
    };
    match written {
        Ok(stored) => Ok(Some(Shown::Stored(stored))),
        Err(storage::Error::Conflict { .. }) => Ok(None),
        Err(err) => Err(err.into()),
    }
}

/// Whether a deleted object has lost what kept it.
///
/// Upstream: `ShouldDeleteDuringUpdate`.
fn is_done(call: &Call, object: &dyn AnyObject) -> bool {
    let meta = object.metadata();
    meta.deletion_timestamp.is_some()
        && meta.deletion_grace_period_seconds.unwrap_or(0) == 0
        && meta.finalizers.as_deref().unwrap_or_default().is_empty()
        && call.resource.is_finalized(object)
}

/// The object as bytes to store.
///
/// # Errors
/// 500 if it cannot be encoded.
pub(crate) fn encoded(object: &dyn AnyObject) -> Outcome<Draft> {
    draft(object).map_err(|err| Failure::internal(&err))
}

/// Writes the object, of which `draft` is the encoding; the caller knows what a lost race means.
pub(crate) async fn put(
    call: &Call,
    key: Key,
    object: Box<dyn AnyObject>,
    draft: Draft,
    precondition: Precondition,
) -> Result<Arc<Stored>, storage::Error> {
    let resource = call.resource;
    let (durability, ttl) = (resource.durability(), resource.ttl());
    // What expires (Events) is written often and read seldom.
    let decoded = ttl.is_none().then(|| resource.remembered(object));
    let write = Write { key, draft, precondition, durability, ttl, decoded };
    let written = call.server.storage().put(write).await;
    if let Ok(stored) = &written {
        call.settled(stored).await;
    }
    written
}

/// The client may say which object, and which state of it, it means.
fn check_identity(call: &Call, meta: &ObjectMeta, current: &Stored, old: &Decoded) -> Outcome<()> {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(revision) = said(&meta.resource_version)
        && revision != current.revision.to_string()
    {
        return Err(match revision.parse::<u64>() {
            Ok(_) => call.conflict(status::MODIFIED),
            Err(_) => call.invalid(call.name(), &[bad_resource_version(&revision)]),
        });
    }
    let uid = old.metadata().uid.as_deref().unwrap_or_default();
    match said(&meta.uid) {
        Some(claimed) if claimed != uid => Err(call.conflict(format_args!(
            "Precondition failed: UID in precondition: {claimed}, UID in object meta: {uid}"
        ))),
        _ => Ok(()),
    }
}

fn bad_resource_version(revision: &str) -> crate::api::fields::FieldError {
    let path = Path::new("metadata").child("resourceVersion");
    crate::api::fields::FieldError::invalid(path, revision, "must be an unsigned integer")
}

/// What no client changes, and what updates of a part leave alone.
///
/// Upstream: `rest.BeforeUpdate`, `metav1.ResetObjectMetaForStatus`.
fn carry_over(meta: &mut ObjectMeta, old: &ObjectMeta, part: Part) {
    if matches!(part, Part::Status | Part::Subresource(_)) {
        meta.clone_from(old);
    }
    // Checked before; an update without one means "whatever is there".
    meta.resource_version.clone_from(&old.resource_version);
    meta.self_link = None;
    meta.managed_fields = None;
    meta.generation = old.generation;
    meta.uid.clone_from(&old.uid);
    if part != Part::Decided {
        meta.creation_timestamp.clone_from(&old.creation_timestamp);
        meta.deletion_timestamp.clone_from(&old.deletion_timestamp);
        meta.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    }
}

fn wants_more(current: &Stored, draft: &Draft) -> Outcome<bool> {
    let same = want_the_same(current, draft).map_err(|err| Failure::internal(&err))?;
    Ok(!same)
}

fn check(call: &Call, part: Part, object: &dyn AnyObject, old: &dyn AnyObject) -> Outcome<()> {
    let path = Path::new("metadata");
    let mut faults = meta::validate_update(object.metadata(), old.metadata(), &path);
    match part {
        Part::Object => faults.extend(call.resource.validate_update(object, old)),
        Part::Status => faults.extend(call.resource.validate_status_update(object, old)),
        Part::Subresource(name) => {
            faults.extend(call.resource.validate_subresource_update(name, object, old));
        }
        Part::Decided => faults.clear(),
    }
    if faults.is_empty() { Ok(()) } else { Err(call.invalid(call.name(), &faults)) }
}
