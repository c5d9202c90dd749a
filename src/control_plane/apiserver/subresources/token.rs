//! POST of `serviceaccounts/token`: a token that speaks for the account.
//!
//! Upstream: `TokenREST` in `pkg/registry/core/serviceaccount/storage/token.go`.

use std::any::Any;

use http::{Response, StatusCode};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::object::{GroupKind, GroupResource};
use crate::api::status;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::apiserver::verbs;
use crate::control_plane::auth::BoundTo;
use crate::control_plane::auth::tokens::Request;
use crate::control_plane::registry::{AnyResource, Kind, TokenRequests};

static KIND: Kind<TokenRequests> = Kind::NEW;

pub(super) async fn run(mut call: Call) -> Outcome<Response<Body>> {
    let stored = verbs::stored(&call).await?;
    let account = call.resource.decoded(&stored)?;
    let kind: &dyn AnyResource = &KIND;
    let validation = decode::field_validation(&call.query, "CreateOptions")?;
    let mut object = decode::object_of(&mut call, kind, validation)?;
    kind.default(&mut *object);
    let faults = kind.validate(&*object);
    if !faults.is_empty() {
        let kind = GroupKind::new(kind.group(), kind.kind());
        return Err(status::invalid(&kind, call.name(), &faults).into());
    }
    let any: Box<dyn Any> = object;
    let mut request =
        any.downcast::<TokenRequest>().map_err(|_| Failure::internal(&"not a TokenRequest"))?;
    let bound_to = bound_to(&call, &request).await?;
    let token = call.server.tokens().mint(
        &Request {
            namespace: call.namespace().to_owned(),
            service_account: call.name().to_owned(),
            service_account_uid: account.metadata().uid.clone().unwrap_or_default(),
            audiences: request.spec.audiences.clone(),
            lifetime_seconds: request.spec.expiration_seconds,
            bound_to,
            id: call.server.ids().uid(),
        },
        call.now,
    );
    request.metadata.name = Some(call.name().to_owned());
    request.metadata.namespace = Some(call.namespace().to_owned());
    request.metadata.creation_timestamp = Some(Time(call.now));
    request.status =
        Some(TokenRequestStatus { token: token.token, expiration_timestamp: Time(token.expires) });
    let shown = Shown::Unstored(request);
    Ok(render::response(StatusCode::CREATED, call.output.encoding, shown.json()?))
}

/// The object that the token shall die with, if it is there.
async fn bound_to(call: &Call, request: &TokenRequest) -> Outcome<Option<BoundTo>> {
    let Some(reference) = &request.spec.bound_object_ref else { return Ok(None) };
    let kind = reference.kind.as_deref().unwrap_or_default();
    let (resource, namespace) = match kind {
        "Pod" => ("pods", call.namespace()),
        "Secret" => ("secrets", call.namespace()),
        "Node" => ("nodes", ""),
        other => {
            let text =
                format!("cannot bind token for serviceaccount {:?} to a {other}", call.name());
            return Err(Failure::bad_request(text));
        }
    };
    let name = reference.name.clone().unwrap_or_default();
    let missing = || Failure::from(status::not_found(&GroupResource::new("", resource), &name));
    let found = call.server.resource("", "v1", resource).ok_or_else(missing)?;
    let stored = call.server.storage().get(&found.key(namespace, &name)).await?;
    let object = found.decoded(&*stored.ok_or_else(missing)?)?;
    let uid = object.metadata().uid.clone().unwrap_or_default();
    if let Some(claimed) = reference.uid.as_ref().filter(|claimed| **claimed != uid) {
        let cause = format!(
            "the UID in the bound object reference ({claimed}) does not match the UID in record. \
             The object might have been deleted and then recreated"
        );
        return Err(status::conflict(&GroupResource::new("", resource), &name, cause).into());
    }
    Ok(Some(BoundTo { resource, namespace: namespace.to_owned(), name, uid }))
}
