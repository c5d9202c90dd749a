//! Tells the cluster that this node is there, what it has, and that it lives.
//!
//! Enter by [`run`]: it registers the Node, keeps its conditions, and renews its Lease.
//!
//! Upstream: `pkg/kubelet/kubelet_node_status.go`, `pkg/kubelet/nodestatus/setters.go`,
//! `k8s.io/component-helpers/apimachinery/lease`.

mod host;
mod node;
mod task;

pub(super) use node::allocatable;
pub(super) use task::run;
