//! Tracing set-up: what the components say goes to stderr, and into memory for `kubectl logs`; and
//! what is counted, for `GET /metrics`.
//!
//! Enter by [`init`], once per process. [`ComponentLogs`] is where the components' events are read.

mod connections;
mod durations;
mod http_requests;
mod layer;
mod logs;
pub mod metrics;

use std::io;

use jiff::Timestamp;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use connections::{OpenConnection, ServiceConnections};
pub use http_requests::{HttpRequests, HttpServer};
pub use logs::{ComponentLog, ComponentLogs, Line};
pub use metrics::Metrics;

/// Sends events to stderr: warnings and errors, or what `filter` (`SAMPAN_LOG`) asks for. Whatever
/// that is, events of level INFO and above are kept per component in the answer, at the time that
/// `now` tells.
pub fn init(
    filter: Option<&str>,
    now: impl Fn() -> Timestamp + Send + Sync + 'static,
) -> ComponentLogs {
    let filter =
        EnvFilter::try_new(filter.unwrap_or("warn")).unwrap_or_else(|_| EnvFilter::new("warn"));
    let stderr = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(true);
    let logs = ComponentLogs::default();
    let subscriber = tracing_subscriber::registry()
        .with(stderr.with_filter(filter))
        .with(layer::layer(logs.clone(), now));
    // A second call in one process (tests) keeps the first subscriber.
    let _ = subscriber.try_init();
    logs
}
