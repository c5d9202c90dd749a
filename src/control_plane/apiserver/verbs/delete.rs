//! DELETE of one object: at once, or marked first and gone when whoever keeps it lets go.
//!
//! Upstream: `k8s.io/apiserver/pkg/registry/rest/delete.go`, `Store.Delete` in
//! `pkg/registry/generic/registry/store.go`, and `pkg/registry/core/namespace/storage`.

use std::sync::Arc;

use http::{Response, StatusCode};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    DeleteOptions, ObjectMeta, StatusDetails, Time,
};

use super::commit;
use super::delete_options;
use super::propagation;
use crate::api::status;
use crate::control_plane::admission::Operation;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::Outcome;
use crate::control_plane::registry::{AnyObject, Decoded, Deletion};
use crate::control_plane::storage::{self, Precondition, Stored};

/// Bound: how often it is tried again after a lost race.
const ATTEMPTS_MAX: usize = 5;

pub(super) async fn delete(mut call: Call) -> Outcome<Response<Body>> {
    let (options, dry) = delete_options::read(&call)?;
    call.warnings.extend(propagation::warning(call.resource, &options));
    match remove(&call, &options, dry).await? {
        Removal::Gone(stored) if call.resource.answers_deleted_object() => {
            render::object(&call, StatusCode::OK, &Shown::Stored(stored))
        }
        Removal::Gone(stored) => success(&call, &stored),
        Removal::Marked(shown) => render::object(&call, StatusCode::OK, &shown),
    }
}

/// What became of the object.
pub(crate) enum Removal {
    /// Its last state.
    Gone(Arc<Stored>),
    /// Somebody still holds it.
    Marked(Shown),
}

/// Deletes the object that the path names.
///
/// # Errors
/// 404 if there is none, 409 if it is not the one the client means.
pub(crate) async fn remove(call: &Call, options: &DeleteOptions, dry: bool) -> Outcome<Removal> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(current) = call.server.storage().get(&call.key()).await? else {
            return Err(call.not_found());
        };
        let old = call.resource.decoded(&current)?;
        delete_options::check_preconditions(call, options, old.metadata())?;
        call.admit(Operation::Delete, None, Some(&*old)).await?;
        call.review(Operation::Delete, None, Some(&*old)).await?;
        let plan = plan(call, options, &*old);
        let done = match plan {
            Plan::Keep => Some(Removal::Marked(Shown::Stored(current))),
            Plan::Remove if dry => Some(Removal::Gone(current)),
            Plan::Remove => gone(call, &current).await?,
            Plan::Mark(mark) => marked(call, &current, &old, &mark, dry).await?,
        };
        if let Some(removal) = done {
            return Ok(removal);
        }
    }
    Err(call.conflict(status::MODIFIED))
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    Remove,
    Mark(Mark),
    /// It is marked already, and this request changes nothing.
    Keep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// When the object shall be gone, in seconds from the moment it was first deleted.
    grace: i64,
    /// Who keeps it until then.
    finalizers: Vec<String>,
}

fn plan(call: &Call, options: &DeleteOptions, object: &dyn AnyObject) -> Plan {
    let meta = object.metadata();
    let asked = options.grace_period_seconds;
    let current = meta.finalizers.as_deref().unwrap_or_default();
    let finalizers = propagation::finalizers(call.resource, options, current);
    let same_finalizers = finalizers == current;
    let held = !finalizers.is_empty() || !call.resource.is_finalized(object);
    let deletion = call.resource.deletion(object, asked);
    let marked = meta.deletion_timestamp.is_some();
    let left = meta.deletion_grace_period_seconds.unwrap_or(0);
    let mark = |grace: i64| Plan::Mark(Mark { grace, finalizers });
    match deletion {
        // A second DELETE without a period of its own lets the first one's run.
        _ if marked && left > 0 && asked.is_none() => Plan::Keep,
        Deletion::Graceful { seconds } if !marked => mark(seconds),
        Deletion::Graceful { seconds } if seconds < left => mark(seconds),
        Deletion::Graceful { .. } => Plan::Keep,
        Deletion::Now if !held => Plan::Remove,
        Deletion::Now if marked && left == 0 && same_finalizers => Plan::Keep,
        Deletion::Now => mark(0),
    }
}

/// `None`: somebody else was faster.
async fn gone(call: &Call, current: &Arc<Stored>) -> Outcome<Option<Removal>> {
    let (storage, durability) = (call.server.storage(), call.resource.durability());
    match storage.delete(&current.key, current.revision, durability).await {
        Ok(last) => {
            call.settled(&last).await;
            Ok(Some(Removal::Gone(last)))
        }
        Err(storage::Error::Conflict { .. }) => Ok(None),
        Err(err) => Err(err.into()),
    }
}

/// `None`: somebody else was faster.
async fn marked(
    call: &Call,
    current: &Arc<Stored>,
    old: &Decoded,
    mark: &Mark,
    dry: bool,
) -> Outcome<Option<Removal>> {
    let mut object = old.cloned();
    set_mark(call, object.metadata_mut(), mark);
    call.resource.prepare_for_deletion(&mut *object);
    if dry {
        return Ok(Some(Removal::Marked(Shown::Unstored(object))));
    }
    let precondition = Precondition::Revision(current.revision);
    let draft = commit::encoded(&*object)?;
    match commit::put(call, current.key.clone(), object, draft, precondition).await {
        Ok(stored) => Ok(Some(Removal::Marked(Shown::Stored(stored)))),
        Err(storage::Error::Conflict { .. }) => Ok(None),
        Err(err) => Err(err.into()),
    }
}

fn set_mark(call: &Call, meta: &mut ObjectMeta, mark: &Mark) {
    let first = match (&meta.deletion_timestamp, meta.deletion_grace_period_seconds) {
        (Some(Time(end)), grace) => *end - SignedDuration::from_secs(grace.unwrap_or(0)),
        (None, _) => call.now,
    };
    meta.deletion_timestamp = Some(Time(first + SignedDuration::from_secs(mark.grace)));
    if meta.deletion_grace_period_seconds != Some(mark.grace) {
        meta.deletion_grace_period_seconds = Some(mark.grace);
        meta.generation = meta.generation.map(|generation| generation + 1);
    }
    meta.finalizers = Some(mark.finalizers.clone()).filter(|finalizers| !finalizers.is_empty());
}

/// What is said of an object that is gone and not shown.
fn success(call: &Call, last: &Stored) -> Outcome<Response<Body>> {
    let object = call.resource.decoded(last)?;
    let meta = object.metadata();
    let group = call.resource.group();
    let status = status::success(StatusDetails {
        name: meta.name.clone(),
        group: (!group.is_empty()).then(|| group.to_owned()),
        kind: Some(call.resource.names().plural.to_owned()),
        uid: meta.uid.clone(),
        ..StatusDetails::default()
    });
    let encoding = call.output.encoding;
    Ok(render::response(StatusCode::OK, encoding, render::json(&status)?))
}
