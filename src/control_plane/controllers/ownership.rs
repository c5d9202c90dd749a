//! Who manages whom: owner references, adoption and release.
//!
//! Upstream: `pkg/controller/controller_ref_manager.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Api, Patch, PatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::debug;

use super::reconcile::is_gone;
use crate::api::object::ObjectKey;
use crate::api::selector::Labels;
use crate::client::cache::{Cache, controller_of, key_of};

/// A namespaced kind that controllers read and write.
pub(super) trait Object:
    k8s_openapi::Resource<Scope = NamespaceResourceScope>
    + k8s_openapi::Metadata<Ty = ObjectMeta>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Object for K where
    K: k8s_openapi::Resource<Scope = NamespaceResourceScope>
        + k8s_openapi::Metadata<Ty = ObjectMeta>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// The reference by which `owner` manages another object.
pub(super) fn managed_by<O: Object>(owner: &O) -> OwnerReference {
    let meta = owner.metadata();
    OwnerReference {
        api_version: O::API_VERSION.to_owned(),
        kind: O::KIND.to_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: uid(meta).to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The object as Events name it.
pub(super) fn reference<O>(object: &O) -> ObjectReference
where
    O: k8s_openapi::Resource + k8s_openapi::Metadata<Ty = ObjectMeta>,
{
    let meta = object.metadata();
    ObjectReference {
        api_version: Some(O::API_VERSION.to_owned()),
        kind: Some(O::KIND.to_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

pub(super) fn uid(meta: &ObjectMeta) -> &str {
    meta.uid.as_deref().unwrap_or_default()
}

pub(super) fn namespace(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().unwrap_or_default()
}

/// The revision of the object's last change, for [`Cache::reached`].
pub(super) fn revision(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The key of the one of the kind `O` who manages the object.
pub(super) fn owner_of<O: Object, K: Object>(object: &K) -> Option<ObjectKey> {
    let meta = object.metadata();
    let is_one =
        |owner: &&OwnerReference| owner.kind == O::KIND && owner.api_version == O::API_VERSION;
    let owner = controller_of(meta).filter(is_one)?;
    Some(ObjectKey::new(namespace(meta), owner.name.clone()))
}

/// Whom a change of an object concerns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Concern {
    /// The one who manages it.
    Owner(ObjectKey),
    /// Whoever would take it up: nobody manages it. Its namespace and labels.
    Free(String, Vec<(String, String)>),
}

impl Concern {
    /// As seen by owners of the kind `O`; `None` if it is managed by somebody of another kind.
    pub(super) fn of<O: Object, K: Object>(object: &K) -> Option<Self> {
        let meta = object.metadata();
        if controller_of(meta).is_some() {
            return owner_of::<O, K>(object).map(Self::Owner);
        }
        let labels = meta.labels.iter().flatten();
        let labels = labels.map(|(key, value)| (key.clone(), value.clone()));
        Some(Self::Free(namespace(meta).to_owned(), labels.collect()))
    }

    /// The keys of those concerned.
    pub(super) fn keys<O: Object>(
        self,
        owners: &Cache<O>,
        selector: impl Fn(&O) -> Labels,
    ) -> Vec<ObjectKey> {
        match self {
            Self::Owner(key) => vec![key],
            Self::Free(namespace, labels) => {
                let labels = labels.into_iter().collect();
                let mut owners = owners.list_in(&namespace);
                owners.retain(|owner| selector(owner).matches(&labels));
                owners.iter().map(|owner| key_of(&**owner)).collect()
            }
        }
    }
}

/// What an owner does about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stake {
    Keep,
    Adopt,
    Release,
    Leave,
}

/// Decides by labels and references alone. An owner that is being deleted lets everything stay as it is.
fn stake(object: &ObjectMeta, owner: &ObjectMeta, selector: &Labels) -> Stake {
    let none = BTreeMap::new();
    let fits = selector.matches(object.labels.as_ref().unwrap_or(&none));
    let going = owner.deletion_timestamp.is_some();
    match controller_of(object) {
        Some(controller) if controller.uid != uid(owner) => Stake::Leave,
        Some(_) if fits => Stake::Keep,
        Some(_) if going => Stake::Leave,
        Some(_) => Stake::Release,
        None if fits && !going && object.deletion_timestamp.is_none() => Stake::Adopt,
        None => Stake::Leave,
    }
}

/// The objects that `owner` manages and its selector picks; takes up those that nobody manages, and lets
/// go of those that the selector no longer picks. Only objects for which `counts` holds are looked at.
///
/// # Errors
/// If the API server refuses an adoption or a release for another reason than that the object has gone.
pub(super) async fn claim<O: Object, K: Object>(
    client: &kube::Client,
    owner: &O,
    selector: &Labels,
    cache: &Cache<K>,
    counts: impl Fn(&K) -> bool,
) -> Result<Vec<Arc<K>>, kube::Error> {
    let own = cache.controlled_by(uid(owner.metadata()));
    claim_of(client, owner, selector, cache, own, counts, None).await
}

/// [`claim`] for an owner who knows which objects are its own, and who holds them by a finalizer: it comes
/// and goes with the ownership.
///
/// # Errors
/// As [`claim`].
pub(super) async fn claim_of<O: Object, K: Object>(
    client: &kube::Client,
    owner: &O,
    selector: &Labels,
    cache: &Cache<K>,
    own: Vec<Arc<K>>,
    counts: impl Fn(&K) -> bool,
    finalizer: Option<&str>,
) -> Result<Vec<Arc<K>>, kube::Error> {
    let meta = owner.metadata();
    let namespace = namespace(meta);
    let mut objects = own;
    if meta.deletion_timestamp.is_none() {
        objects.extend(cache.uncontrolled_in(namespace));
    }
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let mut may_adopt = None;
    let mut kept = Vec::with_capacity(objects.len());
    let mut written = 0;
    for object in objects.into_iter().filter(|object| counts(object)) {
        let change = match stake(object.metadata(), meta, selector) {
            Stake::Keep => {
                kept.push(object);
                continue;
            }
            Stake::Leave => continue,
            Stake::Release => {
                let mut change = released(object.metadata(), meta);
                if let Some(finalizer) = finalizer {
                    change["metadata"]["$deleteFromPrimitiveList/finalizers"] = json!([finalizer]);
                }
                change
            }
            Stake::Adopt => {
                if may_adopt.is_none() {
                    may_adopt = Some(is_alive(client, owner).await?);
                }
                if may_adopt != Some(true) {
                    continue;
                }
                let mut change = json!({"metadata": {"uid": uid(object.metadata()),
                    "ownerReferences": [managed_by(owner)]}});
                if let Some(finalizer) = finalizer {
                    change["metadata"]["finalizers"] = json!([finalizer]);
                }
                change
            }
        };
        let adopts = controller_of(object.metadata()).is_none();
        let name = object.metadata().name.as_deref().unwrap_or_default();
        debug!(%name, adopts, "Changing hands");
        match api.patch(name, &PatchParams::default(), &Patch::Strategic(&change)).await {
            Ok(object) => {
                written = written.max(revision(object.metadata()));
                if adopts {
                    kept.push(Arc::new(object));
                }
            }
            // It is gone, or another one has its name.
            Err(error) if is_gone(&error) || is_another(&error) => {}
            Err(error) => return Err(error),
        }
    }
    cache.reached(written).await;
    Ok(kept)
}

/// A strategic merge patch that takes one owner away.
pub(super) fn released(object: &ObjectMeta, owner: &ObjectMeta) -> Value {
    json!({"metadata": {"uid": uid(object),
        "ownerReferences": [{"$patch": "delete", "uid": uid(owner)}]}})
}

/// 409 or 422: the object of that name has another uid.
fn is_another(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 || status.code == 422)
}

/// Asks the API server itself: a cache may be behind, and whoever is going must not take up anything.
async fn is_alive<O: Object>(client: &kube::Client, owner: &O) -> Result<bool, kube::Error> {
    let meta = owner.metadata();
    let api: Api<O> = Api::namespaced(client.clone(), namespace(meta));
    match api.get(meta.name.as_deref().unwrap_or_default()).await {
        Ok(fresh) => {
            let fresh = fresh.metadata();
            Ok(fresh.uid == meta.uid && fresh.deletion_timestamp.is_none())
        }
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(object: Value, owner_is_going: bool, expect: Stake) {
        let deleted = owner_is_going.then_some("2026-01-01T00:00:00Z");
        let owner = json!({"uid": "me", "deletionTimestamp": deleted});
        let object = serde_json::from_value(object).unwrap();
        let owner = serde_json::from_value(owner).unwrap();
        let selector = Labels::parse("app=a").unwrap();
        assert_eq!(stake(&object, &owner, &selector), expect);
    }

    #[test]
    fn what_fits_and_is_free_is_adopted_and_what_no_longer_fits_is_let_go() {
        let owners = |uid: &str| json!([{"apiVersion": "v1", "kind": "X", "name": "x", "uid": uid, "controller": true}]);
        let fits = json!({"app": "a"});
        check(json!({"labels": fits, "ownerReferences": owners("me")}), false, Stake::Keep);
        check(json!({"labels": fits, "ownerReferences": owners("me")}), true, Stake::Keep);
        check(json!({"ownerReferences": owners("me")}), false, Stake::Release);
        check(json!({"ownerReferences": owners("me")}), true, Stake::Leave);
        check(json!({"labels": fits, "ownerReferences": owners("you")}), false, Stake::Leave);
        check(json!({"labels": fits}), false, Stake::Adopt);
        check(json!({"labels": fits}), true, Stake::Leave);
        check(json!({}), false, Stake::Leave);
        let going = json!({"labels": fits, "deletionTimestamp": "2026-01-01T00:00:00Z"});
        check(going, false, Stake::Leave);
    }
}
