//! What LIST, WATCH and DELETE of a collection read from the query: which objects, and as of when.
//!
//! Upstream: `apimachinery/pkg/apis/meta/internalversion/validation/validation.go` and
//! `k8s.io/apiserver/pkg/storage/etcd3/store.go`.

use std::time::Duration;

use serde_json::json;

use crate::api::fields::{FieldError, Path};
use crate::api::object::GroupKind;
use crate::api::selector::{Fields, Labels};
use crate::api::status;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::status::{Failure, Outcome, too_large_resource_version};
use crate::control_plane::registry::{AnyObject, AnyResource, Scope};
use crate::control_plane::storage::{Revision, Stored};

/// Bound: how long a request waits for a revision that is not there yet; upstream's number.
const REVISION_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the wait looks again.
const REVISION_POLL: Duration = Duration::from_millis(50);

/// Which objects of a kind are meant.
pub(super) struct Selection {
    resource: &'static dyn AnyResource,
    labels: Labels,
    fields: Fields,
}

impl Selection {
    /// # Errors
    /// 400 for a selector that cannot be read or names a field the kind does not select by.
    pub(super) fn of(call: &Call) -> Outcome<Self> {
        let labels = match call.query.text("labelSelector") {
            None => Labels::everything(),
            Some(text) => Labels::parse(text).map_err(|err| {
                Failure::bad_request(format!("unable to parse requirement: {err}"))
            })?,
        };
        let fields = match call.query.text("fieldSelector") {
            None => Fields::everything(),
            Some(text) => Fields::parse(text).map_err(Failure::bad_request)?,
        };
        let resource = call.resource;
        if !fields.is_everything() {
            let known = known_fields(resource)?;
            fields.check(|field| known.contains(&field)).map_err(|err| {
                Failure::bad_request(format!("Unable to find {:?} that match label selector {:?}, field selector {:?}: {err}", resource.names().plural, labels.to_string(), fields.to_string()))
            })?;
        }
        let fields = match &call.request.name {
            None => fields,
            Some(name) => Fields::name(name.clone()),
        };
        Ok(Self { resource, labels, fields })
    }

    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// The keys to look at: one key's if the selector names the object.
    pub(super) fn prefix(&self, call: &Call) -> String {
        let namespace = match call.namespace() {
            "" => self.fields.required("metadata.namespace"),
            namespace => Some(namespace),
        };
        let prefix = self.resource.prefix(namespace);
        let one_place = self.resource.scope() == Scope::Cluster || namespace.is_some();
        match self.fields.required("metadata.name") {
            Some(name) if one_place => format!("{prefix}{name}"),
            _ => prefix,
        }
    }

    /// # Errors
    /// 500 if the object cannot be decoded.
    pub(super) fn matches(&self, stored: &Stored) -> Outcome<bool> {
        if self.is_everything() {
            return Ok(true);
        }
        let object = self.resource.decoded(stored)?;
        Ok(self.matches_object(&*object))
    }

    fn matches_object(&self, object: &dyn AnyObject) -> bool {
        let meta = object.metadata();
        let label = |key: &str| meta.labels.as_ref()?.get(key).map(String::as_str);
        if !self.labels.matches_by(label) {
            return false;
        }
        if self.fields.is_everything() {
            return true;
        }
        let own = self.resource.fields(object);
        self.fields.matches_by(|field| match field {
            "metadata.name" => meta.name.as_deref(),
            "metadata.namespace" => meta.namespace.as_deref(),
            _ => own.iter().find(|(name, _)| *name == field).map(|(_, value)| value.as_str()),
        })
    }
}

fn known_fields(resource: &dyn AnyResource) -> Outcome<Vec<&'static str>> {
    let empty = resource.decode(json!({})).map_err(|err| Failure::internal(&err))?;
    let own = resource.fields(&*empty).into_iter().map(|(name, _)| name);
    Ok(["metadata.name", "metadata.namespace"].into_iter().chain(own).collect())
}

/// As of when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AsOf {
    /// Whatever is newest.
    Newest,
    /// At least as new as this.
    NotOlderThan(Revision),
    Exact(Revision),
}

/// # Errors
/// 400 for a `resourceVersion` that is no number, 422 for parameters that do not go together.
pub(super) fn as_of(call: &Call) -> Outcome<AsOf> {
    let revision = resource_version(call)?;
    let matching = call.query.text("resourceVersionMatch");
    let limited = call.query.number("limit").map_err(Failure::bad_request)?.unwrap_or(0) > 0;
    check_match(call, revision, matching)?;
    Ok(match (revision, matching) {
        (None | Some(Revision(0)), _) => AsOf::Newest,
        (Some(revision), Some("Exact")) => AsOf::Exact(revision),
        (Some(revision), None) if limited => AsOf::Exact(revision),
        (Some(revision), _) => AsOf::NotOlderThan(revision),
    })
}

fn check_match(call: &Call, revision: Option<Revision>, matching: Option<&str>) -> Outcome<()> {
    let Some(matching) = matching else { return Ok(()) };
    let path = Path::new("resourceVersionMatch");
    let watching = call.request.verb == "watch";
    let fault = if watching && call.query.text("sendInitialEvents").is_none() {
        let detail =
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        FieldError::forbidden(path, detail)
    } else if !watching && revision.is_none() {
        let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        FieldError::forbidden(path, detail)
    } else if call.query.text("continue").is_some() {
        let detail = "resourceVersionMatch is forbidden when continue is provided";
        FieldError::forbidden(path, detail)
    } else if !["Exact", "NotOlderThan"].contains(&matching) {
        FieldError::not_supported(path, matching, &["Exact", "NotOlderThan", ""])
    } else if matching == "Exact" && revision == Some(Revision(0)) {
        let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
        FieldError::forbidden(path, detail)
    } else {
        return Ok(());
    };
    Err(invalid_options(&fault))
}

pub(super) fn invalid_options(fault: &FieldError) -> Failure {
    let kind = GroupKind::new("meta.k8s.io", "ListOptions");
    status::invalid(&kind, "", std::slice::from_ref(fault)).into()
}

/// The query's `resourceVersion`; `None` if it is missing.
///
/// # Errors
/// 400 if it is no number.
pub(super) fn resource_version(call: &Call) -> Outcome<Option<Revision>> {
    let Some(text) = call.query.text("resourceVersion") else { return Ok(None) };
    let revision = text.parse().map(|revision| Some(Revision(revision)));
    revision.map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        Failure::bad_request(format!("Invalid value: {text:?}: {why}"))
    })
}

/// Waits until the store is as new as the query demands.
///
/// # Errors
/// 504 if it does not become so.
pub(super) async fn wait_for_revision(call: &Call) -> Outcome<()> {
    match resource_version(call)? {
        None => Ok(()),
        Some(revision) => wait_for(call, revision).await,
    }
}

/// As [`wait_for_revision`].
pub(super) async fn wait_for(call: &Call, revision: Revision) -> Outcome<()> {
    let clock = call.server.clock();
    let deadline = clock.monotonic() + REVISION_TIMEOUT;
    loop {
        let newest = call.server.storage().revision().await?;
        if newest >= revision {
            return Ok(());
        }
        // A revision of another life of the store never comes; one of ours is here already, so this
        // loop runs only for a client that made the number up.
        if clock.monotonic() >= deadline {
            return Err(too_large_resource_version(revision.0, newest.0));
        }
        clock.sleep(REVISION_POLL).await;
    }
}
