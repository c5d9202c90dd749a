//! What the server knows of one kind: its names, its defaults, its rules, how it is printed.
//!
//! Upstream: the `rest*Strategy` interfaces (`k8s.io/apiserver/pkg/registry/rest`), a kind's
//! `defaults.go` and `validation.go`, and `pkg/printers/internalversion/printers.go`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::UserInfo;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ranges::ServiceRanges;
use crate::api::fields::FieldError;
use crate::control_plane::storage::Durability;

/// A kind's typed form. Every k8s-openapi kind with `ObjectMeta` is one.
pub trait KubeObject:
    k8s_openapi::Resource
    + k8s_openapi::Metadata<Ty = ObjectMeta>
    + Clone
    + Serialize
    + DeserializeOwned
    + schemars::JsonSchema
    + Send
    + Sync
    + 'static
{
}

impl<T> KubeObject for T where
    T: k8s_openapi::Resource
        + k8s_openapi::Metadata<Ty = ObjectMeta>
        + Clone
        + Serialize
        + DeserializeOwned
        + schemars::JsonSchema
        + Send
        + Sync
        + 'static
{
}

/// How a kind is called: in paths, by kubectl, in messages. Group, version and kind come from the
/// object's type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    pub plural: &'static str,
    pub singular: &'static str,
    pub short: &'static [&'static str],
    /// `all`, `api-extensions` …
    pub categories: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
}

/// A verb as RBAC and discovery spell it.
pub(crate) type Verb = &'static str;

/// What a kind that is stored answers to.
pub(crate) const VERBS: &[Verb] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// What the `status` subresource of a kind answers to.
pub(crate) const STATUS_VERBS: &[Verb] = &["get", "patch", "update"];

/// `pods/log`, `pods/status` …: listed here for discovery and authorization, served in
/// `apiserver/subresources/`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subresource {
    pub name: &'static str,
    /// Group, version and kind of what it takes and answers; empty group and version mean the
    /// parent's own.
    pub kind: (&'static str, &'static str, &'static str),
    pub verbs: &'static [Verb],
}

/// A column of `kubectl get`. Upstream: `metav1.TableColumnDefinition`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub name: &'static str,
    /// `string`, `integer`, `boolean`, `number` or `date`.
    pub type_: &'static str,
    /// `name` for the Name column, else empty.
    pub format: &'static str,
    pub description: &'static str,
    /// Above zero: only with `-o wide`.
    pub priority: i32,
}

/// How a DELETE goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// Nothing to wait for but finalizers.
    Now,
    /// Mark it, and somebody (the kubelet) confirms with a second DELETE.
    Graceful { seconds: i64 },
}

/// How large a set of Pods is, as the subresource `scale` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Size {
    /// `spec.replicas`.
    pub wanted: i32,
    /// `status.replicas`.
    pub observed: i32,
    /// The label selector of the Pods, as a query spells it.
    pub selector: Option<String>,
}

/// Why an object gets nothing from a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AllocationError {
    /// What its author chose cannot be had.
    Invalid(Vec<FieldError>),
    /// Everything is taken; the text is upstream's.
    Exhausted(String),
}

/// Upstream's create, update and delete strategies, defaults, validation and printing of a kind, as
/// pure functions. To add a kind: one file with an implementation, one line in `RESOURCES`.
pub(crate) trait Resource: Send + Sync + 'static {
    type Object: KubeObject;

    const NAMES: Names;
    const SCOPE: Scope;
    const VERBS: &'static [Verb] = VERBS;
    const SUBRESOURCES: &'static [Subresource] = &[];
    const DURABILITY: Durability = Durability::Durable;
    /// Stored objects disappear after this long.
    const TTL: Option<Duration> = None;
    /// `metadata.generation` counts changes of the spec.
    const GENERATION: bool = false;
    /// DELETE answers the object rather than a Status (upstream's `ReturnDeletedObject`).
    const ANSWERS_DELETED_OBJECT: bool = false;
    /// PUT of a name that is not there creates it (upstream's `AllowCreateOnUpdate`).
    const CREATES_ON_UPDATE: bool = false;

    /// Objects of the kind draw from pools that they share: changes of the kind wait for one another,
    /// and each sees all that is stored.
    const ALLOCATES: bool = false;

    /// The subresource `status` takes annotations too (upstream's strategies carry over what they name;
    /// a Deployment's revision is an annotation that its controller sets together with the status).
    const STATUS_TAKES_ANNOTATIONS: bool = false;

    /// Objects say who made them.
    const RECORDS_REQUESTER: bool = false;

    /// A DELETE that does not say otherwise leaves dependents behind (upstream's `OrphanDependents`).
    const ORPHANS_DEPENDENTS: bool = false;

    /// What whoever sends such a DELETE is warned of.
    const ORPHANING_WARNING: Option<&'static str> = None;

    /// Fills in what was left out. Runs on what a client sends and on what a patch yields; must
    /// change nothing the second time.
    fn default(object: &mut Self::Object) {
        let _ = object;
    }

    /// Takes from the pools what the object needs and does not have, or what its author chose. What
    /// `others` (all other objects of the kind) have is taken; what is written is thereby taken, what
    /// is not written never was. Only for kinds with [`Resource::ALLOCATES`]; runs before
    /// [`Resource::prepare_for_update`].
    ///
    /// # Errors
    /// [`AllocationError`]; the object is not written then.
    fn allocate(
        object: &mut Self::Object,
        old: Option<&Self::Object>,
        others: &[Arc<Self::Object>],
        ranges: &ServiceRanges,
    ) -> Result<(), AllocationError> {
        let _ = (object, old, others, ranges);
        Ok(())
    }

    /// Before validation of a new object: drops what clients may not set (`status`), sets what the
    /// server decides (`status.phase`).
    fn prepare_for_create(object: &mut Self::Object) {
        let _ = object;
    }

    /// Sets who makes the object; only for kinds with [`Resource::RECORDS_REQUESTER`].
    fn record_requester(object: &mut Self::Object, user: UserInfo) {
        let _ = (object, user);
    }

    /// Before validation of a changed object: carries over what this path may not change (`status`).
    fn prepare_for_update(object: &mut Self::Object, old: &Self::Object) {
        let _ = (object, old);
    }

    /// The same for the `status` subresource: carries over everything but `status`, whatever the
    /// object holds (a PATCH brings nothing else). Metadata is carried over by the caller.
    fn prepare_for_status_update(object: &mut Self::Object, old: &Self::Object) {
        let _ = (object, old);
    }

    /// The same for another subresource that is a part of the object, such as
    /// `pods/ephemeralcontainers`: carries over everything but that part. Metadata is carried over
    /// by the caller.
    fn prepare_for_subresource_update(name: &str, object: &mut Self::Object, old: &Self::Object) {
        let _ = name;
        object.clone_from(old);
    }

    /// Sets the times that the server decides when an object has changed, whichever path did it.
    fn stamp(object: &mut Self::Object, old: &Self::Object, now: Timestamp) {
        let _ = (object, old, now);
    }

    /// Every fault of a new object (names and metadata are checked by the caller).
    fn validate(object: &Self::Object) -> Vec<FieldError> {
        let _ = object;
        Vec::new()
    }

    /// Every fault of the step from `old` to `object`, [`Resource::validate`] included if it applies.
    fn validate_update(object: &Self::Object, old: &Self::Object) -> Vec<FieldError> {
        let _ = old;
        Self::validate(object)
    }

    /// Every fault of a status update.
    fn validate_status_update(object: &Self::Object, old: &Self::Object) -> Vec<FieldError> {
        let _ = (object, old);
        Vec::new()
    }

    /// Every fault of an update of that subresource.
    fn validate_subresource_update(
        name: &str,
        object: &Self::Object,
        old: &Self::Object,
    ) -> Vec<FieldError> {
        let _ = (name, object, old);
        Vec::new()
    }

    /// What `metadata.name` must look like; answers upstream's complaints, none if it is fine.
    fn validate_name(name: &str) -> Vec<String> {
        crate::api::meta::dns1123_subdomain(name)
    }

    /// Things worth a `Warning:` header on create and update.
    fn warnings(object: &Self::Object) -> Vec<String> {
        let _ = object;
        Vec::new()
    }

    /// Values for field selectors beside `metadata.name` and `metadata.namespace`, which every kind
    /// has. The set of names must be the same for every object of the kind.
    fn fields(object: &Self::Object) -> Vec<(&'static str, String)> {
        let _ = object;
        Vec::new()
    }

    /// Decides how a DELETE goes on; `grace` is what the client asked for, in seconds.
    fn deletion(object: &Self::Object, grace: Option<i64>) -> Deletion {
        let _ = (object, grace);
        Deletion::Now
    }

    /// When a DELETE first marks the object: sets what says so (`status.phase` of a Namespace).
    fn prepare_for_deletion(object: &mut Self::Object) {
        let _ = object;
    }

    /// Whether nothing but `metadata.finalizers` keeps a deleted object (a Namespace has
    /// `spec.finalizers` too).
    fn is_finalized(object: &Self::Object) -> bool {
        let _ = object;
        true
    }

    /// What the subresource `scale` shows; `None` for kinds without a size.
    fn size(object: &Self::Object) -> Option<Size> {
        let _ = object;
        None
    }

    /// Sets what the subresource `scale` may set.
    fn resize(object: &mut Self::Object, replicas: i32) {
        let _ = (object, replicas);
    }

    fn columns() -> &'static [Column];

    /// One cell per column.
    fn row(object: &Self::Object, now: Timestamp) -> Vec<Value>;
}
