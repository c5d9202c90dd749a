//! Questions about oneself: may I, what may I, who am I. Answered, never stored.

use std::any::Any;

use http::{Response, StatusCode};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectRulesReview};

use crate::api::status;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::Outcome;
use crate::control_plane::auth::reviews;

/// POST of a kind that is not stored.
pub(crate) async fn run(mut call: Call) -> Outcome<Response<Body>> {
    let mut object = decode::object(&mut call, "CreateOptions")?;
    call.resource.default(&mut *object);
    let faults = call.resource.validate(&*object);
    if !faults.is_empty() {
        return Err(call.invalid("", &faults));
    }
    let any: &mut dyn Any = &mut *object;
    if let Some(review) = any.downcast_mut::<SelfSubjectAccessReview>() {
        reviews::answer_access(&call.identity, review);
    } else if let Some(review) = any.downcast_mut::<SelfSubjectRulesReview>() {
        reviews::answer_rules(&call.identity, review);
    } else if let Some(review) = any.downcast_mut::<SelfSubjectReview>() {
        reviews::answer_who(&call.identity, review);
    } else {
        // Bindings are POSTed to pods/binding.
        return Err(status::method_not_supported(&call.group_resource(), "create").into());
    }
    render::object(&call, StatusCode::CREATED, &Shown::Unstored(object))
}
