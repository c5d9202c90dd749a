//! `status` of any kind: the same object, but only its status changes.

use http::Response;

use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::status::Outcome;
use crate::control_plane::apiserver::verbs;

pub(super) async fn run(call: Call) -> Outcome<Response<Body>> {
    match call.request.verb {
        "get" => verbs::get(&call).await,
        "patch" => verbs::patch_status(call).await,
        _ => verbs::update_status(call).await,
    }
}
