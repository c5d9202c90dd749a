//! The rules of `metadata`, the same for every kind.
//!
//! Upstream: `k8s.io/apimachinery/pkg/api/validation/objectmeta.go` and
//! `k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    ManagedFieldsEntry, ObjectMeta, OwnerReference,
};
use serde::Serialize;
use serde_json::Value;

use super::names::{dns1123_label, label_value, qualified_name};
use crate::api::fields::{FieldError, Path};
use crate::api::object::GroupVersion;

/// Bound of all annotations of an object together, keys and values, in bytes.
pub const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// Upstream's complaint about a field that may not change.
pub const IMMUTABLE: &str = "field is immutable";

/// Every fault of a new object's metadata. The name was generated before; `name_rule` says what it
/// must look like.
pub fn validate(
    meta: &ObjectMeta,
    namespaced: bool,
    name_rule: impl Fn(&str) -> Vec<String>,
    path: &Path,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(prefix) = meta.generate_name.as_deref().filter(|prefix| !prefix.is_empty()) {
        let complaints = name_rule(&without_trailing_dash(prefix));
        errors.extend(invalid_each(&path.child("generateName"), prefix, complaints));
    }
    match meta.name.as_deref().unwrap_or_default() {
        "" => {
            let detail = "name or generateName is required";
            errors.push(FieldError::required(path.child("name"), detail));
        }
        name => errors.extend(invalid_each(&path.child("name"), name, name_rule(name))),
    }
    errors.extend(validate_namespace(
        meta.namespace.as_deref().unwrap_or_default(),
        namespaced,
        path,
    ));
    if let Some(generation) = meta.generation.filter(|generation| *generation < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(path.child("generation"), generation, detail));
    }
    errors.extend(validate_common(meta, path));
    errors
}

/// Every fault of the step from `old` to `new`.
pub fn validate_update(new: &ObjectMeta, old: &ObjectMeta, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if old.deletion_timestamp.is_some() {
        errors.extend(no_new_finalizers(new, old, path));
    }
    if new.resource_version.as_deref().unwrap_or_default().is_empty() {
        let detail = "must be specified for an update";
        errors.push(FieldError::invalid(path.child("resourceVersion"), "", detail));
    }
    if new.generation.unwrap_or(0) < old.generation.unwrap_or(0) {
        let generation = new.generation.unwrap_or(0);
        let detail = "must not be decremented";
        errors.push(FieldError::invalid(path.child("generation"), generation, detail));
    }
    let kept = [
        ("name", change(&new.name, &old.name, text)),
        ("namespace", change(&new.namespace, &old.namespace, text)),
        ("uid", change(&new.uid, &old.uid, text)),
        ("creationTimestamp", change(&new.creation_timestamp, &old.creation_timestamp, json)),
        ("deletionTimestamp", change(&new.deletion_timestamp, &old.deletion_timestamp, json)),
        (
            "deletionGracePeriodSeconds",
            change(&new.deletion_grace_period_seconds, &old.deletion_grace_period_seconds, json),
        ),
    ];
    for (field, change) in kept {
        errors.extend(change.map(|new| FieldError::invalid(path.child(field), new, IMMUTABLE)));
    }
    errors.extend(validate_common(new, path));
    errors
}

/// What the field is now as data, if that is not what it was.
fn change<T: PartialEq>(new: &T, old: &T, data: impl Fn(&T) -> Value) -> Option<Value> {
    if new == old {
        return None;
    }
    let new = data(new);
    (new != data(old)).then_some(new)
}

/// Every fault of a set of labels; all are reported at `path` itself, as upstream does.
pub fn validate_labels(labels: &BTreeMap<String, String>, path: &Path) -> Vec<FieldError> {
    let of_label = |(key, value): (&String, &String)| {
        let mut errors = invalid_each(path, key, qualified_name(key));
        errors.extend(invalid_each(path, value, label_value(value)));
        errors
    };
    labels.iter().flat_map(of_label).collect()
}

/// Every fault of a set of annotations: their keys, and their size together.
pub fn validate_annotations(
    annotations: &BTreeMap<String, String>,
    path: &Path,
) -> Vec<FieldError> {
    let of_key = |key: &String| invalid_each(path, key, qualified_name(&key.to_lowercase()));
    let mut errors: Vec<FieldError> = annotations.keys().flat_map(of_key).collect();
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError::too_long(path.clone(), ANNOTATIONS_BYTES_MAX));
    }
    errors
}

/// The complaints of a name rule about `value`, each as a fault at `path`.
pub fn invalid_each(path: &Path, value: &str, complaints: Vec<String>) -> Vec<FieldError> {
    let fault = |complaint| FieldError::invalid(path.clone(), value, complaint);
    complaints.into_iter().map(fault).collect()
}

/// A `generateName` prefix as its name rule is to see it: the dash at its end will not stay there.
///
/// Upstream: `maskTrailingDash` in `k8s.io/apimachinery/pkg/api/validation/generic.go`.
fn without_trailing_dash(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(start) if !start.is_empty() => format!("{start}a"),
        _ => prefix.to_owned(),
    }
}

fn validate_namespace(namespace: &str, namespaced: bool, path: &Path) -> Vec<FieldError> {
    let path = path.child("namespace");
    match (namespaced, namespace) {
        (true, "") => vec![FieldError::required(path, "")],
        (true, _) => invalid_each(&path, namespace, dns1123_label(namespace)),
        (false, "") => Vec::new(),
        (false, _) => vec![FieldError::forbidden(path, "not allowed on this type")],
    }
}

fn validate_common(meta: &ObjectMeta, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(labels) = &meta.labels {
        errors.extend(validate_labels(labels, &path.child("labels")));
    }
    if let Some(annotations) = &meta.annotations {
        errors.extend(validate_annotations(annotations, &path.child("annotations")));
    }
    if let Some(owners) = &meta.owner_references {
        errors.extend(validate_owners(owners, &path.child("ownerReferences")));
    }
    if let Some(finalizers) = &meta.finalizers {
        errors.extend(validate_finalizers(finalizers, &path.child("finalizers")));
    }
    if let Some(entries) = &meta.managed_fields {
        errors.extend(validate_managed_fields(entries, &path.child("managedFields")));
    }
    errors
}

fn validate_owners(owners: &[OwnerReference], path: &Path) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> =
        owners.iter().flat_map(|owner| validate_owner(owner, path)).collect();
    let mut controllers = owners
        .iter()
        .filter(|owner| owner.controller == Some(true))
        .map(|owner| format!("{}/{}", owner.kind, owner.name));
    if let Some(first) = controllers.next() {
        errors.extend(controllers.map(|other| {
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in \
                 references for {first} and {other}"
            );
            FieldError::invalid(path.clone(), json(&owners), detail)
        }));
    }
    errors
}

fn validate_owner(owner: &OwnerReference, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut refuse = |field: &'static str, value: &str, detail: &str| {
        errors.push(FieldError::invalid(path.child(field), value, detail));
    };
    let version = GroupVersion::parse(&owner.api_version).unwrap_or_default();
    if version.version.is_empty() {
        refuse("apiVersion", &owner.api_version, "version must not be empty");
    }
    for (field, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
        if value.is_empty() {
            refuse(field, value, "must not be empty");
        }
    }
    if owner.api_version == "v1" && owner.kind == "Event" {
        let detail = "/v1, Kind=Event is disallowed from being an owner";
        errors.push(FieldError::invalid(path.clone(), json(owner), detail));
    }
    errors
}

fn validate_finalizers(finalizers: &[String], path: &Path) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> =
        finalizers.iter().flat_map(|name| invalid_each(path, name, qualified_name(name))).collect();
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(path.clone(), json(&finalizers), detail));
    }
    errors
}

fn no_new_finalizers(new: &ObjectMeta, old: &ObjectMeta, path: &Path) -> Option<FieldError> {
    let set = |meta: &ObjectMeta| -> BTreeSet<String> {
        meta.finalizers.iter().flatten().cloned().collect()
    };
    let added: Vec<String> =
        set(new).difference(&set(old)).map(|name| format!("{name:?}")).collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers \
         []string{{{}}}",
        added.join(", ")
    );
    (!added.is_empty()).then(|| FieldError::forbidden(path.child("finalizers"), detail))
}

fn validate_managed_fields(entries: &[ManagedFieldsEntry], path: &Path) -> Vec<FieldError> {
    let of_entry = |(index, entry): (usize, &ManagedFieldsEntry)| {
        let path = path.index(index);
        let mut errors = Vec::new();
        let operation = entry.operation.as_deref().unwrap_or_default();
        if !matches!(operation, "Apply" | "Update") {
            let detail = "must be `Apply` or `Update`";
            errors.push(FieldError::invalid(path.child("operation"), operation, detail));
        }
        let fields_type = entry.fields_type.as_deref().unwrap_or_default();
        if !matches!(fields_type, "" | "FieldsV1") {
            let detail = "must be `FieldsV1`";
            errors.push(FieldError::invalid(path.child("fieldsType"), fields_type, detail));
        }
        let manager = entry.manager.as_deref().unwrap_or_default();
        errors.extend(validate_field_manager(manager, &path.child("manager")));
        if entry.subresource.as_ref().is_some_and(|name| name.len() > 256) {
            errors.push(FieldError::too_long(path.child("subresource"), 256));
        }
        errors
    };
    entries.iter().enumerate().flat_map(of_entry).collect()
}

/// Every fault of a `fieldManager`: at most 128 bytes, printable.
pub fn validate_field_manager(manager: &str, path: &Path) -> Vec<FieldError> {
    const FIELD_MANAGER_BYTES_MAX: usize = 128;
    let mut errors = Vec::new();
    if manager.len() > FIELD_MANAGER_BYTES_MAX {
        errors.push(FieldError::too_long(path.clone(), FIELD_MANAGER_BYTES_MAX));
    }
    for (position, found) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let code = u32::from(found);
        let detail = format!("invalid character U+{code:04X} (at position {position})");
        errors.push(FieldError::invalid(path.clone(), manager, detail));
    }
    errors
}

fn text(value: &Option<String>) -> Value {
    Value::from(value.as_deref().unwrap_or_default())
}

fn json<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).expect("metadata has string keys and finite numbers only")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::super::names::dns1123_subdomain;
    use super::*;

    fn meta(name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("default".to_owned()),
            resource_version: Some("1".to_owned()),
            ..ObjectMeta::default()
        }
    }

    #[track_caller]
    fn check(errors: &[FieldError], expect: &[&str]) {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), expect.len(), "{texts:#?}");
        for (text, start) in texts.iter().zip(expect) {
            assert!(text.starts_with(start), "{text}\nshould start with\n{start}");
        }
    }

    fn faults(meta: &ObjectMeta) -> Vec<FieldError> {
        validate(meta, true, dns1123_subdomain, &Path::new("metadata"))
    }

    #[test]
    fn good_metadata_has_no_faults() {
        let generated = ObjectMeta { generate_name: Some("web-".to_owned()), ..meta("web-abcde") };
        check(&faults(&generated), &[]);
        check(&validate_update(&generated, &generated, &Path::new("metadata")), &[]);
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let bad = ObjectMeta {
            generate_name: Some("Web-".to_owned()),
            namespace: Some("a.b".to_owned()),
            labels: Some([("-".to_owned(), "?".to_owned())].into()),
            annotations: Some([("a/b/c".to_owned(), "x".repeat(300_000))].into()),
            finalizers: Some(vec!["orphan".to_owned(), "foregroundDeletion".to_owned()]),
            ..meta("")
        };
        check(
            &faults(&bad),
            &[
                "metadata.generateName: Invalid value: \"Web-\": a lowercase RFC 1123 subdomain",
                "metadata.name: Required value: name or generateName is required",
                "metadata.namespace: Invalid value: \"a.b\": must not contain dots",
                "metadata.labels: Invalid value: \"-\": name part must consist",
                "metadata.labels: Invalid value: \"?\": a valid label must be",
                "metadata.annotations: Invalid value: \"a/b/c\": a qualified name must consist",
                "metadata.annotations: Too long: may not be more than 262144 bytes",
                "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer",
            ],
        );
    }

    #[test]
    fn cluster_scoped_objects_have_no_namespace() {
        let errors = validate(&meta("a"), false, dns1123_subdomain, &Path::new("metadata"));
        check(&errors, &["metadata.namespace: Forbidden: not allowed on this type"]);
        let none = ObjectMeta { namespace: None, ..meta("a") };
        check(&faults(&none), &["metadata.namespace: Required value"]);
    }

    #[test]
    fn owners_are_complete_and_one_controls() {
        let owner = OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "ReplicaSet".to_owned(),
            name: "a".to_owned(),
            uid: "1".to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        let other = OwnerReference { name: "b".to_owned(), ..owner.clone() };
        let empty = OwnerReference::default();
        let owned = ObjectMeta { owner_references: Some(vec![owner, other, empty]), ..meta("x") };
        check(
            &faults(&owned),
            &[
                "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be",
                "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty",
                "metadata.ownerReferences.name: Invalid value: \"\": must not be empty",
                "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
                "metadata.ownerReferences: Invalid value: [{",
            ],
        );
    }

    #[test]
    fn identity_may_not_change() {
        let path = Path::new("metadata");
        let old = ObjectMeta { uid: Some("1".to_owned()), generation: Some(2), ..meta("a") };
        let new = ObjectMeta { uid: Some("2".to_owned()), generation: Some(1), ..meta("b") };
        check(
            &validate_update(&new, &old, &path),
            &[
                "metadata.generation: Invalid value: 1: must not be decremented",
                "metadata.name: Invalid value: \"b\": field is immutable",
                "metadata.uid: Invalid value: \"2\": field is immutable",
            ],
        );
        let deleted =
            ObjectMeta { deletion_timestamp: Some(Time(jiff::Timestamp::UNIX_EPOCH)), ..meta("a") };
        let finalized =
            ObjectMeta { finalizers: Some(vec!["x.io/a".to_owned()]), ..deleted.clone() };
        check(
            &validate_update(&finalized, &deleted, &path),
            &["metadata.finalizers: Forbidden: no new finalizers can be added if the object is \
               being deleted, found new finalizers []string{\"x.io/a\"}"],
        );
    }
}
