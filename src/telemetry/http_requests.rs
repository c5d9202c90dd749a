//! Requests to containers that serve wasi:http, counted.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;
use super::durations::Durations;

/// What a status means, by its first digit.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// One container's requests. Cheap to clone; counting is a few atomic additions.
#[derive(Debug, Clone, Default)]
pub struct HttpRequests {
    by_class: [Counter; CLASSES.len()],
    durations: Durations,
}

/// Where a container's requests are counted, if it serves any. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpServer {
    pub(super) metrics: Metrics,
    pub(super) labels: Labels,
}

/// Those of all containers that serve.
#[derive(Default)]
pub(super) struct Families {
    requests: Family<LabelsOfClass, Counter>,
    durations: Family<Labels, Durations>,
}

/// Bound: one set per container that serves, while its Pod is here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Labels {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LabelsOfClass {
    namespace: String,
    pod: String,
    container: String,
    code: &'static str,
}

impl HttpServer {
    /// Shown from now on.
    pub fn requests(&self) -> HttpRequests {
        self.metrics.http_requests(&self.labels)
    }
}

impl HttpRequests {
    /// One was answered with this status, so long after its head had come.
    pub fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.by_class[class].inc();
        self.durations.observe(took);
    }
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        registry.register(
            "http_requests",
            "Requests that a container has answered, by the class of the status",
            families.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "From the head of a request to a container until the head of its answer",
            Unit::Seconds,
            families.durations.clone(),
        );
        families
    }

    pub(super) fn of(&self, container: &Labels) -> HttpRequests {
        let counter = |class| self.requests.get_or_create_owned(&container.of_class(class));
        HttpRequests {
            by_class: CLASSES.map(counter),
            durations: self.durations.get_or_create_owned(container),
        }
    }

    pub(super) fn forget(&self, container: &Labels) {
        self.durations.remove(container);
        for class in CLASSES {
            self.requests.remove(&container.of_class(class));
        }
    }
}

impl Labels {
    fn of_class(&self, code: &'static str) -> LabelsOfClass {
        let Self { namespace, pod, container } = self.clone();
        LabelsOfClass { namespace, pod, container, code }
    }
}
