//! Leases: heartbeats and elections.
//!
//! Upstream: `pkg/apis/coordination/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::{Column, Names, Resource, Scope};
use crate::control_plane::storage::Durability;

#[derive(Debug)]
pub(crate) struct Leases;

impl Resource for Leases {
    type Object = Lease;

    const NAMES: Names = Names { plural: "leases", singular: "lease", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const CREATES_ON_UPDATE: bool = true;
    const DURABILITY: Durability = Durability::Relaxed;

    fn validate(lease: &Lease) -> Vec<FieldError> {
        let Some(spec) = &lease.spec else { return Vec::new() };
        let path = Path::new("spec");
        let mut faults = Vec::new();
        if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
            let path = path.child("leaseDurationSeconds");
            faults.push(FieldError::invalid(path, seconds, "must be greater than 0"));
        }
        if let Some(transitions) = spec.lease_transitions.filter(|count| *count < 0) {
            let path = path.child("leaseTransitions");
            let detail = "must be greater than or equal to 0";
            faults.push(FieldError::invalid(path, transitions, detail));
        }
        if spec.holder_identity.as_deref() == Some("") {
            faults.push(FieldError::invalid(path.child("holderIdentity"), "", "must not be empty"));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, column("Holder", "Who holds the lease."), AGE];
        COLUMNS
    }

    fn row(lease: &Lease, now: Timestamp) -> Vec<Value> {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        vec![
            print::name(&lease.metadata),
            holder.unwrap_or_default().into(),
            print::age(&lease.metadata, now),
        ]
    }
}
