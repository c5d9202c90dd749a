//! Puts the node's rooms together and takes them apart in order.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{self, Stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::client::ApiClient;
use crate::client::cache::Cache;
use crate::client::clock::{Clock, Ids};
use crate::client::node_api::NodeApi;
use crate::node::images::{self, Images};
use crate::node::ingress;
use crate::node::kubelet::{self, Kubelet};
use crate::node::network::{self, Network};
use crate::node::proxy::{self, Proxy};
use crate::node::runtime::{self, Runtime};
use crate::node::volumes::{self, Volumes};
use crate::telemetry::{ComponentLogs, Metrics};

#[derive(Debug, Clone)]
pub struct Config {
    /// The Node object's name: `sampan`, or `sampan-N`; never the host's name.
    pub name: String,
    /// Where the node is reached (`--node-address`): its InternalIP and the Pods' hostIP.
    pub address: IpAddr,
    /// Amounts by resource name that the node says it has in place of the host's.
    pub capacity: BTreeMap<String, Quantity>,
    /// `DIR/pods`: one directory per Pod, by uid.
    pub pods_directory: PathBuf,
    /// `DIR/volumes`: one directory per persistent volume that the cluster itself made.
    pub volumes_directory: PathBuf,
    /// `--allow-host-path`: directories that `hostPath` volumes may be in; absolute.
    pub allowed_host_directories: Vec<PathBuf>,
    pub images: images::Config,
    pub ingress: ingress::Config,
    pub network: network::Config,
    pub runtime: runtime::Config,
    /// What the components say, for `kubectl logs`; empty ones will do.
    pub component_logs: ComponentLogs,
    pub metrics: Metrics,
}

/// What the node reads of the cluster; handed over by `cluster.rs`.
#[derive(Debug, Clone)]
pub struct Caches {
    pub pods: Cache<Pod>,
    pub config_maps: Cache<ConfigMap>,
    pub secrets: Cache<Secret>,
    pub services: Cache<Service>,
    pub ingresses: Cache<Ingress>,
    pub ingress_classes: Cache<IngressClass>,
    pub endpoint_slices: Cache<EndpointSlice>,
    pub deployments: Cache<Deployment>,
    pub namespaces: Cache<Namespace>,
    pub network_policies: Cache<NetworkPolicy>,
    pub persistent_volumes: Cache<PersistentVolume>,
    pub persistent_volume_claims: Cache<PersistentVolumeClaim>,
}

/// Whom the node's components speak for to the API server.
#[derive(Clone)]
pub struct Clients {
    /// `system:node:NAME`
    pub kubelet: ApiClient,
    /// `system:kube-proxy`
    pub proxy: ApiClient,
    /// The ServiceAccount `ingress-controller` in kube-system.
    pub ingress: ApiClient,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    ingress: ingress::Door,
    kubelet: Arc<Kubelet>,
    proxy: Proxy,
    runtime: Runtime,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("make the directory for Pods {path}")]
    Directory {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("prepare the WebAssembly runtime")]
    Runtime(#[source] runtime::StartError),
}

impl Node {
    /// Registers the node, takes up its Pods and opens the Services' doors. Returns at once;
    /// [`Node::ready`] waits for the registration.
    ///
    /// # Errors
    /// If the runtime cannot be set up or the Pods' directory cannot be made.
    pub fn start(
        config: Config,
        clients: Clients,
        caches: Caches,
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(&config.pods_directory)
            .map_err(|source| Error::Directory { path: config.pods_directory.clone(), source })?;
        let runtime =
            Runtime::new(config.runtime.clone(), clock.clone()).map_err(Error::Runtime)?;
        let network = Network::new(config.network, clock.clone());
        let proxy = proxy::Rooms {
            client: clients.proxy,
            services: caches.services.clone(),
            endpoint_slices: caches.endpoint_slices,
            pods: caches.pods.clone(),
            deployments: caches.deployments,
            namespaces: caches.namespaces,
            network_policies: caches.network_policies,
            metrics: config.metrics.clone(),
            network: network.clone(),
            clock: clock.clone(),
        };
        let proxy_config = proxy::Config { node: config.name.clone(), address: config.address };
        let proxy = Proxy::start(proxy_config, proxy);
        let ingress = ingress::Rooms {
            node: config.name.clone(),
            node_address: config.address,
            client: clients.ingress,
            ingresses: caches.ingresses,
            classes: caches.ingress_classes,
            services: caches.services.clone(),
            secrets: caches.secrets.clone(),
            network: network.clone(),
            clock: clock.clone(),
        };
        let ingress = ingress::Door::start(config.ingress, ingress);
        let volumes_config = volumes::Config {
            directory: config.volumes_directory.clone(),
            allowed_directories: config.allowed_host_directories,
        };
        let images = Images::new(config.images);
        let volumes = volumes::Rooms {
            client: clients.kubelet.clone(),
            config_maps: caches.config_maps.clone(),
            secrets: caches.secrets.clone(),
            claims: caches.persistent_volume_claims,
            persistent_volumes: caches.persistent_volumes.clone(),
            images: images.clone(),
            clock: clock.clone(),
        };
        let rooms = kubelet::Rooms {
            client: clients.kubelet,
            pods: caches.pods,
            config_maps: caches.config_maps,
            secrets: caches.secrets,
            services: caches.services,
            persistent_volumes: caches.persistent_volumes,
            images,
            network,
            runtime: runtime.clone(),
            volumes: Volumes::new(volumes_config, volumes),
            component_logs: config.component_logs,
            metrics: config.metrics,
            clock,
            ids,
        };
        let config = kubelet::Config {
            node: config.name,
            address: config.address,
            capacity: config.capacity,
            pods_directory: config.pods_directory,
            volumes_directory: config.volumes_directory,
        };
        Ok(Self { ingress, kubelet: Kubelet::start(config, rooms), proxy, runtime })
    }

    /// The door for logs, exec and attach.
    pub fn api(&self) -> Arc<dyn NodeApi> {
        self.kubelet.clone()
    }

    /// Connections that Pods open to a port of the node's own address in their network, the first one
    /// there: where the API server is to them.
    ///
    /// # Errors
    /// [`network::Error::AddressInUse`]
    pub fn connections(
        &self,
        port: u16,
    ) -> Result<impl Stream<Item = network::Stream> + Send + use<>, network::Error> {
        let gateway = self.proxy.gateway();
        let listener = gateway.listen(SocketAddr::new(gateway.address().into(), port))?;
        Ok(stream::unfold(listener, |listener| async {
            listener.accept().await.ok().map(|connection| (connection, listener))
        }))
    }

    /// Waits until the API server has acknowledged the Node object and its Ready condition.
    pub async fn ready(&self) {
        self.kubelet.ready().await;
    }

    /// Ends all guests and tasks. Writes no terminal status: stopping sampan is not a container's
    /// exit, and the Pods go on at the next start.
    pub async fn shutdown(&self) {
        self.ingress.shutdown().await;
        self.proxy.shutdown().await;
        self.kubelet.shutdown().await;
        self.runtime.shutdown().await;
    }
}
