//! Names of objects and kinds, and what an untyped object says of itself.
//!
//! Upstream: `k8s.io/apimachinery/pkg/runtime/schema/group_version.go`.

use std::fmt;

use serde_json::{Map, Value};

/// An object of a known kind: `namespace/name`, or `name` for a cluster-scoped one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    pub name: String,
}

impl ObjectKey {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// What `object`'s metadata says; empty strings for what it does not say.
    pub fn of(object: &Value) -> Self {
        Self::new(meta_str(object, "namespace"), meta_str(object, "name"))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// `apps/v1`, or `v1` for the core group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupVersion {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
}

impl GroupVersion {
    pub fn new(group: impl Into<String>, version: impl Into<String>) -> Self {
        Self { group: group.into(), version: version.into() }
    }

    /// Reads an `apiVersion`; `None` if it has more than one slash, worded by
    /// [`unexpected_group_version`].
    pub fn parse(api_version: &str) -> Option<Self> {
        match api_version.split_once('/') {
            None => Some(Self::new("", api_version)),
            Some((_, version)) if version.contains('/') => None,
            Some((group, version)) => Some(Self::new(group, version)),
        }
    }
}

/// Upstream's complaint about an `apiVersion` that [`GroupVersion::parse`] cannot read.
pub fn unexpected_group_version(api_version: &str) -> String {
    format!("unexpected GroupVersion string: {api_version}")
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.version)
        } else {
            write!(f, "{}/{}", self.group, self.version)
        }
    }
}

/// `apps/v1, Kind=Deployment`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupVersionKind {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub kind: String,
}

impl GroupVersionKind {
    pub fn new(
        group: impl Into<String>,
        version: impl Into<String>,
        kind: impl Into<String>,
    ) -> Self {
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// The kind of a k8s-openapi type.
    pub fn of<T: k8s_openapi::Resource>() -> Self {
        Self::new(T::GROUP, T::VERSION, T::KIND)
    }

    /// Reads `apiVersion` and `kind` of an object.
    ///
    /// # Errors
    /// Upstream's text for a missing `kind` or `apiVersion`, or one that is no group and version.
    pub fn from_object(object: &Value) -> Result<Self, String> {
        let field = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (field("apiVersion"), field("kind"));
        if kind.is_empty() {
            return Err("Object 'Kind' is missing".to_owned());
        }
        if api_version.is_empty() {
            return Err("Object 'apiVersion' is missing".to_owned());
        }
        let group_version = GroupVersion::parse(api_version)
            .ok_or_else(|| unexpected_group_version(api_version))?;
        Ok(Self::new(group_version.group, group_version.version, kind))
    }

    pub fn group_version(&self) -> GroupVersion {
        GroupVersion::new(self.group.clone(), self.version.clone())
    }

    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }

    /// As objects spell it: `apps/v1`, `v1`.
    pub fn api_version(&self) -> String {
        self.group_version().to_string()
    }
}

impl fmt::Display for GroupVersionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Upstream prints the slash of the core group too.
        write!(f, "{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}

/// A kind in any version: `Deployment.apps`, `Pod`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupKind {
    /// Empty for the core group.
    pub group: String,
    pub kind: String,
}

impl GroupKind {
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.kind, &self.group)
    }
}

/// A resource (the lower-case plural of paths) in one version: `apps/v1, Resource=deployments`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupVersionResource {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub resource: String,
}

impl GroupVersionResource {
    pub fn new(
        group: impl Into<String>,
        version: impl Into<String>,
        resource: impl Into<String>,
    ) -> Self {
        Self { group: group.into(), version: version.into(), resource: resource.into() }
    }

    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.group.clone(), self.resource.clone())
    }
}

impl fmt::Display for GroupVersionResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, Resource={}", self.group, self.version, self.resource)
    }
}

/// A resource in any version, as messages name it: `deployments.apps`, `pods`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupResource {
    /// Empty for the core group.
    pub group: String,
    pub resource: String,
}

impl GroupResource {
    pub fn new(group: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { group: group.into(), resource: resource.into() }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dotted(f, &self.resource, &self.group)
    }
}

fn dotted(f: &mut fmt::Formatter<'_>, name: &str, group: &str) -> fmt::Result {
    if group.is_empty() { f.write_str(name) } else { write!(f, "{name}.{group}") }
}

/// The object's `metadata`, if it is a map.
pub fn metadata(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata").and_then(Value::as_object)
}

/// The object's `metadata`, made if it is missing; `None` if the object or its metadata is
/// something else than a map.
pub fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata =
        object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    metadata.as_object_mut()
}

/// A text field of `metadata` (`name`, `namespace`, `uid`, `resourceVersion` …); empty if missing.
pub fn meta_str<'a>(object: &'a Value, field: &str) -> &'a str {
    metadata(object).and_then(|meta| meta.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// Sets a text field of `metadata`; does nothing if the object cannot hold one.
pub fn set_meta_str(object: &mut Value, field: &str, value: impl Into<String>) {
    if let Some(meta) = metadata_mut(object) {
        meta.insert(field.to_owned(), Value::String(value.into()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(object: Value, expect: Result<&str, &str>) {
        let kind = GroupVersionKind::from_object(&object).map(|kind| kind.to_string());
        assert_eq!(kind.as_deref().map_err(String::as_str), expect);
    }

    #[test]
    fn kinds_are_read_from_objects() {
        check(json!({"apiVersion": "v1", "kind": "Pod"}), Ok("/v1, Kind=Pod"));
        check(
            json!({"apiVersion": "apps/v1", "kind": "Deployment"}),
            Ok("apps/v1, Kind=Deployment"),
        );
        check(json!({"apiVersion": "v1"}), Err("Object 'Kind' is missing"));
        check(json!({"kind": "Pod"}), Err("Object 'apiVersion' is missing"));
        check(json!("a string"), Err("Object 'Kind' is missing"));
        check(
            json!({"apiVersion": "a/b/c", "kind": "Pod"}),
            Err("unexpected GroupVersion string: a/b/c"),
        );
    }

    #[test]
    fn metadata_is_made_when_missing() {
        let mut object = json!({"kind": "Pod"});
        set_meta_str(&mut object, "namespace", "default");
        set_meta_str(&mut object, "name", "a");
        assert_eq!(ObjectKey::of(&object).to_string(), "default/a");
        let mut list = json!([]);
        set_meta_str(&mut list, "name", "a");
        assert_eq!(list, json!([]));
    }

    #[test]
    fn resources_are_named_with_their_group() {
        assert_eq!(GroupResource::new("", "pods").to_string(), "pods");
        assert_eq!(GroupResource::new("apps", "deployments").to_string(), "deployments.apps");
        assert_eq!(GroupVersionKind::new("apps", "v1", "X").api_version(), "apps/v1");
    }
}
