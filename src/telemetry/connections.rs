//! Services' TCP connections, counted.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// One Service's connections. Cheap to clone; counting is an atomic addition.
#[derive(Debug, Clone, Default)]
pub struct ServiceConnections {
    taken: Counter,
    refused: Counter,
    open: Gauge,
}

/// A connection of a Service's; it is over when this is dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

/// Those of all Services.
#[derive(Default)]
pub(super) struct Families {
    taken: Family<Labels, Counter>,
    refused: Family<Labels, Counter>,
    open: Family<Labels, Gauge>,
}

/// Bound: one set per Service, while it exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Labels {
    pub(super) namespace: String,
    pub(super) service: String,
}

impl ServiceConnections {
    /// An endpoint has taken one.
    pub fn taken(&self) {
        self.taken.inc();
    }

    /// No endpoint took it.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// One is open from now on.
    pub fn open(&self) -> OpenConnection {
        self.open.inc();
        OpenConnection(self.open.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        registry.register(
            "service_connections",
            "TCP connections to a Service that an endpoint has taken",
            families.taken.clone(),
        );
        registry.register(
            "service_connections_refused",
            "TCP connections to a Service that no endpoint took",
            families.refused.clone(),
        );
        registry.register(
            "service_connections_open",
            "TCP connections to a Service that are open now",
            families.open.clone(),
        );
        families
    }

    pub(super) fn of(&self, service: &Labels) -> ServiceConnections {
        ServiceConnections {
            taken: self.taken.get_or_create_owned(service),
            refused: self.refused.get_or_create_owned(service),
            open: self.open.get_or_create_owned(service),
        }
    }

    pub(super) fn forget(&self, service: &Labels) {
        self.taken.remove(service);
        self.refused.remove(service);
        self.open.remove(service);
    }
}
