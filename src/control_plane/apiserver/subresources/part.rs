//! Subresources that are a part of their object, in the shape of the whole: `status` of any kind,
//! `pods/ephemeralcontainers`, `certificatesigningrequests/approval`.

use http::Response;

use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::status::Outcome;
use crate::control_plane::apiserver::verbs::{self, Part};

pub(super) async fn run(call: Call, part: Part) -> Outcome<Response<Body>> {
    match call.request.verb {
        "get" => verbs::get(&call).await,
        "patch" => verbs::patch(call, part).await,
        _ => verbs::update_part(call, part).await,
    }
}
