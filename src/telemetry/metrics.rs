//! What can be counted, for GET /metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::connections::{self, Labels as Service, ServiceConnections};
use super::http_requests::{self, HttpRequests, HttpServer, Labels as Container};

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
    connections: connections::Families,
    http_requests: http_requests::Families,
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
        let connections = connections::Families::register(&mut registry);
        let http_requests = http_requests::Families::register(&mut registry);
        Self(Arc::new(Inner { registry, cold_starts, connections, http_requests }))
    }

    /// A Service was woken by a connection, and this is how long that connection waited for its Pod.
    pub fn cold_start(&self, namespace: &str, service: &str, waited: Duration) {
        let labels = labels(namespace, service);
        self.0.cold_starts.get_or_create(&labels).observe(waited.as_secs_f64());
    }

    /// Where a Service's connections are counted.
    pub fn service_connections(&self, namespace: &str, service: &str) -> ServiceConnections {
        self.0.connections.of(&labels(namespace, service))
    }

    /// The Service is gone.
    pub fn forget_service(&self, namespace: &str, service: &str) {
        let labels = labels(namespace, service);
        self.0.connections.forget(&labels);
        self.0.cold_starts.remove(&labels);
    }

    /// Where a container's requests are counted, if it serves any.
    pub fn http_server(&self, namespace: &str, pod: &str, container: &str) -> HttpServer {
        let (namespace, pod) = (namespace.to_owned(), pod.to_owned());
        let labels = Container { namespace, pod, container: container.to_owned() };
        HttpServer { metrics: self.clone(), labels }
    }

    /// The server's Pod is gone.
    pub fn forget_http_server(&self, server: &HttpServer) {
        self.0.http_requests.forget(&server.labels);
    }

    pub(super) fn http_requests(&self, container: &Container) -> HttpRequests {
        self.0.http_requests.of(container)
    }

    /// In OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Fails only if a String could not be written to.
        let _ = text::encode(&mut text, &self.0.registry);
        text
    }
}

fn labels(namespace: &str, service: &str) -> Service {
    Service { namespace: namespace.to_owned(), service: service.to_owned() }
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

    /// The values of those metrics whose names begin so.
    fn values(metrics: &Metrics, name: &str) -> Vec<String> {
        let text = metrics.text();
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn connections_are_counted_while_their_service_is_there() {
        let metrics = Metrics::new();
        let web = metrics.service_connections("default", "web");
        let open = web.open();
        web.taken();
        web.taken();
        web.refused();
        let labels = r#"{namespace="default",service="web"}"#;
        let name = "sampan_service_connections";
        let expect = [
            format!("{name}_total{labels} 2"),
            format!("{name}_refused_total{labels} 1"),
            format!("{name}_open{labels} 1"),
        ];
        assert_eq!(values(&metrics, name), expect);
        drop(open);
        assert_eq!(
            values(&metrics, "sampan_service_connections_open"),
            [format!("{name}_open{labels} 0")]
        );
        metrics.forget_service("default", "web");
        assert!(values(&metrics, name).is_empty());
    }

    #[test]
    fn requests_are_counted_by_class_and_by_duration() {
        let metrics = Metrics::new();
        let server = metrics.http_server("default", "web-1", "main");
        assert!(values(&metrics, "sampan_http").is_empty());
        let requests = server.requests();
        requests.answered(200, Duration::from_micros(300));
        requests.answered(204, Duration::from_millis(3));
        requests.answered(503, Duration::from_secs(20));
        let labels = r#"namespace="default",pod="web-1",container="main""#;
        let counted = values(&metrics, "sampan_http_requests_total");
        for (class, count) in [("1xx", 0), ("2xx", 2), ("3xx", 0), ("4xx", 0), ("5xx", 1)] {
            let line = format!("sampan_http_requests_total{{{labels},code=\"{class}\"}} {count}");
            assert!(counted.contains(&line), "{line}: {counted:#?}");
        }
        let name = "sampan_http_request_duration_seconds";
        let buckets = values(&metrics, name);
        for line in [
            format!("{name}_sum{{{labels}}} 20.0033"),
            format!("{name}_count{{{labels}}} 3"),
            format!("{name}_bucket{{le=\"0.00025\",{labels}}} 0"),
            format!("{name}_bucket{{le=\"0.0005\",{labels}}} 1"),
            format!("{name}_bucket{{le=\"10.0\",{labels}}} 2"),
            format!("{name}_bucket{{le=\"+Inf\",{labels}}} 3"),
        ] {
            assert!(buckets.contains(&line), "{line}: {buckets:#?}");
        }
        metrics.forget_http_server(&server);
        assert!(values(&metrics, "sampan_http").is_empty());
    }
}
