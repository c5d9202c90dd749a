//! Namespaces: what their finalizer keeps alive, and the phase the server decides.
//!
//! Upstream: `pkg/registry/core/namespace/strategy.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::{
    Column, Names, RequestContext, Resource, STATUS_VERBS, Scope, Subresource, Verb,
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

    fn prepare_for_create(namespace: &mut Namespace, _ctx: &RequestContext) {
        let status = namespace.status.insert(Default::default());
        status.phase = Some("Active".to_owned());
        let finalizers = namespace.spec.get_or_insert_default().finalizers.get_or_insert_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
    }

    fn prepare_for_update(namespace: &mut Namespace, old: &Namespace, _ctx: &RequestContext) {
        namespace.spec.clone_from(&old.spec);
        namespace.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(namespace: &mut Namespace, old: &Namespace) {
        namespace.spec.clone_from(&old.spec);
    }

    fn validate_status_update(namespace: &Namespace, _old: &Namespace) -> Vec<FieldError> {
        let phase = phase(namespace);
        let deleted = namespace.metadata.deletion_timestamp.is_some();
        let path = Path::new("status").child("phase");
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
