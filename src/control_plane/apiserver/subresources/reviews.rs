//! Questions: may I, what may I, who am I, may they. Answered, never stored.

use std::any::Any;

use http::{Response, StatusCode};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};

use crate::api::status;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::Outcome;
use crate::control_plane::apiserver::verbs::place_in_namespace;
use crate::control_plane::auth::reviews;

/// POST of a kind that is not stored.
pub(crate) async fn run(mut call: Call) -> Outcome<Response<Body>> {
    let mut object = decode::object(&mut call, "CreateOptions")?;
    place_in_namespace(&call, object.metadata_mut())?;
    call.resource.default(&mut *object);
    let faults = call.resource.validate(&*object);
    if !faults.is_empty() {
        return Err(call.invalid("", &faults));
    }
    let authorizer = call.server.authorizer();
    let any: &mut dyn Any = &mut *object;
    if let Some(review) = any.downcast_mut::<SelfSubjectAccessReview>() {
        authorizer.answer_self(&call.identity, review);
    } else if let Some(review) = any.downcast_mut::<SelfSubjectRulesReview>() {
        authorizer.answer_rules(&call.identity, review);
    } else if let Some(review) = any.downcast_mut::<SubjectAccessReview>() {
        review.status = Some(authorizer.answer_subject(&review.spec));
    } else if let Some(review) = any.downcast_mut::<LocalSubjectAccessReview>() {
        review.status = Some(authorizer.answer_subject(&review.spec));
    } else if let Some(review) = any.downcast_mut::<SelfSubjectReview>() {
        reviews::answer_who(&call.identity, review);
    } else {
        // Bindings are POSTed to pods/binding.
        return Err(status::method_not_supported(&call.group_resource(), "create").into());
    }
    render::object(&call, StatusCode::CREATED, &Shown::Unstored(object))
}
