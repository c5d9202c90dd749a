//! POST of a new object.
//!
//! Upstream: `k8s.io/apiserver/pkg/registry/rest/create.go` and
//! `pkg/registry/generic/registry/store.go`.

use http::{Response, StatusCode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::commit;
use crate::api::fields::Path;
use crate::api::{meta, status};
use crate::control_plane::admission::Operation;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::auth::reviews::user_info;
use crate::control_plane::registry::{AnyObject, Scope};
use crate::control_plane::storage::{self, Precondition};

/// Bound: so many generated names are tried before the client is told to come back; upstream's number.
const GENERATED_NAMES_MAX: usize = 8;

/// Bound of a generated name's given part; with the five characters it fits into a DNS label.
const GENERATE_NAME_BYTES_MAX: usize = 58;

pub(super) async fn create(mut call: Call) -> Outcome<Response<Body>> {
    let dry = call.dry_run("CreateOptions")?;
    let mut object = decode::object(&mut call, "CreateOptions")?;
    place(&call, object.metadata_mut())?;
    let shown = insert(&mut call, object, dry).await?;
    render::object(&call, StatusCode::CREATED, &shown)
}

/// Fills in, checks and stores a new object.
///
/// # Errors
/// 422 for faults, 409 if the name is taken.
pub(crate) async fn insert(
    call: &mut Call,
    object: Box<dyn AnyObject>,
    dry: bool,
) -> Outcome<Shown> {
    if !object.metadata().name.as_deref().unwrap_or_default().is_empty() {
        return attempt(call, object, dry).await.map_err(|taken| match taken {
            Refusal::Taken(name) => status::already_exists(&call.group_resource(), &name).into(),
            Refusal::Failed(failure) => failure,
        });
    }
    let mut last = String::new();
    for _ in 0..GENERATED_NAMES_MAX {
        let mut named = object.cloned();
        generate_name(call, named.metadata_mut());
        match attempt(call, named, dry).await {
            Ok(shown) => return Ok(shown),
            Err(Refusal::Taken(name)) => last = name,
            Err(Refusal::Failed(failure)) => return Err(failure),
        }
    }
    Err(status::generate_name_conflict(&call.group_resource(), &last, 1).into())
}

enum Refusal {
    /// The name is.
    Taken(String),
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(failure: E) -> Self {
        Self::Failed(failure.into())
    }
}

async fn attempt(
    call: &mut Call,
    mut object: Box<dyn AnyObject>,
    dry: bool,
) -> Result<Shown, Refusal> {
    let resource = call.resource;
    resource.default(&mut *object);
    call.admit(Operation::Create, Some(&mut *object), None).await?;
    call.check_privileges(&*object, None)?;
    fill(call, object.metadata_mut());
    if resource.records_requester() {
        resource.record_requester(&mut *object, user_info(&call.identity));
    }
    let _turn = call.allocate(&mut *object, None).await?;
    resource.prepare_for_create(&mut *object);
    check(call, &*object)?;
    call.warn(&*object);
    let _counted = call.review(Operation::Create, Some(&mut *object), None).await?;
    if dry {
        return Ok(Shown::Unstored(object));
    }
    let name = object.metadata().name.clone().unwrap_or_default();
    let key = resource.key(call.namespace(), &name);
    let draft = commit::encoded(&*object)?;
    match commit::put(call, key, object, draft, Precondition::Absent).await {
        Ok(stored) => Ok(Shown::Stored(stored)),
        Err(storage::Error::Conflict { .. }) => Err(Refusal::Taken(name)),
        Err(err) => Err(err.into()),
    }
}

/// The path says the namespace; the body may repeat it.
pub(super) fn place(call: &Call, meta: &mut ObjectMeta) -> Outcome<()> {
    if !meta.resource_version.as_deref().unwrap_or_default().is_empty() {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(Failure::bad_request(message));
    }
    place_in_namespace(call, meta)
}

/// Upstream: `rest.EnsureObjectNamespaceMatchesRequestNamespace`.
pub(crate) fn place_in_namespace(call: &Call, meta: &mut ObjectMeta) -> Outcome<()> {
    let said = meta.namespace.as_deref().unwrap_or_default();
    if !said.is_empty() && said != call.namespace() {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let namespaced = call.resource.scope() == Scope::Namespaced;
    meta.namespace = namespaced.then(|| call.namespace().to_owned());
    Ok(())
}

/// Upstream: `names.SimpleNameGenerator`. Without a prefix the name stays empty, which is a fault.
fn generate_name(call: &Call, meta: &mut ObjectMeta) {
    let Some(prefix) = meta.generate_name.as_deref().filter(|prefix| !prefix.is_empty()) else {
        return;
    };
    let mut end = prefix.len().min(GENERATE_NAME_BYTES_MAX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    meta.name = Some(format!("{}{}", &prefix[..end], call.server.ids().suffix()));
}

/// What the server alone decides. Upstream: `rest.FillObjectMetaSystemFields`, `rest.BeforeCreate`.
fn fill(call: &Call, meta: &mut ObjectMeta) {
    meta.uid = Some(call.server.ids().uid());
    meta.creation_timestamp = Some(Time(call.now));
    meta.deletion_timestamp = None;
    meta.deletion_grace_period_seconds = None;
    meta.generation = call.resource.counts_generations().then_some(1);
    meta.self_link = None;
    meta.resource_version = None;
    meta.managed_fields = None;
}

fn check(call: &Call, object: &dyn AnyObject) -> Outcome<()> {
    let resource = call.resource;
    let namespaced = resource.scope() == Scope::Namespaced;
    let rule = |name: &str| resource.validate_name(name);
    let path = Path::new("metadata");
    let mut faults = meta::validate(object.metadata(), namespaced, rule, &path);
    faults.extend(resource.validate(object));
    if faults.is_empty() {
        return Ok(());
    }
    Err(call.invalid(object.metadata().name.as_deref().unwrap_or_default(), &faults))
}
