//! Evictions: what the subresource `pods/eviction` takes.
//!
//! Upstream: `pkg/registry/core/pod/storage/eviction.go`.

use jiff::Timestamp;
use k8s_openapi::api::policy::v1::Eviction;
use serde_json::Value;

use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb};

/// Not in the table: it has no path of its own, only the subresource takes it.
#[derive(Debug)]
pub(crate) struct Evictions;

impl Resource for Evictions {
    type Object = Eviction;

    const NAMES: Names =
        Names { plural: "evictions", singular: "eviction", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const VERBS: &'static [Verb] = &["create"];

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(eviction: &Eviction, now: Timestamp) -> Vec<Value> {
        vec![print::name(&eviction.metadata), print::age(&eviction.metadata, now)]
    }
}
