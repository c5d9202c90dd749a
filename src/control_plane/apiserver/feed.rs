//! Keeps what components read current straight from the store: no JSON, no request; a cache shares the
//! decoded object with the API server. Whoever commits a change fills the caches and wakes the components
//! itself: a write's caller finds it in the cache.

use std::any::{Any, TypeId};
use std::sync::Arc;

use tracing::warn;

use super::ApiServer;
use crate::api::object::ObjectKey;
use crate::client::cache::{self, Cache, Writer};
use crate::client::owners::{self, KindName, Node, Owners};
use crate::control_plane::auth::Authorizer;
use crate::control_plane::auth::rbac::{self, Kind};
use crate::control_plane::registry::{AnyResource, Decoded, KubeObject, RESOURCES, Scope};
use crate::control_plane::storage::{Change, ChangeKind, Error, Follower, Page, Revision, Stored};

impl ApiServer {
    /// See [`super::super::ControlPlane::cache`].
    pub(in crate::control_plane) async fn cache<K: KubeObject>(&self) -> Result<Cache<K>, Error> {
        let mut caches = self.caches().lock().await;
        if let Some(known) = caches.get(&TypeId::of::<K>()).and_then(|any| any.downcast_ref()) {
            return Ok(Cache::<K>::clone(known));
        }
        let resource = self
            .resource_of_kind(K::GROUP, K::VERSION, K::KIND)
            .ok_or_else(|| Error::Failed(format!("no kind {}/{}", K::API_VERSION, K::KIND)))?;
        let (writer, cache) = cache::cache::<K>();
        self.feed(resource, writer).await?;
        caches.insert(TypeId::of::<K>(), Box::new(cache.clone()));
        Ok(cache)
    }

    /// The owner references of all kinds, kept current until shutdown. Kinds whose objects expire
    /// (Events) are left out: they own nothing and nobody owns them.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(in crate::control_plane) async fn owners(&self) -> Result<Owners, Error> {
        let kinds = RESOURCES.iter().filter(|kind| kind.is_stored() && kind.ttl().is_none());
        let kinds: Vec<_> = kinds.map(|kind| (*kind, name_of(*kind))).collect();
        let (writer, owners) = owners::graph(kinds.iter().map(|(_, name)| *name).collect());
        for (resource, name) in kinds {
            self.feed(resource, (name, writer.clone())).await?;
        }
        Ok(owners)
    }

    /// Lets roles and bindings be judged by, as they are stored now and from now on until shutdown.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(in crate::control_plane) async fn follow_roles(&self) -> Result<(), Error> {
        for (plural, kind) in Kind::ALL {
            let Some(resource) = self.resource(rbac::GROUP, "v1", plural) else { continue };
            self.feed(resource, (kind, self.authorizer().clone())).await?;
        }
        Ok(())
    }

    /// Fills `sink` with what there is, then with every change until the store is closed.
    async fn feed(
        &self,
        resource: &'static dyn AnyResource,
        sink: impl Sink + 'static,
    ) -> Result<(), Error> {
        let feed = Box::new(Feed { resource, sink });
        self.storage().follow(&resource.prefix(None), feed).await
    }
}

fn name_of(kind: &dyn AnyResource) -> KindName {
    KindName {
        group: kind.group(),
        version: kind.version(),
        kind: kind.kind(),
        plural: kind.names().plural,
        namespaced: kind.scope() == Scope::Namespaced,
    }
}

/// Where a kind's objects go.
trait Sink: Send + Sync {
    fn replace(&self, objects: Vec<Decoded>);
    fn apply(&self, object: Decoded);
    fn delete(&self, object: &Decoded);
    /// Everything up to this revision has been handed over.
    fn advance(&self, revision: Revision);
}

impl<K: KubeObject> Sink for Writer<K> {
    fn replace(&self, objects: Vec<Decoded>) {
        self.replace(objects.into_iter().filter_map(typed).collect());
    }

    fn apply(&self, object: Decoded) {
        if let Some(object) = typed(object) {
            self.apply(object);
        }
    }

    fn delete(&self, object: &Decoded) {
        if let Some(object) = typed::<K>(object.clone()) {
            self.delete(&cache::key_of(&*object));
        }
    }

    fn advance(&self, revision: Revision) {
        self.advance(revision.0);
    }
}

impl Sink for (KindName, owners::Writer) {
    fn replace(&self, objects: Vec<Decoded>) {
        let node = |object: &Decoded| Node::new(self.0, object.metadata());
        self.1.replace(self.0, objects.iter().map(node).collect());
    }

    fn apply(&self, object: Decoded) {
        self.1.apply(Node::new(self.0, object.metadata()));
    }

    fn delete(&self, object: &Decoded) {
        self.1.delete(object.metadata().uid.as_deref().unwrap_or_default());
    }

    fn advance(&self, _: Revision) {}
}

impl Sink for (Kind, Authorizer) {
    fn replace(&self, objects: Vec<Decoded>) {
        self.1.replace(self.0, objects.into_iter().map(|object| object as _).collect());
    }

    fn apply(&self, object: Decoded) {
        self.1.apply(self.0, object);
    }

    fn delete(&self, object: &Decoded) {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let meta = object.metadata();
        self.1.delete(self.0, &ObjectKey::new(part(&meta.namespace), part(&meta.name)));
    }

    fn advance(&self, revision: Revision) {
        self.1.advance(self.0, revision.0);
    }
}

fn typed<K: KubeObject>(object: Decoded) -> Option<Arc<K>> {
    let any: Arc<dyn Any + Send + Sync> = object;
    any.downcast().ok()
}

struct Feed<S> {
    resource: &'static dyn AnyResource,
    sink: S,
}

impl<S> Feed<S> {
    fn decoded(&self, stored: &Stored) -> Option<Decoded> {
        match self.resource.decoded(stored) {
            Ok(object) => Some(object),
            Err(err) => {
                warn!(%err, "Object left out of a cache");
                None
            }
        }
    }
}

impl<S: Sink> Follower for Feed<S> {
    fn begin(&self, page: Page) {
        self.sink.replace(page.items.iter().filter_map(|stored| self.decoded(stored)).collect());
        self.sink.advance(page.revision);
    }

    fn changed(&self, change: &Change) {
        if let Some(object) = self.decoded(&change.object) {
            match change.kind {
                ChangeKind::Created | ChangeKind::Modified => self.sink.apply(object),
                ChangeKind::Deleted => self.sink.delete(&object),
            }
        }
        self.sink.advance(change.revision);
    }
}
