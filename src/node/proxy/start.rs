//! The proxy's life.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::host::Host;
use super::plan::Site;
use super::{activation, dns, load_balancer, policies, sync};
use crate::client::ApiClient;
use crate::client::cache::Cache;
use crate::client::clock::Clock;
use crate::client::events::{self, Recorder};
use crate::node::network::{Member, Network, PodNetwork, Resolver};
use crate::telemetry::Metrics;

#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The Node object's name.
    pub(crate) node: String,
    /// Where NodePorts and load balancers listen.
    pub(crate) address: IpAddr,
}

/// What the proxy is handed to work with.
pub(crate) struct Rooms {
    /// Speaks for `system:kube-proxy`.
    pub(crate) client: ApiClient,
    pub(crate) services: Cache<Service>,
    pub(crate) endpoint_slices: Cache<EndpointSlice>,
    pub(crate) pods: Cache<Pod>,
    pub(crate) deployments: Cache<Deployment>,
    pub(crate) namespaces: Cache<Namespace>,
    pub(crate) network_policies: Cache<NetworkPolicy>,
    pub(crate) network: Network,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

/// What all of the proxy's tasks share.
pub(super) struct Context {
    pub(super) site: Site,
    pub(super) rooms: Rooms,
    /// The node's own place on the Pod network, at the network's first address.
    pub(super) gateway: PodNetwork,
    pub(super) recorder: Recorder,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// A running proxy.
pub(crate) struct Proxy {
    ctx: Arc<Context>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("site", &self.ctx.site).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Follows the Services until shutdown. Must be called on a tokio runtime.
    pub(crate) fn start(config: Config, rooms: Rooms) -> Self {
        let source =
            events::Source { component: "kube-proxy".to_owned(), host: Some(config.node.clone()) };
        let (recorder, writer) =
            events::recorder(rooms.client.clone(), rooms.clock.clone(), source);
        let site = Site {
            node: config.node.clone(),
            node_address: config.address,
            cluster_domain: rooms.network.config().cluster_domain.clone(),
        };
        let gateway = join(&rooms.network, config.node);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let ctx = Arc::new(Context { site, rooms, gateway, recorder, tasks, stop });
        ctx.tasks.spawn(writer.run(ctx.stop.clone()));
        ctx.tasks.spawn(sync::run(ctx.clone(), Host::new(ctx.clone())));
        ctx.tasks.spawn(load_balancer::run(ctx.clone()));
        ctx.tasks.spawn(activation::run(ctx.clone()));
        ctx.tasks.spawn(dns::serve(ctx.clone()));
        ctx.tasks.spawn(policies::run(ctx.clone()));
        Self { ctx }
    }

    /// The node's own place on the Pod network.
    pub(crate) fn gateway(&self) -> &PodNetwork {
        &self.ctx.gateway
    }

    /// Closes all ports of the host and ends all tasks.
    pub(crate) async fn shutdown(&self) {
        self.ctx.stop.cancel();
        self.ctx.gateway.leave();
        self.ctx.tasks.close();
        self.ctx.tasks.wait().await;
    }
}

/// The node is on the Pod network, too, as the gateway that bridges have: there the cluster's own
/// servers listen.
fn join(network: &Network, node: String) -> PodNetwork {
    let first = network.config().pods.network().to_bits() + 1;
    network.join(Member {
        address: Ipv4Addr::from_bits(first),
        namespace: String::new(),
        name: node,
        resolver: Resolver::default(),
    })
}
