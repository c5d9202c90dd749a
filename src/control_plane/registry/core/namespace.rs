//! Namespaces: what their finalizer keeps alive, and the phase the server decides.
//!
//! Upstream: `pkg/registry/core/namespace/strategy.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::{
    Column, Names, Resource, STATUS_VERBS, Scope, Subresource, Verb,
};

/// What empties a namespace before it goes; `spec.finalizers` of every namespace has it.
pub(super) const FINALIZER: &str = "kubernetes";

/// The label by which selectors find a namespace by name.
pub(super) const NAME_LABEL: &str = "kubernetes.io/metadata.name";

#[derive(Debug)]
pub(crate) struct Namespaces;

impl Resource for Namespaces {
    type Object = Namespace;

    const NAMES: Names =
        Names { plural: "namespaces", singular: "namespace", short: &["ns"], categories: &[] };
    const SCOPE: Scope = Scope::Cluster;
    /// No `deletecollection`: `kubectl delete ns --all` asks for each by name.
    const VERBS: &'static [Verb] = &["create", "delete", "get", "list", "patch", "update", "watch"];
    const SUBRESOURCES: &'static [Subresource] = &[
        Subresource { name: "finalize", kind: ("", "", "Namespace"), verbs: &["update"] },
        Subresource { name: "status", kind: ("", "", "Namespace"), verbs: STATUS_VERBS },
    ];

    fn default(namespace: &mut Namespace) {
        if let Some(name) = namespace.metadata.name.clone().filter(|name| !name.is_empty()) {
            namespace.metadata.labels.get_or_insert_default().insert(NAME_LABEL.to_owned(), name);
        }
        let phase = &mut namespace.status.get_or_insert_default().phase;
        super::set_default(phase, "Active");
    }

    fn prepare_for_create(namespace: &mut Namespace) {
        let status = namespace.status.insert(Default::default());
        status.phase = Some("Active".to_owned());
        let finalizers = namespace.spec.get_or_insert_default().finalizers.get_or_insert_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
    }

    fn prepare_for_update(namespace: &mut Namespace, old: &Namespace) {
        namespace.spec.clone_from(&old.spec);
        namespace.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(namespace: &mut Namespace, old: &Namespace) {
        namespace.spec.clone_from(&old.spec);
    }

    fn validate_status_update(namespace: &Namespace, _old: &Namespace) -> Vec<FieldError> {
        let phase = phase(namespace);
        let deleted = namespace.metadata.deletion_timestamp.is_some();
        let path = Path::new("status").child("Phase");
        match (deleted, phase) {
            (false, "Active") | (true, "Terminating") => Vec::new(),
            (false, _) => vec![FieldError::invalid(
                path,
                phase,
                "may only be 'Active' if `deletionTimestamp` is empty",
            )],
            (true, _) => vec![FieldError::invalid(
                path,
                phase,
                "may only be 'Terminating' if `deletionTimestamp` is not empty",
            )],
        }
    }

    fn validate_name(name: &str) -> Vec<String> {
        crate::api::meta::dns1123_label(name)
    }

    fn fields(namespace: &Namespace) -> Vec<(&'static str, String)> {
        vec![
            ("status.phase", phase(namespace).to_owned()),
            ("name", namespace.metadata.name.clone().unwrap_or_default()),
        ]
    }

    fn prepare_for_deletion(namespace: &mut Namespace) {
        namespace.status.get_or_insert_default().phase = Some("Terminating".to_owned());
    }

    fn is_finalized(namespace: &Namespace) -> bool {
        let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_deref());
        finalizers.is_none_or(<[_]>::is_empty)
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Status", "The phase: Active, or Terminating while it is emptied."),
            AGE,
        ];
        COLUMNS
    }

    fn row(namespace: &Namespace, now: Timestamp) -> Vec<Value> {
        let meta = &namespace.metadata;
        vec![print::name(meta), phase(namespace).into(), print::age(meta, now)]
    }
}

fn phase(namespace: &Namespace) -> &str {
    namespace.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace(value: Value) -> Namespace {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_new_namespace_is_active_labelled_and_held_by_its_finalizer() {
        let mut new = namespace(json!({"metadata": {"name": "shop"}, "status": {"phase": "Gone"}}));
        Namespaces::default(&mut new);
        Namespaces::prepare_for_create(&mut new);
        let expect = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        assert_eq!(serde_json::to_value(&new).unwrap(), expect);
        assert_eq!(Namespaces::row(&new, Timestamp::UNIX_EPOCH)[1], "Active");
    }

    #[test]
    fn an_update_touches_neither_finalizers_nor_status() {
        let old = namespace(
            json!({"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}),
        );
        let mut new =
            namespace(json!({"spec": {"finalizers": []}, "status": {"phase": "Terminating"}}));
        Namespaces::prepare_for_update(&mut new, &old);
        assert_eq!(new, old);
    }

    #[test]
    fn the_phase_follows_from_the_deletion() {
        let faults = |value: Value| {
            let namespace = namespace(value);
            let faults = Namespaces::validate_status_update(&namespace, &namespace);
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let deleted = json!({"deletionTimestamp": "2026-11-22T17:00:00Z"});
        assert!(faults(json!({"status": {"phase": "Active"}})).is_empty());
        assert!(
            faults(json!({"metadata": deleted, "status": {"phase": "Terminating"}})).is_empty()
        );
        assert_eq!(
            faults(json!({"status": {"phase": "Terminating"}})),
            [
                "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
            ]
        );
    }
}
