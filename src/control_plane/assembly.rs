//! Puts the wing's rooms together and takes them apart in order.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, PostParams};
use tokio::net::TcpListener;

use super::apiserver::{ApiServer, TlsError};
use super::auth::Identity;
use super::auth::pki::Pki;
use super::auth::tokens::{BadKey, Tokens};
use super::registry::KubeObject;
use super::storage::{self, Storage};
use crate::client::cache::Cache;
use crate::client::clock::{Clock, Ids};
use crate::client::node_api::NodeApi;

/// What the control plane is built from.
pub struct Rooms {
    pub storage: Arc<dyn Storage>,
    pub pki: Pki,
    pub clock: Clock,
    pub ids: Ids,
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
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the state of the cluster")]
    Storage(#[source] storage::Error),
    #[error("read the key that signs tokens")]
    TokenKey(#[source] BadKey),
    #[error("serve over TLS")]
    Tls(#[source] TlsError),
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
    /// kube-node-lease) and starts scheduler and controllers. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn start(rooms: Rooms) -> Result<Self, Error> {
        let tokens = Tokens::new(&rooms.pki.token_key).map_err(Error::TokenKey)?;
        let apiserver = ApiServer::new(rooms.storage, tokens, rooms.clock, rooms.ids);
        bootstrap(&apiserver).await?;
        apiserver.set_ready();
        Ok(Self { apiserver, pki: rooms.pki })
    }

    /// A client that speaks for `identity` to this API server, without a socket. Must be called on
    /// a tokio runtime.
    pub fn client(&self, identity: Identity) -> kube::Client {
        self.apiserver.client(identity)
    }

    /// All objects of the kind `K`, kept current straight from the store until shutdown. Answers
    /// once it holds what is stored now. Call it once per kind and clone the answer.
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

    /// Opens the way to the node's logs, exec and attach.
    pub fn set_node(&self, node: Arc<dyn NodeApi>) {
        self.apiserver.set_node(node);
    }

    /// Waits until /readyz answers ok and the namespace `default` has its ServiceAccount.
    pub async fn ready(&self) {
        self.apiserver.ready().await;
    }

    /// Stops accepting, ends watches, lets other requests finish, stops the components and closes
    /// the store. Call it after the node has stopped.
    pub async fn shutdown(&self) {
        self.apiserver.shutdown().await;
    }
}

async fn bootstrap(apiserver: &ApiServer) -> Result<(), Error> {
    let api = kube::Api::<Namespace>::all(apiserver.client(Identity::apiserver()));
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
