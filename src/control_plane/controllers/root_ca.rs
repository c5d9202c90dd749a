//! Every namespace has a ConfigMap `kube-root-ca.crt`, by which its Pods know the API server.
//!
//! Upstream: `pkg/controller/certificates/rootcacertpublisher/publisher.go`.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use tracing::info;

use super::Context;
use super::reconcile;
use crate::api::object::ObjectKey;

/// Of the ConfigMap.
pub(in crate::control_plane) const NAME: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";

const DESCRIPTION_ANNOTATION: &str = "kubernetes.io/description";
const DESCRIPTION: &str = "Verifies the API server at its addresses inside the cluster, such as \
    kubernetes.default.svc, and nothing else.";

pub(super) async fn run(ctx: Context) {
    ctx.caches.config_maps.synced().await;
    let namespaces = ctx.caches.namespaces.changes();
    // One that is deleted or changed is made anew: its namespace is the key to look at.
    let maps = ctx.caches.config_maps.changes();
    let maps = maps.filter(|key| futures::future::ready(key.name == NAME));
    let owners = maps.map(|key| ObjectKey::new("", key.namespace));
    let keys = stream::select(namespaces, owners);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("root-ca-cert-publisher", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { publish(&ctx, &key).await }
    })
    .await;
}

async fn publish(ctx: &Context, key: &ObjectKey) -> Result<(), kube::Error> {
    let Some(namespace) = ctx.caches.namespaces.get(key) else { return Ok(()) };
    if namespace.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let api: Api<ConfigMap> = Api::namespaced(ctx.client.kube(), &key.name);
    let data = BTreeMap::from([(KEY.to_owned(), ctx.settings.root_ca.to_string())]);
    let there = ctx.caches.config_maps.get(&ObjectKey::new(key.name.as_str(), NAME));
    let written = match there {
        Some(there) if there.data.as_ref() == Some(&data) => return Ok(()),
        Some(there) => {
            let map = ConfigMap { data: Some(data), ..(*there).clone() };
            api.replace(NAME, &PostParams::default(), &map).await
        }
        None => api.create(&PostParams::default(), &root_ca(data)).await,
    };
    match written {
        // The namespace is going, or the cache is behind: then it will tell of the other one.
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 409) => Ok(()),
        outcome => {
            outcome?;
            info!(namespace = %key.name, "Published the CA");
            Ok(())
        }
    }
}

fn root_ca(data: BTreeMap<String, String>) -> ConfigMap {
    let annotation = (DESCRIPTION_ANNOTATION.to_owned(), DESCRIPTION.to_owned());
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            annotations: Some([annotation].into()),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..ConfigMap::default()
    }
}
