//! PUT of `namespaces/finalize`: whoever emptied a namespace takes its finalizer away.
//!
//! Upstream: `FinalizeREST` in `pkg/registry/core/namespace/storage/storage.go`.

use std::any::Any;

use http::{Response, StatusCode};
use k8s_openapi::api::core::v1::Namespace;

use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::render;
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::apiserver::verbs::{Part, modify};
use crate::control_plane::registry::{AnyObject, Decoded};
use crate::control_plane::storage::Stored;

pub(super) async fn run(mut call: Call) -> Outcome<Response<Body>> {
    let dry = call.dry_run("UpdateOptions")?;
    let any: Box<dyn Any> = decode::object(&mut call, "UpdateOptions")?;
    let wanted = any.downcast::<Namespace>().map_err(|_| Failure::internal(&"not a Namespace"))?;
    let propose = |call: &mut Call, _: &Stored, old: &Decoded| finalized(call, old, &wanted);
    let shown = modify(&mut call, Part::Decided, dry, propose).await?;
    render::object(&call, StatusCode::OK, &shown)
}

/// What is stored, with the finalizers that the client leaves.
fn finalized(call: &Call, old: &Decoded, wanted: &Namespace) -> Outcome<Box<dyn AnyObject>> {
    let any: &dyn Any = &**old;
    let namespace = any.downcast_ref::<Namespace>().ok_or_else(|| call.not_found())?;
    let mut namespace = namespace.clone();
    let finalizers = wanted.spec.as_ref().and_then(|spec| spec.finalizers.clone());
    namespace.spec.get_or_insert_default().finalizers = Some(finalizers.unwrap_or_default());
    namespace.metadata.uid.clone_from(&wanted.metadata.uid);
    namespace.metadata.resource_version.clone_from(&wanted.metadata.resource_version);
    Ok(Box::new(namespace))
}
