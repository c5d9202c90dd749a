//! Gives each Pod a node.
//!
//! Enter by [`run`]. Decisions ([`filters`], [`scores`], [`ledger`]) are pure functions of Pod and
//! nodes; `run` feeds them from the caches and writes bindings.
//!
//! ```text
//! pending -> attempt -> bound                        (POST pods/binding, Event Scheduled)
//!              |  ^
//!              v  | a node or a claim changed, or a Pod made room
//!            waiting                                  (PodScheduled=False, Event FailedScheduling;
//!                                                      or its claims are being prepared, and nothing is said)
//! ```
//!
//! Not here yet: affinity between Pods, topology spread and preemption; a Pod that asks for the
//! first two is scheduled without them, and an Event says so.
//!
//! Upstream: `pkg/scheduler`.

mod claims;
mod decide;
mod filters;
mod ledger;
mod ports;
mod requests;
mod run;
mod scores;

pub(crate) use run::{Rooms, run};
