//! Empties a namespace that is being deleted, then lets it go.
//!
//! Upstream: `pkg/controller/namespace/deletion/namespaced_resources_deleter.go`.

use http::Request;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use serde::Deserialize;
use tracing::info;

use super::Context;
use super::reconcile::{self, is_gone};

/// The finalizer that this controller takes away.
const FINALIZER: &str = "kubernetes";

pub(super) async fn run(ctx: Context) {
    let keys = ctx.caches.namespaces.changes();
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("namespace-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move {
            match ctx.caches.namespaces.get(&key) {
                Some(namespace) if needs_us(&namespace) => {
                    empty_and_finalize(&ctx, &namespace).await
                }
                _ => Ok(()),
            }
        }
    })
    .await;
}

fn needs_us(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
        && !finalizers_without_ours(namespace).1.is_empty()
}

/// The finalizers that stay, and those that go.
fn finalizers_without_ours(namespace: &Namespace) -> (Vec<String>, Vec<String>) {
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.clone());
    finalizers.unwrap_or_default().into_iter().partition(|finalizer| finalizer != FINALIZER)
}

/// Asks for the deletion of everything in the namespace. What is still there afterwards (Pods that
/// their node has yet to end) makes this fail, and so be tried again.
async fn empty_and_finalize(ctx: &Context, namespace: &Namespace) -> Result<(), kube::Error> {
    let name = namespace.metadata.name.as_deref().unwrap_or_default();
    let mut left = Vec::new();
    for resource in resources(&ctx.client).await? {
        let collection = format!("{}/namespaces/{name}/{}", resource.path, resource.plural);
        delete_all(&ctx.client, &collection).await?;
        let count = count(&ctx.client, &collection).await?;
        if count > 0 {
            left.push(format!("{} {count}", resource.plural));
        }
    }
    if !left.is_empty() {
        return Err(still_there(&left));
    }
    finalize(&ctx.client, namespace).await?;
    info!(namespace = %name, "Emptied; it may go");
    Ok(())
}

async fn finalize(client: &kube::Client, namespace: &Namespace) -> Result<(), kube::Error> {
    let name = namespace.metadata.name.as_deref().unwrap_or_default();
    let mut namespace = namespace.clone();
    let (stay, _) = finalizers_without_ours(&namespace);
    namespace.spec.get_or_insert_default().finalizers = Some(stay);
    let api: Api<Namespace> = Api::all(client.clone());
    match api.replace_subresource("finalize", name, &PostParams::default(), &namespace).await {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn still_there(left: &[String]) -> kube::Error {
    let text = format!("the namespace still holds: {}", left.join(", "));
    kube::Error::Service(text.into())
}

/// A namespaced kind whose objects can be deleted together.
#[derive(Debug)]
struct Resource {
    /// `/api/v1`, `/apis/apps/v1` …
    path: String,
    plural: String,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    preferred_version: GroupVersion,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

#[derive(Deserialize)]
struct ResourceList {
    resources: Vec<ApiResource>,
}

#[derive(Deserialize)]
struct ApiResource {
    name: String,
    namespaced: bool,
    verbs: Vec<String>,
}

/// What the server has, by discovery: a kind that comes later needs no line here.
async fn resources(client: &kube::Client) -> Result<Vec<Resource>, kube::Error> {
    let groups: Groups = get(client, "/apis").await?;
    let of_groups = groups
        .groups
        .into_iter()
        .map(|group| format!("/apis/{}", group.preferred_version.group_version));
    let mut resources = Vec::new();
    for path in std::iter::once("/api/v1".to_owned()).chain(of_groups) {
        let list: ResourceList = get(client, &path).await?;
        let deletable = list.resources.into_iter().filter(is_deletable);
        resources.extend(
            deletable.map(|resource| Resource { path: path.clone(), plural: resource.name }),
        );
    }
    Ok(resources)
}

fn is_deletable(resource: &ApiResource) -> bool {
    let can = |verb: &str| resource.verbs.iter().any(|known| known == verb);
    resource.namespaced && can("deletecollection") && can("list") && !resource.name.contains('/')
}

async fn get<T: serde::de::DeserializeOwned>(
    client: &kube::Client,
    path: &str,
) -> Result<T, kube::Error> {
    client.request(request("GET", path)?).await
}

async fn delete_all(client: &kube::Client, collection: &str) -> Result<(), kube::Error> {
    client.request_text(request("DELETE", collection)?).await.map(drop)
}

async fn count(client: &kube::Client, collection: &str) -> Result<usize, kube::Error> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<serde::de::IgnoredAny>,
    }
    let list: List = get(client, collection).await?;
    Ok(list.items.len())
}

fn request(method: &str, path: &str) -> Result<Request<Vec<u8>>, kube::Error> {
    let request = Request::builder().method(method).uri(path).body(Vec::new());
    request.map_err(kube::Error::HttpError)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace(deleted: bool, finalizers: &[&str]) -> Namespace {
        let deleted = deleted.then_some("2026-01-01T00:00:00Z");
        serde_json::from_value(json!({
            "metadata": { "name": "n", "deletionTimestamp": deleted },
            "spec": { "finalizers": finalizers },
        }))
        .unwrap()
    }

    #[test]
    fn only_a_deleted_namespace_with_our_finalizer_needs_us() {
        assert!(needs_us(&namespace(true, &["kubernetes", "other"])));
        assert!(!needs_us(&namespace(false, &["kubernetes"])));
        assert!(!needs_us(&namespace(true, &["other"])));
        let (stay, _) = finalizers_without_ours(&namespace(true, &["kubernetes", "other"]));
        assert_eq!(stay, ["other"]);
    }

    #[test]
    fn subresources_and_cluster_scoped_kinds_are_not_emptied() {
        let resource = |name: &str, namespaced: bool, verbs: &[&str]| ApiResource {
            name: name.to_owned(),
            namespaced,
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        };
        assert!(is_deletable(&resource("pods", true, &["deletecollection", "list"])));
        assert!(!is_deletable(&resource("pods/status", true, &["deletecollection", "list"])));
        assert!(!is_deletable(&resource("nodes", false, &["deletecollection", "list"])));
        assert!(!is_deletable(&resource("bindings", true, &["create"])));
    }
}
