//! The kinds of `policy`: how many Pods may be taken away at a time, and the asking for it.

mod eviction;
mod pod_disruption_budget;

pub(crate) use eviction::Evictions;
pub(super) use pod_disruption_budget::PodDisruptionBudgets;
