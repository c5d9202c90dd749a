//! Kinds without their type: what the table `RESOURCES` holds, so that one set of verbs serves all.
//!
//! [`Kind`] turns a [`Resource`] into an object-safe [`AnyResource`]; an object whose type is known
//! only to its kind travels as [`AnyObject`]. At rest an object is [`Stored`]; its decoded form is
//! made on first use, kept beside the bytes and shared with every reader ([`Decoded`]).

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::Resource as Named;
use k8s_openapi::api::authentication::v1::UserInfo;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::draft::Encoded;
use super::{AllocationError, Column, Deletion, KubeObject, Names, Resource, Scope, Size};
use super::{ServiceRanges, Subresource, Verb};
use crate::api::fields::FieldError;
use crate::control_plane::storage::{Decode, Durability, Key, Stored};

/// An object of some kind; only the kind's [`AnyResource`] knows which.
pub(crate) trait AnyObject: Any + Send + Sync {
    fn metadata(&self) -> &ObjectMeta;
    fn metadata_mut(&mut self) -> &mut ObjectMeta;
    fn cloned(&self) -> Box<dyn AnyObject>;

    /// # Errors
    /// Only if a field holds what JSON cannot say (a time out of the calendar's range).
    fn to_json(&self) -> serde_json::Result<Vec<u8>>;

    /// # Errors
    /// As [`AnyObject::to_json`].
    fn encode(&self) -> serde_json::Result<Encoded>;
}

impl<T: KubeObject> AnyObject for T {
    fn metadata(&self) -> &ObjectMeta {
        k8s_openapi::Metadata::metadata(self)
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        k8s_openapi::Metadata::metadata_mut(self)
    }

    fn cloned(&self) -> Box<dyn AnyObject> {
        Box::new(self.clone())
    }

    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    fn encode(&self) -> serde_json::Result<Encoded> {
        Encoded::new(self)
    }
}

impl fmt::Debug for dyn AnyObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyObject").field(&self.metadata().name).finish()
    }
}

/// A stored object as its type, shared by all readers: API server, caches, watchers.
pub(crate) type Decoded = Arc<dyn AnyObject>;

/// What [`Stored::memo`] keeps. Bytes that cannot be decoded (written by another version of sampan)
/// are remembered as the reason, so that one bad object does not take its whole kind down.
#[derive(Clone)]
struct Memo(Result<Decoded, Arc<str>>);

/// A stored object that is not, or no longer, one of its kind.
#[derive(Debug, thiserror::Error)]
#[error("object {key} cannot be decoded: {reason}", key = .key.0)]
pub(crate) struct Undecodable {
    pub key: Key,
    pub reason: Arc<str>,
}

/// [`Resource`], object-safe. See there for what each part means.
pub(crate) trait AnyResource: Send + Sync + 'static {
    /// Empty for the core group.
    fn group(&self) -> &'static str;
    fn version(&self) -> &'static str;
    fn kind(&self) -> &'static str;
    /// `v1`, `apps/v1` …
    fn api_version(&self) -> &'static str;
    fn names(&self) -> Names;
    fn scope(&self) -> Scope;
    fn verbs(&self) -> &'static [Verb];
    fn subresources(&self) -> &'static [Subresource];
    fn durability(&self) -> Durability;
    fn ttl(&self) -> Option<Duration>;
    fn counts_generations(&self) -> bool;
    fn answers_deleted_object(&self) -> bool;
    fn creates_on_update(&self) -> bool;
    fn status_takes_annotations(&self) -> bool;
    fn records_requester(&self) -> bool;
    fn orphans_dependents(&self) -> bool;
    fn orphaning_warning(&self) -> Option<&'static str>;

    /// # Errors
    /// If the value is not an object of this kind; the text says which field and why.
    fn decode(&self, value: Value) -> serde_json::Result<Box<dyn AnyObject>>;

    /// The stored object as its type, decoded at most once.
    ///
    /// # Errors
    /// [`Undecodable`] if the bytes at rest are not of this kind.
    fn decoded(&self, stored: &Stored) -> Result<Decoded, Undecodable>;

    /// What is about to be written as the decoded form, which saves every reader the work.
    fn remembered(&self, object: Box<dyn AnyObject>) -> Decode;

    fn default(&self, object: &mut dyn AnyObject);
    fn allocates(&self) -> bool;
    fn allocate(
        &self,
        object: &mut dyn AnyObject,
        old: Option<&dyn AnyObject>,
        others: &[Decoded],
        ranges: &ServiceRanges,
    ) -> Result<(), AllocationError>;
    fn record_requester(&self, object: &mut dyn AnyObject, user: UserInfo);
    fn prepare_for_create(&self, object: &mut dyn AnyObject);
    fn prepare_for_update(&self, object: &mut dyn AnyObject, old: &dyn AnyObject);
    fn prepare_for_status_update(&self, object: &mut dyn AnyObject, old: &dyn AnyObject);
    fn prepare_for_subresource_update(
        &self,
        name: &str,
        object: &mut dyn AnyObject,
        old: &dyn AnyObject,
    );
    fn stamp(&self, object: &mut dyn AnyObject, old: &dyn AnyObject, now: Timestamp);
    fn validate(&self, object: &dyn AnyObject) -> Vec<FieldError>;
    fn validate_update(&self, object: &dyn AnyObject, old: &dyn AnyObject) -> Vec<FieldError>;
    fn validate_status_update(
        &self,
        object: &dyn AnyObject,
        old: &dyn AnyObject,
    ) -> Vec<FieldError>;
    fn validate_subresource_update(
        &self,
        name: &str,
        object: &dyn AnyObject,
        old: &dyn AnyObject,
    ) -> Vec<FieldError>;
    fn validate_name(&self, name: &str) -> Vec<String>;
    fn warnings(&self, object: &dyn AnyObject) -> Vec<String>;
    fn fields(&self, object: &dyn AnyObject) -> Vec<(&'static str, String)>;
    fn deletion(&self, object: &dyn AnyObject, grace: Option<i64>) -> Deletion;
    /// Adds the kind's type, and all that it refers to, to the generator's definitions: OpenAPI
    /// takes its descriptions from there.
    fn describe(&self, generator: &mut schemars::SchemaGenerator);
    fn prepare_for_deletion(&self, object: &mut dyn AnyObject);
    fn is_finalized(&self, object: &dyn AnyObject) -> bool;
    fn size(&self, object: &dyn AnyObject) -> Option<Size>;
    fn resize(&self, object: &mut dyn AnyObject, replicas: i32);
    fn columns(&self) -> &'static [Column];
    fn row(&self, object: &dyn AnyObject, now: Timestamp) -> Vec<Value>;
}

impl dyn AnyResource {
    /// The prefix under which all objects of this kind, or those of one namespace, are stored.
    pub(crate) fn prefix(&self, namespace: Option<&str>) -> String {
        let group = if self.group().is_empty() { "core" } else { self.group() };
        let plural = self.names().plural;
        match (self.scope(), namespace) {
            (Scope::Namespaced, Some(namespace)) => format!("/{group}/{plural}/{namespace}/"),
            _ => format!("/{group}/{plural}/"),
        }
    }

    /// Where one object is stored; `namespace` is ignored for cluster-scoped kinds.
    pub(crate) fn key(&self, namespace: &str, name: &str) -> Key {
        Key(format!("{}{name}", self.prefix(Some(namespace))).into())
    }

    /// `pods`, or `deployments.apps`: how messages name the resource.
    pub(crate) fn qualified(&self) -> String {
        if self.group().is_empty() {
            self.names().plural.to_owned()
        } else {
            format!("{}.{}", self.names().plural, self.group())
        }
    }

    /// Stored kinds can be written and read back; the others only answer a POST (reviews, bindings)
    /// or a GET (what is measured).
    pub(crate) fn is_stored(&self) -> bool {
        self.verbs().contains(&"get") && self.verbs().contains(&"create")
    }

    /// What is made up of the present state when it is read.
    pub(crate) fn is_measured(&self) -> bool {
        self.verbs().contains(&"get") && !self.is_stored()
    }
}

impl fmt::Debug for dyn AnyResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.qualified())
    }
}

/// The table entry of a [`Resource`]: `&Kind::<Pod>::NEW`.
pub(crate) struct Kind<R>(PhantomData<fn() -> R>);

impl<R: Resource> Kind<R> {
    pub(crate) const NEW: Self = Self(PhantomData);
}

impl<R> fmt::Debug for Kind<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<R>())
    }
}

const OWN: &str = "a kind is handed objects that it decoded itself";

fn own<R: Resource>(object: &dyn AnyObject) -> &R::Object {
    let any: &dyn Any = object;
    any.downcast_ref().expect(OWN)
}

fn own_mut<R: Resource>(object: &mut dyn AnyObject) -> &mut R::Object {
    let any: &mut dyn Any = object;
    any.downcast_mut().expect(OWN)
}

impl<R: Resource> AnyResource for Kind<R> {
    fn group(&self) -> &'static str {
        R::Object::GROUP
    }

    fn version(&self) -> &'static str {
        R::Object::VERSION
    }

    fn kind(&self) -> &'static str {
        R::Object::KIND
    }

    fn api_version(&self) -> &'static str {
        R::Object::API_VERSION
    }

    fn names(&self) -> Names {
        R::NAMES
    }

    fn scope(&self) -> Scope {
        R::SCOPE
    }

    fn verbs(&self) -> &'static [Verb] {
        R::VERBS
    }

    fn subresources(&self) -> &'static [Subresource] {
        R::SUBRESOURCES
    }

    fn durability(&self) -> Durability {
        R::DURABILITY
    }

    fn ttl(&self) -> Option<Duration> {
        R::TTL
    }

    fn counts_generations(&self) -> bool {
        R::GENERATION
    }

    fn answers_deleted_object(&self) -> bool {
        R::ANSWERS_DELETED_OBJECT
    }

    fn creates_on_update(&self) -> bool {
        R::CREATES_ON_UPDATE
    }

    fn records_requester(&self) -> bool {
        R::RECORDS_REQUESTER
    }

    fn orphans_dependents(&self) -> bool {
        R::ORPHANS_DEPENDENTS
    }

    fn orphaning_warning(&self) -> Option<&'static str> {
        R::ORPHANING_WARNING
    }

    fn status_takes_annotations(&self) -> bool {
        R::STATUS_TAKES_ANNOTATIONS
    }

    fn decode(&self, value: Value) -> serde_json::Result<Box<dyn AnyObject>> {
        Ok(Box::new(serde_json::from_value::<R::Object>(value)?))
    }

    fn decoded(&self, stored: &Stored) -> Result<Decoded, Undecodable> {
        let memo = stored.memo(|bytes| match serde_json::from_slice::<R::Object>(bytes) {
            Ok(object) => Memo(Ok(Arc::new(object))),
            Err(err) => Memo(Err(err.to_string().into())),
        });
        match &memo.0 {
            Ok(object) => Ok(Arc::clone(object)),
            Err(reason) => Err(Undecodable { key: stored.key.clone(), reason: Arc::clone(reason) }),
        }
    }

    fn remembered(&self, mut object: Box<dyn AnyObject>) -> Decode {
        Decode(Box::new(move |revision| {
            object.metadata_mut().resource_version = Some(revision.to_string());
            Arc::new(Memo(Ok(Arc::from(object))))
        }))
    }

    fn default(&self, object: &mut dyn AnyObject) {
        R::default(own_mut::<R>(object));
    }

    fn allocates(&self) -> bool {
        R::ALLOCATES
    }

    fn allocate(
        &self,
        object: &mut dyn AnyObject,
        old: Option<&dyn AnyObject>,
        others: &[Decoded],
        ranges: &ServiceRanges,
    ) -> Result<(), AllocationError> {
        let typed = |other: &Decoded| {
            let any: Arc<dyn Any + Send + Sync> = Arc::clone(other) as _;
            any.downcast::<R::Object>().expect(OWN)
        };
        let others: Vec<Arc<R::Object>> = others.iter().map(typed).collect();
        R::allocate(own_mut::<R>(object), old.map(own::<R>), &others, ranges)
    }

    fn record_requester(&self, object: &mut dyn AnyObject, user: UserInfo) {
        R::record_requester(own_mut::<R>(object), user);
    }

    fn prepare_for_create(&self, object: &mut dyn AnyObject) {
        R::prepare_for_create(own_mut::<R>(object));
    }

    fn prepare_for_update(&self, object: &mut dyn AnyObject, old: &dyn AnyObject) {
        R::prepare_for_update(own_mut::<R>(object), own::<R>(old));
    }

    fn prepare_for_status_update(&self, object: &mut dyn AnyObject, old: &dyn AnyObject) {
        R::prepare_for_status_update(own_mut::<R>(object), own::<R>(old));
    }

    fn prepare_for_subresource_update(
        &self,
        name: &str,
        object: &mut dyn AnyObject,
        old: &dyn AnyObject,
    ) {
        R::prepare_for_subresource_update(name, own_mut::<R>(object), own::<R>(old));
    }

    fn stamp(&self, object: &mut dyn AnyObject, old: &dyn AnyObject, now: Timestamp) {
        R::stamp(own_mut::<R>(object), own::<R>(old), now);
    }

    fn validate(&self, object: &dyn AnyObject) -> Vec<FieldError> {
        R::validate(own::<R>(object))
    }

    fn validate_update(&self, object: &dyn AnyObject, old: &dyn AnyObject) -> Vec<FieldError> {
        R::validate_update(own::<R>(object), own::<R>(old))
    }

    fn validate_status_update(
        &self,
        object: &dyn AnyObject,
        old: &dyn AnyObject,
    ) -> Vec<FieldError> {
        R::validate_status_update(own::<R>(object), own::<R>(old))
    }

    fn validate_subresource_update(
        &self,
        name: &str,
        object: &dyn AnyObject,
        old: &dyn AnyObject,
    ) -> Vec<FieldError> {
        R::validate_subresource_update(name, own::<R>(object), own::<R>(old))
    }

    fn validate_name(&self, name: &str) -> Vec<String> {
        R::validate_name(name)
    }

    fn warnings(&self, object: &dyn AnyObject) -> Vec<String> {
        R::warnings(own::<R>(object))
    }

    fn fields(&self, object: &dyn AnyObject) -> Vec<(&'static str, String)> {
        R::fields(own::<R>(object))
    }

    fn deletion(&self, object: &dyn AnyObject, grace: Option<i64>) -> Deletion {
        R::deletion(own::<R>(object), grace)
    }

    fn describe(&self, generator: &mut schemars::SchemaGenerator) {
        generator.subschema_for::<R::Object>();
    }

    fn prepare_for_deletion(&self, object: &mut dyn AnyObject) {
        R::prepare_for_deletion(own_mut::<R>(object));
    }

    fn is_finalized(&self, object: &dyn AnyObject) -> bool {
        R::is_finalized(own::<R>(object))
    }

    fn size(&self, object: &dyn AnyObject) -> Option<Size> {
        R::size(own::<R>(object))
    }

    fn resize(&self, object: &mut dyn AnyObject, replicas: i32) {
        R::resize(own_mut::<R>(object), replicas);
    }

    fn columns(&self) -> &'static [Column] {
        R::columns()
    }

    fn row(&self, object: &dyn AnyObject, now: Timestamp) -> Vec<Value> {
        R::row(own::<R>(object), now)
    }
}
