//! Keeps a component's cache current straight from the store: no JSON, no request; the cache
//! shares the decoded object with the API server.

use std::any::Any;
use std::sync::Arc;

use tracing::warn;

use super::ApiServer;
use crate::client::cache::{self, Cache, Writer};
use crate::control_plane::registry::{AnyResource, KubeObject};
use crate::control_plane::storage::{Change, ChangeKind, Error, ListQuery, Revision, Stored};

impl ApiServer {
    /// See [`super::super::ControlPlane::cache`].
    pub(in crate::control_plane) async fn cache<K: KubeObject>(&self) -> Result<Cache<K>, Error> {
        let resource = self
            .resource_of_kind(K::GROUP, K::VERSION, K::KIND)
            .ok_or_else(|| Error::Failed(format!("no kind {}/{}", K::API_VERSION, K::KIND)))?;
        let (writer, cache) = cache::cache::<K>();
        let feed = Feed { server: self.clone(), resource, writer };
        let revision = feed.relist().await?;
        self.tracker().spawn(async move { feed.run(revision).await });
        Ok(cache)
    }
}

struct Feed<K> {
    server: ApiServer,
    resource: &'static dyn AnyResource,
    writer: Writer<K>,
}

impl<K: KubeObject> Feed<K> {
    async fn run(&self, mut revision: Revision) {
        let stopping = self.server.stopping().clone();
        while let Some(Err(err)) = stopping.run_until_cancelled(self.follow(revision)).await {
            // Fell behind what the store keeps: begin anew from what is there now.
            warn!(resource = %self.resource.qualified(), %err, "Feed interrupted");
            match self.relist().await {
                Ok(now) => revision = now,
                Err(_closed) => return,
            }
        }
    }

    async fn relist(&self) -> Result<Revision, Error> {
        let page =
            self.server.storage().list(&self.resource.prefix(None), ListQuery::default()).await?;
        self.writer.replace(page.items.iter().filter_map(|stored| self.typed(stored)).collect());
        self.writer.advance(page.revision.0);
        Ok(page.revision)
    }

    async fn follow(&self, after: Revision) -> Result<(), Error> {
        let mut watch = self.server.storage().watch(&self.resource.prefix(None), after).await?;
        loop {
            let change = watch.next().await?;
            self.apply(&change);
            self.writer.advance(change.revision.0);
        }
    }

    fn apply(&self, change: &Change) {
        let Some(object) = self.typed(&change.object) else { return };
        match change.kind {
            ChangeKind::Created | ChangeKind::Modified => self.writer.apply(object),
            ChangeKind::Deleted => self.writer.delete(&cache::key_of(&*object)),
        }
    }

    fn typed(&self, stored: &Stored) -> Option<Arc<K>> {
        match self.resource.decoded(stored) {
            Ok(object) => {
                let any: Arc<dyn Any + Send + Sync> = object;
                any.downcast().ok()
            }
            Err(err) => {
                warn!(%err, "Object left out of a cache");
                None
            }
        }
    }
}
