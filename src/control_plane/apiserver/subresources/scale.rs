//! `scale` of any kind with a size: how many Pods it shall have, in one shape for all kinds.
//!
//! Upstream: `ScaleREST` in `pkg/registry/apps/deployment/storage/storage.go`.

use std::any::Any;

use http::{Response, StatusCode};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::object::GroupKind;
use crate::api::status;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::apiserver::verbs::{self, Part, Patch, modify};
use crate::control_plane::registry::{AnyObject, AnyResource, Decoded, Kind, Scales};
use crate::control_plane::storage::Stored;

static KIND: Kind<Scales> = Kind::NEW;

pub(super) async fn run(call: Call) -> Outcome<Response<Body>> {
    match call.request.verb {
        "get" => get(&call).await,
        "patch" => patch(call).await,
        _ => update(call).await,
    }
}

async fn get(call: &Call) -> Outcome<Response<Body>> {
    let stored = verbs::stored(call).await?;
    answer(call, &*call.resource.decoded(&stored)?)
}

async fn patch(mut call: Call) -> Outcome<Response<Body>> {
    let dry = call.dry_run("PatchOptions")?;
    let validation = decode::field_validation(&call.query, "PatchOptions")?;
    let patch = Patch::read(&call, &KIND)?;
    let propose = |call: &mut Call, _: &Stored, old: &Decoded| {
        let current = scale_of(call, &**old)?;
        let value = serde_json::to_value(&current).map_err(|err| Failure::internal(&err))?;
        let scale = patch.apply(call, &KIND, value, validation)?;
        resized(call, old, &typed(scale)?)
    };
    let shown = modify(&mut call, Part::Object, dry, propose).await?;
    answer_shown(&call, &shown)
}

async fn update(mut call: Call) -> Outcome<Response<Body>> {
    let dry = call.dry_run("UpdateOptions")?;
    let validation = decode::field_validation(&call.query, "UpdateOptions")?;
    let scale = typed(decode::object_of(&mut call, &KIND, validation)?)?;
    let propose = |call: &mut Call, _: &Stored, old: &Decoded| resized(call, old, &scale);
    let shown = modify(&mut call, Part::Object, dry, propose).await?;
    answer_shown(&call, &shown)
}

/// What is stored, in the size that the client wants.
fn resized(call: &Call, old: &Decoded, scale: &Scale) -> Outcome<Box<dyn AnyObject>> {
    let said = scale.metadata.name.as_deref().unwrap_or_default();
    if !said.is_empty() && said != call.name() {
        return Err(Failure::bad_request(format!(
            "the name of the object ({said}) does not match the name on the URL ({})",
            call.name()
        )));
    }
    let faults = (&KIND as &dyn AnyResource).validate(scale);
    if !faults.is_empty() {
        let kind = GroupKind::new("autoscaling", "Scale");
        return Err(status::invalid(&kind, call.name(), &faults).into());
    }
    let mut object = old.cloned();
    let replicas = scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    call.resource.resize(&mut *object, replicas);
    let meta = object.metadata_mut();
    meta.uid.clone_from(&scale.metadata.uid);
    meta.resource_version.clone_from(&scale.metadata.resource_version);
    Ok(object)
}

fn typed(object: Box<dyn AnyObject>) -> Outcome<Scale> {
    let any: Box<dyn Any> = object;
    any.downcast().map(|scale| *scale).map_err(|_| Failure::internal(&"not a Scale"))
}

fn scale_of(call: &Call, object: &dyn AnyObject) -> Outcome<Scale> {
    let size = call.resource.size(object).ok_or_else(|| call.not_found())?;
    let meta = object.metadata();
    Ok(Scale {
        metadata: ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            creation_timestamp: meta.creation_timestamp.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(ScaleSpec { replicas: Some(size.wanted) }),
        status: Some(ScaleStatus { replicas: size.observed, selector: size.selector }),
    })
}

fn answer_shown(call: &Call, shown: &Shown) -> Outcome<Response<Body>> {
    match shown {
        Shown::Stored(stored) => answer(call, &*call.resource.decoded(stored)?),
        Shown::Unstored(object) => answer(call, &**object),
    }
}

fn answer(call: &Call, object: &dyn AnyObject) -> Outcome<Response<Body>> {
    let scale = scale_of(call, object)?;
    Ok(render::response(StatusCode::OK, call.output.encoding, render::json(&scale)?))
}
