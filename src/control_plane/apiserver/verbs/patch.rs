//! PATCH: the client's change applied to what is stored now, again if somebody was faster.
//!
//! Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/patch.go`.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::commit::{Part, modify};
use super::update;
use crate::api::schema::strict::FieldValidation;
use crate::api::{json, patch, schema, status};
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::decode::{self, Document};
use crate::control_plane::apiserver::render;
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::registry::{AnyObject, AnyResource, Decoded, members_of};
use crate::control_plane::storage::Stored;

const SUPPORTED: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// PATCH of the object, or of the part of it that the subresource is about.
pub(crate) async fn patch(mut call: Call, part: Part) -> Outcome<Response<Body>> {
    let dry = call.dry_run("PatchOptions")?;
    let validation = decode::field_validation(&call.query, "PatchOptions")?;
    let patch = Patch::read(&call, call.resource)?;
    let reach = patch.reach(call.resource, part);
    let propose = |call: &mut Call, current: &Stored, old: &Decoded| {
        let value = reach.read(call, current).map_err(|err| Failure::internal(&err))?;
        let mut object = patch.apply(call, call.resource, value, validation)?;
        if reach == Reach::Metadata {
            let patched = std::mem::take(object.metadata_mut());
            object = old.cloned();
            *object.metadata_mut() = patched;
        }
        update::check_place(call, object.metadata_mut())?;
        Ok(object)
    };
    let shown = modify(&mut call, part, dry, propose).await?;
    render::object(&call, StatusCode::OK, &shown)
}

/// How much of an object a patch can change: no more is read of it, what is left is carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Metadata,
    Status,
    All,
}

impl Reach {
    fn read(self, call: &Call, current: &Stored) -> serde_json::Result<Value> {
        match self {
            Self::Metadata => members_of(current, &["apiVersion", "kind", "metadata"]),
            Self::Status => {
                let mut members = members_of(current, &["apiVersion", "kind", "status"])?;
                let metadata = json!({"name": call.name(), "namespace": call.request.namespace});
                members.insert("metadata".to_owned(), metadata);
                Ok(members)
            }
            Self::All => return serde_json::from_slice(&current.bytes),
        }
        .map(Value::Object)
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Json,
    Merge,
    Strategic(&'static schema::Type),
}

/// A change as the client sent it.
pub(crate) struct Patch {
    kind: Kind,
    value: Value,
    duplicates: Vec<String>,
}

impl Patch {
    /// The body as a change of an object of `resource`'s kind.
    ///
    /// # Errors
    /// 415 for a kind of patch that is not known here, 400 for broken syntax.
    pub(crate) fn read(call: &Call, resource: &dyn AnyResource) -> Outcome<Self> {
        let kind = kind(resource, decode::media_type(&call.headers))?;
        let decoded =
            json::parse(&call.body).map_err(|err| Failure::bad_request(err.to_string()))?;
        Ok(Self { kind, value: decoded.value, duplicates: decoded.duplicates })
    }

    fn reach(&self, resource: &dyn AnyResource, part: Part) -> Reach {
        let (Kind::Merge | Kind::Strategic(_), Value::Object(fields)) = (&self.kind, &self.value)
        else {
            return Reach::All;
        };
        let is_about_metadata =
            |field: &String| ["apiVersion", "kind", "metadata"].contains(&field.as_str());
        match part {
            Part::Object if fields.keys().all(is_about_metadata) => Reach::Metadata,
            Part::Status if !resource.status_takes_annotations() => Reach::Status,
            _ => Reach::All,
        }
    }

    /// What `value`, an object of `resource`'s kind, becomes by it.
    ///
    /// # Errors
    /// If it does not fit, or does not yield such an object.
    pub(crate) fn apply(
        &self,
        call: &mut Call,
        resource: &dyn AnyResource,
        value: Value,
        validation: FieldValidation,
    ) -> Outcome<Box<dyn AnyObject>> {
        let patched = match self.kind {
            Kind::Json => patch::json::apply(value, &self.value),
            Kind::Merge => patch::merge::apply(value, &self.value),
            Kind::Strategic(of) => patch::strategic::apply(value, &self.value, of),
        };
        let value = patched.map_err(|err| err.to_status())?;
        let document = Document { value, duplicates: self.duplicates.clone() };
        decode::typed(resource, document, validation, &mut call.warnings)
    }
}

fn kind(resource: &dyn AnyResource, media_type: &str) -> Outcome<Kind> {
    match media_type {
        "application/json-patch+json" => Ok(Kind::Json),
        "application/merge-patch+json" => Ok(Kind::Merge),
        "application/strategic-merge-patch+json" => {
            let of = schema::of(resource.group(), resource.version(), resource.kind());
            of.map(Kind::Strategic)
                .ok_or_else(|| status::unsupported_media_type(&SUPPORTED[..2]).into())
        }
        "application/apply-patch+yaml" | "application/apply-patch+cbor" => {
            let mut failure = status::unsupported_media_type(SUPPORTED);
            failure.message = Some(
                "server-side apply is not there yet in this version of sampan; use kubectl apply \
                 without --server-side"
                    .to_owned(),
            );
            Err(failure.into())
        }
        _ => Err(status::unsupported_media_type(SUPPORTED).into()),
    }
}
