//! Whether a Pod and a node suit each other: what the scheduler asks before it places a Pod, and what
//! controllers ask that keep Pods on nodes.

pub mod affinity;
pub mod taints;
