//! The server's state, shared by all requests, and its life.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::discovery::Discovery;
use super::in_process::InProcess;
use super::listener::{self, TlsError};
use super::openapi::OpenApi;
use crate::client::ApiClient;
use crate::client::clock::{Clock, Ids};
use crate::client::node_api::NodeApi;
use crate::control_plane::auth::pki::Pki;
use crate::control_plane::auth::tokens::Tokens;
use crate::control_plane::auth::{Authorizer, Identity};
use crate::control_plane::registry::{AnyResource, RESOURCES, ServiceRanges};
use crate::control_plane::storage::Storage;
use crate::telemetry::Metrics;

/// Bound: how long shutdown waits for open requests; longer ones (a stuck client's download) are cut.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Where old clients are told to find the server; they came by another way and do not ask.
const ADDRESS: &str = "127.0.0.1:6443";

/// What it is built from.
pub(in crate::control_plane) struct Rooms {
    pub(in crate::control_plane) storage: Arc<dyn Storage>,
    pub(in crate::control_plane) tokens: Tokens,
    pub(in crate::control_plane) clock: Clock,
    pub(in crate::control_plane) ids: Ids,
    pub(in crate::control_plane) ranges: ServiceRanges,
    pub(in crate::control_plane) metrics: Metrics,
}

/// The API server. Cheap to clone.
#[derive(Clone)]
pub(in crate::control_plane) struct ApiServer(Arc<Shared>);

struct Shared {
    storage: Arc<dyn Storage>,
    tokens: Tokens,
    authorizer: Authorizer,
    clock: Clock,
    ids: Ids,
    ranges: ServiceRanges,
    /// Whose turn it is to take from the pools that objects share.
    allocation: Arc<Mutex<()>>,
    counting: Arc<Mutex<()>>,
    tracker: TaskTracker,
    stopping: CancellationToken,
    ready_tx: watch::Sender<bool>,
    node_tx: watch::Sender<Option<Arc<dyn NodeApi>>>,
    discovery: Discovery,
    openapi: OpenApi,
    metrics: Metrics,
    kinds: HashMap<(&'static str, &'static str, &'static str), &'static dyn AnyResource>,
    caches: Mutex<Caches>,
}

/// One for each kind that somebody keeps an eye on.
pub(super) type Caches = HashMap<TypeId, Box<dyn Any + Send + Sync>>;

impl ApiServer {
    pub(in crate::control_plane) fn new(rooms: Rooms) -> Self {
        let Rooms { storage, tokens, clock, ids, ranges, metrics } = rooms;
        let by_name = |kind: &&'static dyn AnyResource| {
            ((kind.group(), kind.version(), kind.names().plural), *kind)
        };
        Self(Arc::new(Shared {
            storage,
            tokens,
            authorizer: Authorizer::default(),
            clock,
            ids,
            ranges,
            allocation: Arc::default(),
            counting: Arc::default(),
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            ready_tx: watch::Sender::new(false),
            node_tx: watch::Sender::new(None),
            discovery: Discovery::new(RESOURCES, ADDRESS),
            openapi: OpenApi::new(RESOURCES),
            metrics,
            kinds: RESOURCES.iter().map(by_name).collect(),
            caches: Mutex::default(),
        }))
    }

    pub(super) fn caches(&self) -> &Mutex<Caches> {
        &self.0.caches
    }

    pub(in crate::control_plane) fn client(&self, identity: Identity) -> ApiClient {
        let in_process = InProcess { server: self.clone(), identity: Arc::new(identity) };
        let kube = kube::Client::new(in_process.clone(), "default");
        ApiClient::new(kube, Arc::new(in_process))
    }

    /// Accepts connections until shutdown.
    ///
    /// # Errors
    /// If the certificates or the key do not fit.
    pub(in crate::control_plane) fn serve(
        &self,
        listener: TcpListener,
        pki: &Pki,
    ) -> Result<(), TlsError> {
        let acceptor = listener::acceptor(pki)?;
        self.0.tracker.spawn(listener::accept(self.clone(), listener, acceptor));
        Ok(())
    }

    /// The same for connections that somebody else accepts.
    ///
    /// # Errors
    /// As [`ApiServer::serve`].
    pub(in crate::control_plane) fn serve_streams<S>(
        &self,
        connections: impl Stream<Item = S> + Send + 'static,
        pki: &Pki,
    ) -> Result<(), TlsError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let acceptor = listener::acceptor(pki)?;
        self.0.tracker.spawn(listener::serve_all(self.clone(), connections, acceptor));
        Ok(())
    }

    pub(in crate::control_plane) fn set_node(&self, node: Arc<dyn NodeApi>) {
        self.0.node_tx.send_replace(Some(node));
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// From now on /readyz answers ok.
    pub(in crate::control_plane) fn set_ready(&self) {
        self.0.ready_tx.send_replace(true);
        info!(kinds = self.0.kinds.len(), "Ready");
    }

    pub(in crate::control_plane) async fn ready(&self) {
        // Fails only when the sender is gone, and we hold the sender.
        let _ = self.0.ready_tx.subscribe().wait_for(|ready| *ready).await;
    }

    /// Stops accepting, ends watches and logs, and waits for open requests.
    pub(in crate::control_plane) async fn shutdown(&self) {
        self.0.ready_tx.send_replace(false);
        info!(requests = self.0.tracker.len(), "Stopping: open requests may finish");
        self.0.stopping.cancel();
        self.0.tracker.close();
        let drained = tokio::select! {
            () = self.0.tracker.wait() => true,
            () = self.0.clock.sleep(DRAIN_TIMEOUT) => false,
        };
        if !drained {
            warn!(tasks = self.0.tracker.len(), "Requests still open at shutdown were cut");
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        *self.0.ready_tx.borrow()
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        &*self.0.storage
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(super) fn authorizer(&self) -> &Authorizer {
        &self.0.authorizer
    }

    pub(super) fn discovery(&self) -> &Discovery {
        &self.0.discovery
    }

    pub(super) fn openapi(&self) -> &OpenApi {
        &self.0.openapi
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn ids(&self) -> &Ids {
        &self.0.ids
    }

    pub(super) fn ranges(&self) -> &ServiceRanges {
        &self.0.ranges
    }

    /// Whoever writes what ResourceQuotas count waits for the one before; taken after [`Self::allocation`].
    pub(super) fn counting(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.0.counting)
    }

    pub(super) fn allocation(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.0.allocation)
    }

    pub(super) fn tracker(&self) -> &TaskTracker {
        &self.0.tracker
    }

    /// Cancelled when shutdown begins: long requests end then.
    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    pub(super) fn node(&self) -> Option<Arc<dyn NodeApi>> {
        self.0.node_tx.borrow().clone()
    }

    pub(super) fn resource(
        &self,
        group: &str,
        version: &str,
        plural: &str,
    ) -> Option<&'static dyn AnyResource> {
        self.0.kinds.get(&(group, version, plural)).copied()
    }

    pub(super) fn resource_of_kind(
        &self,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Option<&'static dyn AnyResource> {
        let named = |resource: &&&'static dyn AnyResource| {
            (resource.group(), resource.version(), resource.kind()) == (group, version, kind)
        };
        RESOURCES.iter().find(named).copied()
    }
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}
