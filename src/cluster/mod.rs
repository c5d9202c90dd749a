//! Composition: builds the two wings, joins them, starts them, drains them in reverse.
//!
//! Enter by [`Cluster::start`]; [`Cluster::ready`] answers when a user can begin; end with
//! [`Cluster::shutdown`]. What the cluster leaves outside itself has a file each:
//! `data_directory`, `kubeconfig`, `process`.

pub mod data_directory;
pub mod kubeconfig;
pub mod process;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::Ipv4Net;
use kube::Client;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::client::clock::{Clock, Ids};
use crate::config::{Config, LISTEN_DEFAULT, Listen, State};
use crate::control_plane::auth::Identity;
use crate::control_plane::auth::pki::{self, Pki};
use crate::control_plane::storage::{self, Storage};
use crate::control_plane::{self, ControlPlane};
use crate::node::{self, Node};
use crate::telemetry::Metrics;
use data_directory::{DataDirectory, Running};
use kubeconfig::Access;

/// Live instances the runtime's pool is made for; each idle slot costs address space only.
const INSTANCES_MAX: u32 = 10_000;

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    control_plane: ControlPlane,
    node: Node,
    storage: Arc<dyn Storage>,
    place: Place,
    access: Access,
    node_address: IpAddr,
    /// [`LISTEN_DEFAULT`] was taken.
    moved: bool,
    clock: Clock,
    /// The store's own.
    tasks: TaskTracker,
    start_time: OnceLock<Duration>,
}

/// Where the cluster's files are.
#[derive(Debug)]
enum Place {
    Kept(DataDirectory),
    Temporary(TempDir),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(directory) => directory.path(),
            Self::Temporary(directory) => directory.path(),
        }
    }
}

impl Cluster {
    /// Builds both wings, joins them, and starts them. Returns before the cluster is ready. Must be
    /// called on a tokio runtime.
    ///
    /// # Errors
    /// If its place is in use or unusable, its address is taken, or its state cannot be read.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let clock = Clock::system();
        let ids = Ids::random();
        let place = open_place(&config.state)?;
        let (listener, moved) = listen(config.listen).await?;
        let address = listener.as_ref().map_or(Ok(LISTEN_DEFAULT), TcpListener::local_addr)?;
        let names = [address.ip().to_string(), config.services.api_server().to_string()];
        let pki = Pki::load_or_create(&place.path().join("pki"), &names, &clock)?;
        let access = access(&config.name, address, &pki);
        let tasks = TaskTracker::new();
        let storage = open_storage(&place, &clock, &tasks)?;
        let metrics = Metrics::new();
        let rooms = control_plane::Rooms {
            storage: storage.clone(),
            pki,
            clock: clock.clone(),
            ids: ids.clone(),
            ranges: config.services.clone(),
            served_at: first_address(config.pod_cidr),
            volumes_directory: std::path::absolute(place.path().join("volumes"))?,
            metrics: metrics.clone(),
        };
        let control_plane = ControlPlane::start(rooms).await?;
        let node = start_node(&config, &place, &control_plane, &clock, ids, metrics).await?;
        control_plane.set_node(node.api());
        let from_pods =
            node.connections(control_plane::API_SERVER_PORT).map_err(io::Error::from)?;
        control_plane.serve_streams(from_pods)?;
        if let Some(listener) = listener {
            control_plane.serve(listener)?;
        }
        let start_time = OnceLock::new();
        let node_address = config.node_address;
        Ok(Self {
            control_plane,
            node,
            storage,
            place,
            access,
            node_address,
            moved,
            clock,
            tasks,
            start_time,
        })
    }

    /// Waits until /readyz answers, the Node is Ready and the default ServiceAccount exists; then
    /// says so in the data directory.
    ///
    /// # Errors
    /// If that cannot be written down.
    pub async fn ready(&self) -> Result<(), Error> {
        self.node.ready().await;
        self.control_plane.ready().await;
        self.start_time.get_or_init(|| self.clock.monotonic());
        if let Place::Kept(directory) = &self.place {
            directory.announce(&Running {
                pid: std::process::id(),
                server: self.access.server.clone(),
                context: self.access.context.clone(),
                started: self.clock.now().to_string(),
                node_address: self.node_address,
            })?;
        }
        Ok(())
    }

    /// How long the start took, until ready.
    pub fn start_time(&self) -> Duration {
        self.start_time.get().copied().unwrap_or_else(|| self.clock.monotonic())
    }

    /// What a client needs to reach it as its administrator.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Nothing was in the data directory before.
    pub fn is_new(&self) -> bool {
        matches!(&self.place, Place::Kept(directory) if directory.is_new)
    }

    /// Nobody asked for a port and the usual one was taken.
    pub fn is_elsewhere(&self) -> bool {
        self.moved
    }

    /// A client of the administrator's, without a socket.
    pub fn admin_client(&self) -> Client {
        self.control_plane.client(Identity::admin()).kube()
    }

    /// Stops accepting, drains, ends guests, flushes storage, in that order. No Pod is failed by it.
    pub async fn shutdown(&self) {
        self.node.shutdown().await;
        self.control_plane.shutdown().await;
        if let Err(error) = self.storage.close().await {
            tracing::error!(%error, "The last changes may not be on disk");
        }
        self.tasks.close();
        self.tasks.wait().await;
        if let Place::Kept(directory) = &self.place {
            directory.retire();
        }
    }
}

fn open_place(state: &State) -> Result<Place, Error> {
    match state {
        State::Kept(path) => Ok(Place::Kept(DataDirectory::open(path)?)),
        State::Ephemeral => {
            let directory = tempfile::Builder::new().prefix("sampan-").tempdir();
            Ok(Place::Temporary(directory.map_err(Error::Temporary)?))
        }
    }
}

/// Binds the API server's address; answers whether it is another one than usual.
async fn listen(listen: Listen) -> Result<(Option<TcpListener>, bool), Error> {
    let (address, may_move) = match listen {
        Listen::InProcess => return Ok((None, false)),
        Listen::At(address) => (address, false),
        Listen::Anywhere => (LISTEN_DEFAULT, true),
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok((Some(listener), false)),
        Err(err) if may_move && err.kind() == io::ErrorKind::AddrInUse => {
            let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            Ok((Some(TcpListener::bind(free).await?), true))
        }
        Err(source) => Err(Error::Listen { address, source }),
    }
}

fn open_storage(
    place: &Place,
    clock: &Clock,
    tasks: &TaskTracker,
) -> Result<Arc<dyn Storage>, Error> {
    Ok(match place {
        Place::Kept(directory) => {
            storage::embedded(&directory.path().join("state"), clock.clone(), tasks)?
        }
        Place::Temporary(_) => storage::memory(clock.clone(), tasks),
    })
}

async fn start_node(
    config: &Config,
    place: &Place,
    control_plane: &ControlPlane,
    clock: &Clock,
    ids: Ids,
    metrics: Metrics,
) -> Result<Node, Error> {
    let caches = node::Caches {
        pods: control_plane.cache().await?,
        config_maps: control_plane.cache().await?,
        secrets: control_plane.cache().await?,
        services: control_plane.cache().await?,
        endpoint_slices: control_plane.cache().await?,
        deployments: control_plane.cache().await?,
        ingresses: control_plane.cache().await?,
        ingress_classes: control_plane.cache().await?,
        namespaces: control_plane.cache().await?,
        network_policies: control_plane.cache().await?,
        persistent_volumes: control_plane.cache().await?,
        persistent_volume_claims: control_plane.cache().await?,
    };
    let clients = node::Clients {
        kubelet: control_plane.client(Identity::node(&config.name)),
        proxy: control_plane.client(Identity::proxy()),
        ingress: control_plane.client(Identity::controller("ingress-controller")),
    };
    let node = node::Config {
        name: config.name.clone(),
        address: config.node_address,
        capacity: config.capacity.clone(),
        pods_directory: place.path().join("pods"),
        volumes_directory: std::path::absolute(place.path().join("volumes"))?,
        allowed_host_directories: config.allowed_host_directories.clone(),
        images: node::images::Config {
            directory: config.cache_directory.join("images"),
            allowed_directories: config.allowed_image_directories.clone(),
        },
        ingress: config.ingress.clone(),
        network: node::network::Config {
            pods: config.pod_cidr,
            services: config.services.cluster_ips,
            egress: config.egress.clone(),
            host_sockets: node::network::host_sockets_max(process::open_files_max()),
            ..node::network::Config::default()
        },
        runtime: node::runtime::Config {
            cache_directory: config.cache_directory.join("cache"),
            instances_max: INSTANCES_MAX,
        },
        component_logs: config.component_logs.clone(),
        metrics,
    };
    Ok(Node::start(node, clients, caches, clock.clone(), ids)?)
}

/// Of a network: what its router would have.
fn first_address(network: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from_bits(network.network().to_bits() + 1)
}

fn access(name: &str, address: SocketAddr, pki: &Pki) -> Access {
    // A client cannot connect to "every address": it uses this machine's own.
    let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    Access {
        context: name.to_owned(),
        server: format!("https://{}", SocketAddr::new(ip, address.port())),
        ca_pem: pki.ca_pem.clone(),
        client_certificate_pem: pki.admin.cert_pem.clone(),
        client_key_pem: pki.admin.key_pem.clone(),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    DataDirectory(#[from] data_directory::Error),
    #[error("make a temporary directory")]
    Temporary(#[source] io::Error),
    #[error("listen on {address}; choose another address with --listen")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("set up the cluster's files")]
    Io(#[from] io::Error),
    #[error("set up the cluster's keys and certificates")]
    Pki(#[from] pki::Error),
    #[error("open the cluster's state")]
    Storage(#[from] storage::OpenError),
    #[error(transparent)]
    ControlPlane(#[from] control_plane::Error),
    #[error(transparent)]
    Node(#[from] node::Error),
}
