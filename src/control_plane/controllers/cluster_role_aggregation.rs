//! ClusterRoles with an `aggregationRule` have the rules of those that it selects, and no others.
//!
//! Upstream: `pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go`.

use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, PostParams};
use tracing::debug;

use super::Context;
use super::ownership::revision;
use super::reconcile::{self, is_gone};
use crate::client::cache::key_of;
use crate::control_plane::auth::rbac::aggregate;

pub(super) async fn run(ctx: Context) {
    ctx.caches.cluster_roles.synced().await;
    let roles = ctx.caches.cluster_roles.clone();
    // A change of any role may change each that gathers.
    let keys = ctx.caches.cluster_roles.changes().flat_map(move |_| {
        let gathering = roles.list().into_iter().filter(|role| role.aggregation_rule.is_some());
        stream::iter(gathering.map(|role| key_of(&*role).name).collect::<Vec<_>>())
    });
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("clusterrole-aggregation-controller", clock, stop, keys, |name| {
        let ctx = ctx.clone();
        async move { gather(&ctx, &name).await }
    })
    .await;
}

async fn gather(ctx: &Context, name: &str) -> Result<(), kube::Error> {
    let roles = ctx.caches.cluster_roles.list();
    let named = |role: &&std::sync::Arc<ClusterRole>| role.metadata.name.as_deref() == Some(name);
    let Some(role) = roles.iter().find(named) else { return Ok(()) };
    let Some(rule) = &role.aggregation_rule else { return Ok(()) };
    let rules = aggregate(name, rule, &roles);
    if rules == role.rules.as_deref().unwrap_or_default() {
        return Ok(());
    }
    debug!(role = %name, rules = rules.len(), "Gathered");
    // Refused if the role is another by now; the cache will tell of it.
    let gathered = ClusterRole { rules: Some(rules), ..(**role).clone() };
    let api: Api<ClusterRole> = Api::all(ctx.client.kube());
    match api.replace(name, &PostParams::default(), &gathered).await {
        Err(error) if is_gone(&error) => Ok(()),
        written => {
            ctx.caches.cluster_roles.reached(revision(&written?.metadata)).await;
            Ok(())
        }
    }
}
