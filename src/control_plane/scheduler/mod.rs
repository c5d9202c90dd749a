//! Gives each Pod a node.
//!
//! Enter by [`run`]. Decisions ([`filters`], [`scores`], [`preempt`], [`ledger`]) are pure functions of Pod
//! and nodes; `run` feeds them from the caches and writes bindings. The more important go first.
//!
//! ```text
//! pending -> attempt -> bound                        (POST pods/binding, Event Scheduled)
//!              |  ^
//!              v  | a node or a claim changed, or a Pod made room
//!            waiting                                  (PodScheduled=False, Event FailedScheduling;
//!                                                      others are sent away, and it is nominated;
//!                                                      or its claims are being prepared, and nothing is said)
//! ```
//!
//! Upstream: `pkg/scheduler`.

mod claims;
mod decide;
mod filters;
mod ledger;
mod pod_affinity;
mod ports;
mod preempt;
mod run;
mod scores;
mod spread;
mod writes;

pub(crate) use run::{Rooms, run};
