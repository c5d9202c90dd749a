//! Writes whose answer is not read as the object that it is: who writes often wants to know what the
//! object is called and at which revision, and to decode a Pod takes as long as to write one.

use http::Request;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Error, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ApiClient;

/// What became of a write.
#[derive(Debug)]
pub(crate) struct Written {
    /// As the server chose it, if that was left to it.
    pub(crate) name: String,
    /// 0 if the answer has none that is a number.
    pub(crate) revision: u64,
}

/// Creates an object in a namespace.
///
/// # Errors
/// As [`kube::Api::create`].
pub(crate) async fn create<K>(
    client: &ApiClient,
    namespace: &str,
    object: &K,
) -> Result<Written, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
{
    let bytes = serde_json::to_vec(object).map_err(Error::SerdeError)?;
    let request = collection::<K>(namespace).create(&PostParams::default(), bytes);
    send(client, request).await
}

/// Changes an object of the kind `K`, or its `subresource`.
///
/// # Errors
/// As [`kube::Api::patch`].
pub(crate) async fn patch<K>(
    client: &ApiClient,
    (namespace, name): (&str, &str),
    subresource: Option<&str>,
    patch: &Patch<impl Serialize>,
) -> Result<Written, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let (collection, params) = (collection::<K>(namespace), PatchParams::default());
    let request = match subresource {
        Some(subresource) => collection.patch_subresource(subresource, name, &params, patch),
        None => collection.patch(name, &params, patch),
    };
    send(client, request).await
}

/// Creates an object in a subresource of one of the kind `K`, and decodes what comes back.
///
/// # Errors
/// As [`kube::Api::create_subresource`].
pub(crate) async fn create_subresource<K, T>(
    client: &ApiClient,
    (namespace, name): (&str, &str),
    subresource: &str,
    object: &impl Serialize,
) -> Result<T, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    T: DeserializeOwned,
{
    let bytes = serde_json::to_vec(object).map_err(Error::SerdeError)?;
    let params = PostParams::default();
    let request = collection::<K>(namespace).create_subresource(subresource, name, &params, bytes);
    client.ask(request.map_err(Error::BuildRequest)?).await
}

fn collection<K>(namespace: &str) -> kube::core::Request
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    kube::core::Request::new(K::url_path(&(), Some(namespace)))
}

async fn send(
    client: &ApiClient,
    request: Result<Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Written, Error> {
    /// Only what is named is decoded.
    #[derive(Deserialize)]
    struct Answer {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        name: String,
        resource_version: String,
    }
    let request = request.map_err(Error::BuildRequest)?;
    let Answer { metadata } = client.ask(request).await?;
    let revision = metadata.resource_version.parse().unwrap_or_default();
    Ok(Written { name: metadata.name, revision })
}
