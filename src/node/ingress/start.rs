//! The door's life: follows the objects, opens ports when there is something to serve, says where.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ObjectReference, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::api::{Api, Patch, PatchParams};
use parking_lot::RwLock;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::certificates::Certificates;
use super::serve;
use super::table::{Table, is_ours};
use crate::api::object::ObjectKey;
use crate::client::ApiClient;
use crate::client::cache::{Cache, key_of};
use crate::client::clock::Clock;
use crate::client::events::{self, EventType, Recorder};
use crate::node::network::{Network, PodNetwork};

/// Where HTTP is served when nobody says: port 80 is root's.
const HTTP_PORT: u16 = 8080;
const HTTPS_PORT: u16 = 8443;

/// Bound: how often a port or a status that could not be had is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// Bound: how long shutdown waits for open requests; longer ones are cut.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `--ingress-http`; port 8080 of the node's address, or a free one if that is taken, when `None`.
    pub http: Option<SocketAddr>,
    /// `--ingress-https`; likewise 8443.
    pub https: Option<SocketAddr>,
}

/// What the door is handed to work with.
pub(crate) struct Rooms {
    /// The Node object's name.
    pub(crate) node: String,
    /// Where the node is reached.
    pub(crate) node_address: IpAddr,
    pub(crate) client: ApiClient,
    pub(crate) ingresses: Cache<Ingress>,
    pub(crate) classes: Cache<IngressClass>,
    pub(crate) services: Cache<Service>,
    pub(crate) secrets: Cache<Secret>,
    pub(crate) network: Network,
    pub(crate) clock: Clock,
}

/// What every request needs.
pub(super) struct Context {
    pub(super) table: RwLock<Table>,
    certificates: Arc<Certificates>,
    pub(super) services: Cache<Service>,
    pub(super) cluster_domain: String,
    pub(super) network: Network,
    pub(super) clock: Clock,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Context {
    /// The node's own place on the Pods' network: its first address.
    pub(super) fn gateway(&self) -> Option<PodNetwork> {
        let first = self.network.config().pods.network().to_bits() + 1;
        self.network.member(Ipv4Addr::from_bits(first))
    }
}

/// A running door.
pub(crate) struct Door(Arc<Context>);

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// Follows the Ingresses until shutdown. Must be called on a tokio runtime.
    pub(crate) fn start(config: Config, rooms: Rooms) -> Self {
        let source = events::Source {
            component: "ingress-controller".to_owned(),
            host: Some(rooms.node.clone()),
        };
        let (recorder, writer) =
            events::recorder(rooms.client.clone(), rooms.clock.clone(), source);
        let ctx = Arc::new(Context {
            table: RwLock::default(),
            certificates: Arc::default(),
            services: rooms.services.clone(),
            cluster_domain: rooms.network.config().cluster_domain.clone(),
            network: rooms.network.clone(),
            clock: rooms.clock.clone(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        ctx.tasks.spawn(writer.run(ctx.stop.clone()));
        let ports = Ports { config, http: None, https: None };
        let keeper = Keeper { ctx: Arc::clone(&ctx), rooms, recorder, ports, told: Vec::new() };
        let stop = ctx.stop.clone();
        ctx.tasks.spawn(async move {
            stop.run_until_cancelled(keeper.run()).await;
        });
        Self(ctx)
    }

    /// Stops accepting and waits for open requests.
    pub(crate) async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        tokio::select! {
            () = self.0.tasks.wait() => {}
            () = self.0.clock.sleep(DRAIN_TIMEOUT) => {}
        }
    }
}

/// The sockets, once there is something to serve.
struct Ports {
    config: Config,
    http: Option<SocketAddr>,
    https: Option<SocketAddr>,
}

struct Keeper {
    ctx: Arc<Context>,
    rooms: Rooms,
    recorder: Recorder,
    ports: Ports,
    /// What was said in Events, so that it is said once. Bound: [`TOLD_MAX`].
    told: Vec<String>,
}

const TOLD_MAX: usize = 1024;

impl Keeper {
    async fn run(mut self) {
        let rooms = &self.rooms;
        rooms.ingresses.synced().await;
        rooms.classes.synced().await;
        rooms.secrets.synced().await;
        // Any change of these is a reason to look at all of them: there are few.
        let secrets = rooms.secrets.changes_as(|secret| {
            (secret.type_.as_deref() == Some("kubernetes.io/tls")).then_some(())
        });
        let ingresses = rooms.ingresses.changes_as(|_| Some(()));
        let classes = rooms.classes.changes_as(|_| Some(()));
        let mut changes = stream::select(secrets, stream::select(ingresses, classes));
        loop {
            let done = self.sync().await;
            let more = tokio::select! {
                more = changes.next() => more,
                () = self.ctx.clock.sleep(RETRY), if !done => Some(()),
            };
            if more.is_none() {
                return;
            }
        }
    }

    /// Serves what there is now; answers whether all of it could be done.
    async fn sync(&mut self) -> bool {
        let class = |name: &str| self.rooms.classes.get(&ObjectKey::new("", name));
        let mut ours = self.rooms.ingresses.list();
        ours.retain(|ingress| is_ours(ingress, class));
        let secret = |key: &ObjectKey| self.rooms.secrets.get(key);
        let bad = self.ctx.certificates.replace(&ours, secret);
        *self.ctx.table.write() = Table::new(ours.clone());
        for (ingress, reason) in bad {
            self.tell(
                &ingress,
                EventType::Warning,
                "BadCertificate",
                &format!("TLS is not served: {reason}"),
            );
        }
        if ours.is_empty() {
            return true;
        }
        let opened = self.open(ours.iter().any(|ingress| has_tls(ingress))).await;
        if let Err(error) = &opened {
            for ingress in &ours {
                self.tell(ingress, EventType::Warning, "NotServed", &error.to_string());
            }
        }
        let mut done = opened.is_ok();
        for ingress in &ours {
            done &= self.announce(ingress).await;
        }
        done
    }

    async fn open(&mut self, with_tls: bool) -> Result<(), BindError> {
        if self.ports.http.is_none() {
            let listener =
                bind(self.ports.config.http, self.rooms.node_address, HTTP_PORT, "--ingress-http")
                    .await?;
            self.ports.http = listener.local_addr().ok();
            self.ctx.tasks.spawn(serve::accept(Arc::clone(&self.ctx), listener, None));
            info!(address = ?self.ports.http, "Serving Ingresses over HTTP");
        }
        if with_tls && self.ports.https.is_none() {
            let listener = bind(
                self.ports.config.https,
                self.rooms.node_address,
                HTTPS_PORT,
                "--ingress-https",
            )
            .await?;
            self.ports.https = listener.local_addr().ok();
            let tls = acceptor(Arc::clone(&self.ctx.certificates));
            self.ctx.tasks.spawn(serve::accept(Arc::clone(&self.ctx), listener, Some(tls)));
            info!(address = ?self.ports.https, "Serving Ingresses over HTTPS");
        }
        Ok(())
    }

    /// Says in the status, and once in an Event, where the Ingress is served.
    async fn announce(&mut self, ingress: &Arc<Ingress>) -> bool {
        let Some(http) = self.ports.http else { return false };
        let https = self.ports.https.filter(|_| has_tls(ingress));
        let urls: Vec<String> = [("http", Some(http)), ("https", https)]
            .into_iter()
            .filter_map(|(scheme, address)| Some(format!("{scheme}://{}", address?)))
            .collect();
        self.tell(
            ingress,
            EventType::Normal,
            "Serving",
            &format!("Served at {}", urls.join(" and ")),
        );
        let ports: Vec<_> = [Some(http), https]
            .into_iter()
            .flatten()
            .map(|address| json!({"port": address.port(), "protocol": "TCP"}))
            .collect();
        let wanted = json!([{"ip": http.ip().to_string(), "ports": ports}]);
        let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let current = status.and_then(|balancer| balancer.ingress.as_ref());
        if serde_json::to_value(current).is_ok_and(|current| current == wanted) {
            return true;
        }
        let key = key_of(&**ingress);
        let api: Api<Ingress> = Api::namespaced(self.rooms.client.kube(), &key.namespace);
        let patch = json!({"status": {"loadBalancer": {"ingress": wanted}}});
        let written =
            api.patch_status(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        match written {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if status.code == 404 => true,
            Err(error) => {
                warn!(ingress = %key, %error, "Failed to write the status");
                false
            }
        }
    }

    fn tell(&mut self, ingress: &Ingress, type_: EventType, reason: &'static str, text: &str) {
        let uid = ingress.metadata.uid.clone().unwrap_or_default();
        let said = format!("{uid}/{reason}/{text}");
        if self.told.contains(&said) {
            return;
        }
        if self.told.len() >= TOLD_MAX {
            self.told.clear();
        }
        self.told.push(said);
        let object = ObjectReference {
            api_version: Some("networking.k8s.io/v1".to_owned()),
            kind: Some("Ingress".to_owned()),
            namespace: ingress.metadata.namespace.clone(),
            name: ingress.metadata.name.clone(),
            uid: Some(uid),
            resource_version: ingress.metadata.resource_version.clone(),
            ..ObjectReference::default()
        };
        self.recorder.record(&object, type_, reason, text);
    }
}

fn has_tls(ingress: &Ingress) -> bool {
    ingress.spec.as_ref().is_some_and(|spec| spec.tls.as_ref().is_some_and(|tls| !tls.is_empty()))
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another address with {flag}")]
struct BindError {
    address: SocketAddr,
    source: io::Error,
    flag: &'static str,
}

/// Where it was asked for, or at the usual port, or at a free one if that is taken.
async fn bind(
    asked: Option<SocketAddr>,
    node_address: IpAddr,
    usual: u16,
    flag: &'static str,
) -> Result<TcpListener, BindError> {
    let address = asked.unwrap_or_else(|| SocketAddr::new(node_address, usual));
    let bound = TcpListener::bind(address).await;
    let bound = match bound {
        Err(error) if asked.is_none() && error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(node_address, 0)).await
        }
        bound => bound,
    };
    bound.map_err(|source| BindError { address, source, flag })
}

fn acceptor(certificates: Arc<Certificates>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the suites of TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
