//! DELETE of all objects of a collection that a selector picks.
//!
//! Upstream: `Store.DeleteCollection` in `pkg/registry/generic/registry/store.go`.

use http::{Response, StatusCode};

use super::delete::{self, Removal};
use super::{delete_options, list};
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::render;
use crate::control_plane::apiserver::status::Outcome;

/// Answers what was there, as upstream does.
pub(super) async fn delete_collection(mut call: Call) -> Outcome<Response<Body>> {
    let (options, dry) = delete_options::read(&call)?;
    let page = list::page(&call).await?;
    let namespace = call.request.namespace.clone();
    for stored in &page.items {
        let object = call.resource.decoded(stored)?;
        call.request.name.clone_from(&object.metadata().name);
        call.request.namespace = object.metadata().namespace.clone().unwrap_or_default();
        match delete::remove(&call, &options, dry).await {
            Ok(Removal::Gone(_) | Removal::Marked(_)) => {}
            // Somebody else deleted it meanwhile.
            Err(failure) if failure.code() == StatusCode::NOT_FOUND => {}
            Err(failure) => return Err(failure),
        }
    }
    call.request.namespace = namespace;
    render::list(&call, &page.meta, list::shown(page.items))
}
