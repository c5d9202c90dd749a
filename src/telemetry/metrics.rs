//! What can be counted, for GET /metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// OpenMetrics' own.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds: a Pod starts in milliseconds, a first compilation takes a second or two.
const COLD_START_BUCKETS: [f64; 14] =
    [0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// All metrics of a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    cold_starts: Family<Service, Histogram, fn() -> Histogram>,
}

/// Labels. Bound: one set per Service that sleeps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Service {
    namespace: String,
    service: String,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("sampan");
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The version that runs", Info::new(version));
        let histogram: fn() -> Histogram = || Histogram::new(COLD_START_BUCKETS);
        let cold_starts = Family::new_with_constructor(histogram);
        registry.register_with_unit(
            "service_cold_start",
            "From the first connection to a Service that slept until a Pod had it",
            Unit::Seconds,
            cold_starts.clone(),
        );
        Self(Arc::new(Inner { registry, cold_starts }))
    }

    /// A Service was woken by a connection, and this is how long that connection waited for its Pod.
    pub fn cold_start(&self, namespace: &str, service: &str, waited: Duration) {
        let labels = Service { namespace: namespace.to_owned(), service: service.to_owned() };
        self.0.cold_starts.get_or_create(&labels).observe(waited.as_secs_f64());
    }

    /// In OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Fails only if a String could not be written to.
        let _ = text::encode(&mut text, &self.0.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cold_starts_are_counted_by_service() {
        let metrics = Metrics::new();
        metrics.cold_start("default", "web", Duration::from_millis(4));
        metrics.cold_start("default", "web", Duration::from_millis(40));
        let text = metrics.text();
        let has = |line: &str| text.lines().any(|found| found == line);
        assert!(
            has(r#"sampan_service_cold_start_seconds_count{namespace="default",service="web"} 2"#),
            "{text}"
        );
        assert!(
            has(
                r#"sampan_service_cold_start_seconds_bucket{le="0.005",namespace="default",service="web"} 1"#
            ),
            "{text}"
        );
        assert!(has("# EOF"));
    }
}
