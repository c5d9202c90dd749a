//! Tracing set-up.
//!
//! Enter by [`init`], once per process.

use std::io;

use tracing_subscriber::EnvFilter;

/// Sends events to stderr: warnings and errors, or what `filter` (`SAMPAN_LOG`) asks for.
pub fn init(filter: Option<&str>) {
    let filter =
        EnvFilter::try_new(filter.unwrap_or("warn")).unwrap_or_else(|_| EnvFilter::new("warn"));
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(true);
    // A second call in one process (tests) keeps the first subscriber.
    let _ = subscriber.try_init();
}
