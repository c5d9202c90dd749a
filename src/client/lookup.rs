//! One object by its name: from a cache, or else from the API server.

use std::fmt;
use std::sync::Arc;

use kube::Client;
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;

use super::cache::{Cache, Cached};
use crate::api::object::ObjectKey;

/// The object, if there is one. What the cache does not have is asked for once: it may be a moment
/// behind whoever made the object and then named it.
///
/// # Errors
/// If the API server had to be asked and did not answer.
pub async fn look_up<K>(
    cache: &Cache<K>,
    client: &Client,
    key: &ObjectKey,
) -> Result<Option<Arc<K>>, kube::Error>
where
    K: Cached
        + kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + fmt::Debug,
{
    if let Some(found) = cache.get(key) {
        return Ok(Some(found));
    }
    let api: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    Ok(api.get_opt(&key.name).await?.map(Arc::new))
}
