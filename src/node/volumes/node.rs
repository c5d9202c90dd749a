//! What all volumes of a node share.

use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::Client;

use super::interests::{Interests, Object};
use super::pod::PodVolumes;
use super::shares::Shares;
use crate::api::downward::Facts;
use crate::api::object::ObjectKey;
use crate::client::cache::Cache;
use crate::client::clock::Clock;
use crate::client::lookup::look_up;

#[derive(Debug, Clone)]
pub(in crate::node) struct Config {
    /// `DIR/volumes`: where our own provisioner makes persistent volumes, one directory each.
    pub(in crate::node) directory: PathBuf,
    /// `--allow-host-path`: absolute.
    pub(in crate::node) allowed_directories: Vec<PathBuf>,
}

/// What the room is handed to work with.
pub(in crate::node) struct Rooms {
    /// `system:node:NAME`
    pub(in crate::node) client: Client,
    pub(in crate::node) config_maps: Cache<ConfigMap>,
    pub(in crate::node) secrets: Cache<Secret>,
    pub(in crate::node) clock: Clock,
}

/// A node's volumes. Cheap to clone.
#[derive(Clone)]
pub(in crate::node) struct Volumes(Arc<Shared>);

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) shares: Arc<Shares>,
    pub(super) interests: Interests,
    config_maps: Cache<ConfigMap>,
    secrets: Cache<Secret>,
}

impl Volumes {
    pub(in crate::node) fn new(config: Config, rooms: Rooms) -> Self {
        let Rooms { client, config_maps, secrets, clock } = rooms;
        let (shares, interests) = (Arc::default(), Interests::default());
        Self(Arc::new(Shared { config, client, clock, shares, interests, config_maps, secrets }))
    }

    /// Tells Pods' volumes of changes of what they show, until the caches end.
    pub(in crate::node) async fn follow(&self) {
        let maps = self.0.config_maps.changes().map(Object::ConfigMap);
        let secrets = self.0.secrets.changes().map(Object::Secret);
        let mut changes = stream::select(maps, secrets);
        while let Some(object) = changes.next().await {
            self.0.interests.tell(&object);
        }
    }

    /// The volumes of a Pod, none of which is set up yet. `directory` is `pods/<uid>`.
    pub(in crate::node) fn of_pod(
        &self,
        pod: &Pod,
        facts: Facts,
        directory: PathBuf,
    ) -> PodVolumes {
        PodVolumes::new(self.0.clone(), pod, facts, directory.join("volumes"))
    }
}

impl Shared {
    /// # Errors
    /// The API server's words, if it had to be asked.
    pub(super) async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<ConfigMap>>, String> {
        let key = ObjectKey::new(namespace, name);
        look_up(&self.config_maps, &self.client, &key).await.map_err(|error| text_of(&error))
    }

    /// # Errors
    /// The API server's words, if it had to be asked.
    pub(super) async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Secret>>, String> {
        let key = ObjectKey::new(namespace, name);
        look_up(&self.secrets, &self.client, &key).await.map_err(|error| text_of(&error))
    }
}

/// What the API server said, without what the client makes of it.
pub(super) fn text_of(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}
