//! What bindings have in common: to whom they give which role.
//!
//! Upstream: `pkg/apis/rbac/v1/defaults.go`, `pkg/apis/rbac/validation/validation.go`,
//! `printRoleBinding` in `pkg/printers/internalversion/printers.go`.

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{dns1123_subdomain, invalid_each, path_segment_name};
use crate::control_plane::registry::print::{self, AGE, NAME, column, wide};
use crate::control_plane::registry::rules::text;
use crate::control_plane::registry::{Column, Scope};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Fills in the API groups that were left out.
pub(super) fn default_binding(role: &mut RoleRef, subjects: Option<&mut Vec<Subject>>) {
    if role.api_group.is_empty() {
        GROUP.clone_into(&mut role.api_group);
    }
    for subject in subjects.into_iter().flatten() {
        if matches!(subject.kind.as_str(), "User" | "Group") && text(&subject.api_group).is_empty()
        {
            subject.api_group = Some(GROUP.to_owned());
        }
    }
}

/// Every fault of a binding; one of the whole cluster cannot name a Role of some namespace.
pub(super) fn validate_binding(
    role: &RoleRef,
    subjects: Option<&Vec<Subject>>,
    scope: Scope,
) -> Vec<FieldError> {
    let mut faults = validate_role_ref(role, scope);
    let path = Path::new("subjects");
    for (index, subject) in subjects.into_iter().flatten().enumerate() {
        faults.extend(validate_subject(subject, scope, &path.index(index)));
    }
    faults
}

/// A binding is to one role for ever.
pub(super) fn validate_same_role(new: &RoleRef, old: &RoleRef) -> Option<FieldError> {
    let told = json!({"APIGroup": new.api_group, "Kind": new.kind, "Name": new.name});
    (new != old).then(|| FieldError::invalid(Path::new("roleRef"), told, "cannot change roleRef"))
}

fn validate_role_ref(role: &RoleRef, scope: Scope) -> Vec<FieldError> {
    let path = Path::new("roleRef");
    let mut faults = Vec::new();
    if role.api_group != GROUP {
        let path = path.child("apiGroup");
        faults.push(FieldError::not_supported(path, role.api_group.as_str(), &[GROUP]));
    }
    let kinds: &[&str] = match scope {
        Scope::Namespaced => &["Role", "ClusterRole"],
        Scope::Cluster => &["ClusterRole"],
    };
    if !kinds.contains(&role.kind.as_str()) {
        faults.push(FieldError::not_supported(path.child("kind"), role.kind.as_str(), kinds));
    }
    let path = path.child("name");
    if role.name.is_empty() {
        faults.push(FieldError::required(path, ""));
    } else {
        faults.extend(invalid_each(&path, &role.name, path_segment_name(&role.name)));
    }
    faults
}

fn validate_subject(subject: &Subject, scope: Scope, path: &Path) -> Vec<FieldError> {
    const KINDS: &[&str] = &["ServiceAccount", "User", "Group"];
    let mut faults = Vec::new();
    if subject.name.is_empty() {
        faults.push(FieldError::required(path.child("name"), ""));
    }
    let group = text(&subject.api_group);
    let mut group_must_be = |wanted: &str| {
        if group != wanted {
            let path = path.child("apiGroup");
            faults.push(FieldError::not_supported(path, group, &[wanted]));
        }
    };
    match subject.kind.as_str() {
        "ServiceAccount" => {
            group_must_be("");
            if !subject.name.is_empty() {
                let complaints = dns1123_subdomain(&subject.name);
                faults.extend(invalid_each(&path.child("name"), &subject.name, complaints));
            }
            if scope == Scope::Cluster && text(&subject.namespace).is_empty() {
                faults.push(FieldError::required(path.child("namespace"), ""));
            }
        }
        "User" | "Group" => group_must_be(GROUP),
        kind => faults.push(FieldError::not_supported(path.child("kind"), kind, KINDS)),
    }
    faults
}

pub(super) fn columns() -> &'static [Column] {
    const COLUMNS: &[Column] = &[
        NAME,
        column("Role", "What is given."),
        AGE,
        wide("Users", "The users to whom it is given."),
        wide("Groups", "The groups to whom it is given."),
        wide("ServiceAccounts", "The ServiceAccounts to whom it is given."),
    ];
    COLUMNS
}

pub(super) fn row(
    meta: &ObjectMeta,
    role: &RoleRef,
    subjects: Option<&Vec<Subject>>,
    now: Timestamp,
) -> Vec<Value> {
    let of_kind = |kind: &str| {
        let subjects = subjects.into_iter().flatten().filter(|subject| subject.kind == kind);
        let name = |subject: &Subject| match text(&subject.namespace) {
            namespace if kind == "ServiceAccount" => format!("{namespace}/{}", subject.name),
            _ => subject.name.clone(),
        };
        Value::from(subjects.map(name).collect::<Vec<_>>().join(", "))
    };
    vec![
        print::name(meta),
        format!("{}/{}", role.kind, role.name).into(),
        print::age(meta, now),
        of_kind("User"),
        of_kind("Group"),
        of_kind("ServiceAccount"),
    ]
}
