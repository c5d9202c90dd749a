//! Every namespace has a ServiceAccount `default`.
//!
//! Upstream: `pkg/controller/serviceaccount/serviceaccounts_controller.go`.

use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use tracing::info;

use super::Context;
use super::reconcile;
use crate::api::object::ObjectKey;

const NAME: &str = "default";

pub(super) async fn run(ctx: Context) {
    ctx.caches.service_accounts.synced().await;
    let namespaces = ctx.caches.namespaces.changes();
    // A deleted account is made anew: its namespace is the key to look at.
    let accounts = ctx.caches.service_accounts.changes();
    let owners = accounts.map(|key| ObjectKey::new("", key.namespace));
    let keys = stream::select(namespaces, owners);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("service-account-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { ensure(&ctx, &key).await }
    })
    .await;
}

async fn ensure(ctx: &Context, key: &ObjectKey) -> Result<(), kube::Error> {
    let Some(namespace) = ctx.caches.namespaces.get(key) else { return Ok(()) };
    let account = ObjectKey::new(key.name.as_str(), NAME);
    if is_terminating(&namespace) || ctx.caches.service_accounts.get(&account).is_some() {
        return Ok(());
    }
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(key.name.clone()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    let api: Api<ServiceAccount> = Api::namespaced(ctx.client.kube(), &key.name);
    match api.create(&PostParams::default(), &account).await {
        // It is there already (the cache was behind), or the namespace is going.
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 409) => Ok(()),
        outcome => {
            outcome?;
            info!(namespace = %key.name, "Made the ServiceAccount default");
            Ok(())
        }
    }
}

fn is_terminating(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
}
