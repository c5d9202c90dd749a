//! Services: what their addresses, ports and names lead to; and Pods' ports on the host.
//!
//! Enter by [`Proxy::start`]. The room reads Services, EndpointSlices and Pods, and writes no object but a
//! load balancer's status and the replicas of who sleeps; what it decides goes into `node::network`'s tables, and onto ports of the
//! host.
//!
//! ```text
//! Service, EndpointSlices ── plan (pure) ──> tables: who claims what ──┬─> Network::routes
//!        (sync: keys that changed, all at once)                        ├─> Network::names
//!                                                                      └─> host: listening sockets
//! Pod with hostPorts ── host_ports (pure) ──┘                               ▲
//!                                        dns, at the node's own Pod address ┘
//! Service of type LoadBalancer ── load_balancer ──> status (and by it a plan again)
//! Deployment that may sleep ── activation ──> Network::bells; replicas, when one rings or all is quiet
//! ```
//!
//! Upstream: `pkg/proxy`, `k8s.io/cloud-provider/controllers/service`; for names the specification
//! `kubernetes/dns/docs/specification.md`.

mod activation;
mod claims;
mod dns;
mod endpoints;
mod host;
mod host_ports;
mod load_balancer;
mod names;
mod plan;
mod policies;
mod references;
mod start;
mod sync;

#[cfg(test)]
mod tests;

pub(crate) use start::{Config, Proxy, Rooms};
