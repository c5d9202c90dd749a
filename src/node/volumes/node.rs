//! What all volumes of a node share.

use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Secret};

use super::interests::{Interests, Object};
use super::own::Own;
use super::pod::PodVolumes;
use super::shares::Shares;
use crate::api::downward::Facts;
use crate::api::object::ObjectKey;
use crate::client::ApiClient;
use crate::client::cache::Cache;
use crate::client::clock::Clock;
use crate::client::lookup::look_up;
use crate::node::images::Images;

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
    pub(in crate::node) client: ApiClient,
    pub(in crate::node) config_maps: Cache<ConfigMap>,
    pub(in crate::node) secrets: Cache<Secret>,
    pub(in crate::node) claims: Cache<PersistentVolumeClaim>,
    pub(in crate::node) persistent_volumes: Cache<PersistentVolume>,
    pub(in crate::node) images: Images,
    pub(in crate::node) clock: Clock,
}

/// A node's volumes. Cheap to clone.
#[derive(Clone)]
pub(in crate::node) struct Volumes(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) client: ApiClient,
    pub(super) clock: Clock,
    pub(super) images: Images,
    pub(super) shares: Arc<Shares>,
    pub(super) own: Arc<Own>,
    pub(super) interests: Interests,
    config_maps: Cache<ConfigMap>,
    secrets: Cache<Secret>,
    claims: Cache<PersistentVolumeClaim>,
    persistent_volumes: Cache<PersistentVolume>,
}

impl Volumes {
    pub(in crate::node) fn new(config: Config, rooms: Rooms) -> Self {
        let Rooms { client, config_maps, secrets, claims, persistent_volumes, images, clock } =
            rooms;
        let own = Own::new(config.directory.clone(), persistent_volumes.clone());
        Self(Arc::new(Shared {
            own: Arc::new(own),
            config,
            client,
            clock,
            images,
            shares: Arc::default(),
            interests: Interests::default(),
            config_maps,
            secrets,
            claims,
            persistent_volumes,
        }))
    }

    /// Tells Pods' volumes of changes of what they show or are made of, until the caches end.
    pub(in crate::node) async fn follow(&self) {
        let maps = self.0.config_maps.changes().map(Object::ConfigMap);
        let secrets = self.0.secrets.changes().map(Object::Secret);
        let claims = self.0.claims.changes().map(Object::Claim);
        let volumes = self.0.persistent_volumes.changes_as(claim_of).map(Object::Claim);
        let mut changes =
            stream::select(stream::select(maps, secrets), stream::select(claims, volumes));
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

/// The claim that has the volume.
fn claim_of(volume: &PersistentVolume) -> Option<ObjectKey> {
    let claim = volume.spec.as_ref()?.claim_ref.as_ref()?;
    Some(ObjectKey::new(claim.namespace.clone()?, claim.name.clone()?))
}

/// What the API server said, without what the client makes of it.
pub(super) fn text_of(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}
