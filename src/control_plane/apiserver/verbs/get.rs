//! GET of one object.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::list_options;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::Outcome;
use crate::control_plane::storage::Stored;

pub(crate) async fn get(call: &Call) -> Outcome<Response<Body>> {
    list_options::wait_for_revision(call).await?;
    let stored = stored(call).await?;
    render::object(call, StatusCode::OK, &Shown::Stored(stored))
}

/// The object that the path names.
///
/// # Errors
/// 404 if there is none.
pub(crate) async fn stored(call: &Call) -> Outcome<Arc<Stored>> {
    let stored = call.server.storage().get(&call.key()).await?;
    stored.ok_or_else(|| call.not_found())
}
