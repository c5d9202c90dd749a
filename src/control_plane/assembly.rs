//! Puts the wing's rooms together and takes them apart in order.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ServiceAccount,
};
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassSpec};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{ObjectMeta, PostParams};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::apiserver::{self, ApiServer, TlsError};
use super::auth::Identity;
use super::auth::pki::Pki;
use super::auth::tokens::{BadKey, Tokens};
use super::cluster_roles;
use super::controllers::{self, ClusterServices};
use super::priority_classes;
use super::registry::{KubeObject, ServiceRanges};
use super::scheduler;
use super::storage::{self, Storage};
use super::storage_classes;
use crate::api::object::ObjectKey;
use crate::client::ApiClient;
use crate::client::cache::{Cache, Cached};
use crate::client::clock::{Clock, Ids};
use crate::client::node_api::NodeApi;
use crate::telemetry::Metrics;

/// What the control plane is built from.
pub struct Rooms {
    pub storage: Arc<dyn Storage>,
    pub pki: Pki,
    pub clock: Clock,
    pub ids: Ids,
    /// What Services draw from.
    pub ranges: ServiceRanges,
    /// Where the node answers Pods: its own address in their network, for the API server and DNS.
    pub served_at: Ipv4Addr,
    /// `DIR/volumes`: where the node keeps what is written to volumes of ours.
    pub volumes_directory: PathBuf,
    pub metrics: Metrics,
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").finish_non_exhaustive()
    }
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    apiserver: ApiServer,
    pki: Pki,
    config_maps: Cache<ConfigMap>,
    service_accounts: Cache<ServiceAccount>,
    pods: Cache<Pod>,
    /// Scheduler and controllers.
    components: TaskTracker,
    stop: CancellationToken,
    /// What would only slow the start waits for it.
    started: Arc<Notify>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the state of the cluster")]
    Storage(#[source] storage::Error),
    #[error("read the key that signs tokens")]
    TokenKey(#[source] BadKey),
    #[error("serve over TLS")]
    Tls(#[source] TlsError),
    #[error("make the IngressClass {INGRESS_CLASS}")]
    IngressClass(#[source] Box<kube::Error>),
    #[error("make the cluster's PriorityClasses")]
    PriorityClasses(#[source] Box<kube::Error>),
    #[error("make the cluster's StorageClasses")]
    StorageClasses(#[source] Box<kube::Error>),
    #[error("make the cluster's own Services")]
    Services(#[source] Box<kube::Error>),
    #[error("make the namespace {namespace}")]
    Bootstrap {
        namespace: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
}

/// The namespaces that every cluster has and nobody may delete.
const NAMESPACES: &[&str] = &["default", "kube-node-lease", "kube-public", "kube-system"];

impl ControlPlane {
    /// Makes the objects every cluster has (the namespaces default, kube-system, kube-public and
    /// kube-node-lease, the Services kubernetes and kube-dns, the classes of Ingresses, of storage and of
    /// priority) and starts scheduler and controllers. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn start(rooms: Rooms) -> Result<Self, Error> {
        let tokens = Tokens::new(&rooms.pki.token_key).map_err(Error::TokenKey)?;
        let cluster_services = Arc::new(ClusterServices::new(&rooms.ranges, rooms.served_at));
        let apiserver = ApiServer::new(apiserver::Rooms {
            storage: rooms.storage,
            tokens,
            clock: rooms.clock.clone(),
            ids: rooms.ids,
            ranges: rooms.ranges,
            metrics: rooms.metrics,
        });
        apiserver.follow_roles().await.map_err(Error::Storage)?;
        bootstrap(&apiserver).await?;
        ingress_class(&apiserver).await?;
        let made = priority_classes::ensure(apiserver.client(Identity::apiserver()).kube()).await;
        made.map_err(|source| Error::PriorityClasses(Box::new(source)))?;
        let made = storage_classes::ensure(apiserver.client(Identity::apiserver()).kube()).await;
        made.map_err(|source| Error::StorageClasses(Box::new(source)))?;
        let made = cluster_services.ensure(&apiserver.client(Identity::apiserver())).await;
        made.map_err(|source| Error::Services(Box::new(source)))?;
        let control_plane = Self {
            config_maps: apiserver.cache().await.map_err(Error::Storage)?,
            service_accounts: apiserver.cache().await.map_err(Error::Storage)?,
            pods: apiserver.cache().await.map_err(Error::Storage)?,
            apiserver,
            pki: rooms.pki,
            components: TaskTracker::new(),
            stop: CancellationToken::new(),
            started: Arc::default(),
        };
        let volumes_directory = rooms.volumes_directory;
        let clock = rooms.clock.clone();
        control_plane.start_components(rooms.clock, cluster_services, volumes_directory).await?;
        control_plane.apiserver.set_ready();
        let caches = cluster_roles::Caches {
            roles: control_plane.cache().await?,
            bindings: control_plane.cache().await?,
        };
        let client = control_plane.client(Identity::apiserver()).kube();
        let (stop, started) = (control_plane.stop.clone(), Arc::clone(&control_plane.started));
        control_plane.components.spawn(async move {
            stop.run_until_cancelled(started.notified()).await;
            cluster_roles::ensure(client, caches, clock, stop).await;
        });
        Ok(control_plane)
    }

    async fn start_components(
        &self,
        clock: Clock,
        cluster_services: Arc<ClusterServices>,
        volumes_directory: PathBuf,
    ) -> Result<(), Error> {
        let claims: Cache<PersistentVolumeClaim> = self.cache().await?;
        let volumes: Cache<PersistentVolume> = self.cache().await?;
        let storage_classes: Cache<StorageClass> = self.cache().await?;
        let namespaces: Cache<Namespace> = self.cache().await?;
        let nodes: Cache<Node> = self.cache().await?;
        let budgets: Cache<PodDisruptionBudget> = self.cache().await?;
        let scheduler = scheduler::Rooms {
            client: self.client(Identity::scheduler()),
            pods: self.pods.clone(),
            nodes: nodes.clone(),
            namespaces: namespaces.clone(),
            claims: claims.clone(),
            volumes: volumes.clone(),
            storage_classes: storage_classes.clone(),
            budgets: budgets.clone(),
            clock: clock.clone(),
        };
        self.components.spawn(scheduler::run(scheduler, self.stop.clone()));
        let caches = controllers::Caches {
            autoscalers: self.cache().await?,
            certificate_requests: self.cache().await?,
            claims,
            cluster_roles: self.cache().await?,
            config_maps: self.config_maps.clone(),
            controller_revisions: self.cache().await?,
            daemon_sets: self.cache().await?,
            cron_jobs: self.cache().await?,
            deployments: self.cache().await?,
            disruption_budgets: budgets,
            endpoint_slices: self.cache().await?,
            endpoints: self.cache().await?,
            jobs: self.cache().await?,
            leases: self.cache().await?,
            namespaces,
            nodes,
            owners: self.apiserver.owners().await.map_err(Error::Storage)?,
            pods: self.pods.clone(),
            quotas: self.cache().await?,
            replica_sets: self.cache().await?,
            replication_controllers: self.cache().await?,
            service_accounts: self.service_accounts.clone(),
            services: self.cache().await?,
            stateful_sets: self.cache().await?,
            storage_classes,
            volumes,
        };
        let apiserver = self.apiserver.clone();
        let client_of = move |name: &str| apiserver.client(Identity::controller(name));
        let stop = self.stop.clone();
        let root_ca = Arc::from(self.pki.ca_pem.as_str());
        let signer = Arc::clone(&self.pki.signer);
        let settings =
            controllers::Settings { cluster_services, root_ca, signer, volumes_directory };
        let run = controllers::run(client_of, caches, settings, clock, stop);
        self.components.spawn(run);
        Ok(())
    }

    /// A client that speaks for `identity` to this API server, without a socket. Must be called on
    /// a tokio runtime.
    pub fn client(&self, identity: Identity) -> ApiClient {
        self.apiserver.client(identity)
    }

    /// All objects of the kind `K`, kept current straight from the store until shutdown. Answers
    /// once it holds what is stored now. Whoever asks for a kind shares the same cache.
    ///
    /// # Errors
    /// If the store cannot be read, or `K` is not one of the server's kinds.
    pub async fn cache<K: KubeObject>(&self) -> Result<Cache<K>, Error> {
        self.apiserver.cache().await.map_err(Error::Storage)
    }

    /// Accepts connections until shutdown. Returns at once; may be called for several listeners.
    ///
    /// # Errors
    /// If the certificates or the key do not fit.
    pub fn serve(&self, listener: TcpListener) -> Result<(), Error> {
        self.apiserver.serve(listener, &self.pki).map_err(Error::Tls)
    }

    /// Serves connections that somebody else accepts, over TLS, until they end or shutdown: those of
    /// the Pods' network. Returns at once.
    ///
    /// # Errors
    /// If the certificates or the key do not fit.
    pub fn serve_streams<S>(
        &self,
        connections: impl Stream<Item = S> + Send + 'static,
    ) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.apiserver.serve_streams(connections, &self.pki).map_err(Error::Tls)
    }

    /// Opens the way to the node's logs, exec and attach.
    pub fn set_node(&self, node: Arc<dyn NodeApi>) {
        self.apiserver.set_node(node);
    }

    /// Waits until /readyz answers ok and the namespace `default` has what its Pods need: its
    /// ServiceAccount and the CA. What every cluster has and nobody waits for (its roles) is made from
    /// then on.
    pub async fn ready(&self) {
        self.apiserver.ready().await;
        appeared(&self.service_accounts, "default").await;
        appeared(&self.config_maps, controllers::ROOT_CA).await;
        self.started.notify_one();
    }

    /// Stops accepting, ends watches, lets other requests finish, stops the components and closes
    /// the store. Call it after the node has stopped.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.components.close();
        self.components.wait().await;
        self.apiserver.shutdown().await;
    }
}

/// Waits for an object of the namespace `default`.
async fn appeared<K: Cached>(cache: &Cache<K>, name: &str) {
    let key = ObjectKey::new("default", name);
    let mut changes = cache.changes();
    while cache.get(&key).is_none() {
        if changes.next().await.is_none() {
            // The feed has ended: the server is shutting down, and nobody waits any more.
            return;
        }
    }
}

/// The class that the node serves, and that Ingresses get which name none.
const INGRESS_CLASS: &str = "sampan";

async fn ingress_class(apiserver: &ApiServer) -> Result<(), Error> {
    let api = kube::Api::<IngressClass>::all(apiserver.client(Identity::apiserver()).kube());
    let annotation = ("ingressclass.kubernetes.io/is-default-class".to_owned(), "true".to_owned());
    let metadata = ObjectMeta {
        name: Some(INGRESS_CLASS.to_owned()),
        annotations: Some([annotation].into()),
        ..Default::default()
    };
    let controller = Some("sampan.dev/ingress".to_owned());
    let spec = Some(IngressClassSpec { controller, ..Default::default() });
    match api.create(&PostParams::default(), &IngressClass { metadata, spec }).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        made => made.map(drop).map_err(|source| Error::IngressClass(Box::new(source))),
    }
}

async fn bootstrap(apiserver: &ApiServer) -> Result<(), Error> {
    let api = kube::Api::<Namespace>::all(apiserver.client(Identity::apiserver()).kube());
    for namespace in NAMESPACES {
        let metadata = ObjectMeta { name: Some((*namespace).to_owned()), ..Default::default() };
        let object = Namespace { metadata, ..Namespace::default() };
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => {}
            // It is there since an earlier life.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(source) => return Err(Error::Bootstrap { namespace, source: Box::new(source) }),
        }
    }
    Ok(())
}
