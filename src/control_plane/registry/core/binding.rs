//! Bindings: what the scheduler POSTs to `pods/binding`; never stored.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Binding;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb};

#[derive(Debug)]
pub(crate) struct Bindings;

impl Resource for Bindings {
    type Object = Binding;

    const NAMES: Names =
        Names { plural: "bindings", singular: "binding", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const VERBS: &'static [Verb] = &["create"];

    /// Upstream: `ValidatePodBinding`.
    fn validate(binding: &Binding) -> Vec<FieldError> {
        let path = Path::new("target");
        let kind = binding.target.kind.as_deref().unwrap_or_default();
        let mut faults = Vec::new();
        if !matches!(kind, "" | "Node") {
            faults.push(FieldError::not_supported(path.child("kind"), kind, &["Node", "<empty>"]));
        }
        if binding.target.name.as_deref().unwrap_or_default().is_empty() {
            faults.push(FieldError::required(path.child("name"), ""));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(binding: &Binding, now: Timestamp) -> Vec<Value> {
        vec![print::name(&binding.metadata), print::age(&binding.metadata, now)]
    }
}
