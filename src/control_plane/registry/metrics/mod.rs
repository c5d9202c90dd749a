//! The kinds of `metrics.k8s.io`: what nodes and Pods use; measured when they are asked for, never
//! stored. k8s-openapi has no types for them.
//!
//! Upstream: `k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go`, metrics-server's `pkg/api`.

mod node_metrics;
mod pod_metrics;
mod usage;

pub(crate) use node_metrics::{NodeMetrics, NodeMetricsObjects};
pub(crate) use pod_metrics::{PodMetrics, PodMetricsObjects};

use super::{Column, Names, Verb};

const GROUP: &str = "metrics.k8s.io";
const VERSION: &str = "v1beta1";
const API_VERSION: &str = "metrics.k8s.io/v1beta1";
const VERBS: &[Verb] = &["get", "list"];

/// They are named after what is measured, and have no singular, as metrics-server's.
const fn names(plural: &'static str) -> Names {
    Names { plural, singular: "", short: &[], categories: &[] }
}

const fn column(name: &'static str, format: &'static str) -> Column {
    Column { name, type_: "string", format, description: "", priority: 0 }
}

const COLUMNS: &[Column] = &[
    super::print::NAME,
    column("cpu", "quantity"),
    column("memory", "quantity"),
    column("Window", "duration"),
];
