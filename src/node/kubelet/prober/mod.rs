//! Asks containers whether they have started, are ready and are alive, as their probes say.
//!
//! Enter by [`Prober::new`], one for a Pod; tell it of containers by [`Prober::began`] and
//! [`Prober::ended`], and poll [`Prober::news`].
//!
//! ```text
//!           began                 due                    answered, threshold reached
//! nobody ─────────> waiting ─────────────> asking ──────────────────────────────────> News
//!    ^                ^  (startup first;      │
//!    │ ended          │   then the others)    ├─ not yet, or as before ──> waiting
//!    │                └───────────────────────┘
//!    └── on hold <── startup or liveness failed: until another run begins
//!
//! pod (IO: when, Events) ─> worker (one probe's state, pure)
//!    └─> ask (one question: turn, time-out, retries) ─> exec | http_get | tcp | grpc ─> dial
//! ```
//!
//! All of a Pod's probes live in its task: there is no task or thread of their own.
//!
//! Upstream: `pkg/kubelet/prober`, `pkg/probe`.

mod ask;
mod container;
mod dial;
mod exec;
mod grpc;
mod http_get;
mod pod;
mod tcp;
mod tls;
mod wire;
mod words;
mod worker;

#[cfg(test)]
mod handler_tests;
#[cfg(test)]
mod worker_tests;

pub(super) use ask::PROBES_AT_ONCE_MAX;
pub(super) use container::News;
pub(super) use http_get::hook;
pub(super) use pod::Prober;
