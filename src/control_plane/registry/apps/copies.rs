//! What ReplicaSets and ReplicationControllers have in common: so many copies of one Pod.
//!
//! Upstream: `ValidateReplicaSetStatus` in `pkg/apis/apps/validation/validation.go`,
//! `printReplicaSet` in `pkg/printers/internalversion/printers.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::workload::{self, Counts, not_negative};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::Column;
use crate::control_plane::registry::core::pod::template::{self, CONTAINERS, IMAGES};
use crate::control_plane::registry::print::{self, AGE, NAME, number, wide};

/// What the status counts.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::control_plane::registry) struct Observed {
    pub(in crate::control_plane::registry) replicas: i32,
    pub(in crate::control_plane::registry) fully_labeled: Option<i32>,
    pub(in crate::control_plane::registry) ready: Option<i32>,
    pub(in crate::control_plane::registry) available: Option<i32>,
    pub(in crate::control_plane::registry) generation: Option<i64>,
}

impl Observed {
    pub(in crate::control_plane::registry) fn validate(&self) -> Vec<FieldError> {
        let path = Path::new("status");
        let counts = Counts {
            replicas: self.replicas,
            parts: vec![("fullyLabeledReplicas", self.fully_labeled)],
            ready: self.ready,
            available: self.available,
        };
        let mut faults = counts.validate(&path);
        faults.extend(not_negative(path.child("observedGeneration"), self.generation));
        faults
    }
}

pub(in crate::control_plane::registry) fn columns() -> &'static [Column] {
    const COLUMNS: &[Column] = &[
        NAME,
        number("Desired", "How many Pods are asked for."),
        number("Current", "How many Pods there are."),
        number("Ready", "How many Pods are ready."),
        AGE,
        CONTAINERS,
        IMAGES,
        wide("Selector", "The labels by which it finds its Pods."),
    ];
    COLUMNS
}

pub(in crate::control_plane::registry) fn row(
    meta: &ObjectMeta,
    wanted: Option<i32>,
    observed: Observed,
    of: Option<&PodTemplateSpec>,
    selector: String,
    now: Timestamp,
) -> Vec<Value> {
    let [names, images] = template::cells(of);
    vec![
        print::name(meta),
        workload::count(wanted),
        workload::count(Some(observed.replicas)),
        workload::count(observed.ready),
        print::age(meta, now),
        names,
        images,
        selector.into(),
    ]
}
