//! Tells in each ResourceQuota's status how much is used of what it allows.
//!
//! Nobody is held back by what stands there (admission counts for itself): it is for users to read.
//!
//! Upstream: `pkg/controller/resourcequota`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use kube::api::{Api, PostParams};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Context;
use super::ownership::{namespace, revision};
use super::reconcile::{self, Next, is_gone};
use crate::api::object::ObjectKey;
use crate::api::quantity::{Format, Quantity};
use crate::api::quota::{self, Usage};
use crate::client::cache::{Cache, Cached, Changes, key_of};
use crate::control_plane::registry::RESOURCES;

/// Kinds that nobody watches for quotas are counted anew after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

pub(super) async fn run(ctx: Context) {
    let caches = &ctx.caches;
    caches.quotas.synced().await;
    caches.pods.synced().await;
    caches.services.synced().await;
    caches.claims.synced().await;
    let others = stream::select_all([
        of_namespace(&caches.pods),
        of_namespace(&caches.services),
        of_namespace(&caches.claims),
        of_namespace(&caches.config_maps),
        of_namespace(&caches.deployments),
        of_namespace(&caches.replica_sets),
    ]);
    let quotas = caches.quotas.clone();
    let others = others.flat_map(move |namespace| {
        let keys: Vec<ObjectKey> =
            quotas.list_in(&namespace).iter().map(|quota| key_of(&**quota)).collect();
        stream::iter(keys)
    });
    let keys = stream::select(caches.quotas.changes(), others);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("resourcequota-controller", clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { recount(&ctx, &key).await }
    })
    .await;
}

fn of_namespace<K: Cached>(cache: &Cache<K>) -> Changes<String> {
    cache.changes_as(|object| object.metadata().namespace.clone())
}

async fn recount(ctx: &Context, key: &ObjectKey) -> Result<Next, kube::Error> {
    let Some(quota) = ctx.caches.quotas.get(key) else { return Ok(Next::Done) };
    if quota.metadata.deletion_timestamp.is_some() {
        return Ok(Next::Done);
    }
    let hard = quota::hard(&quota);
    let now = ctx.clock.now();
    let mut used = Usage::new();
    let mut is_watched = true;
    let counted: BTreeSet<(&str, &str)> = hard.keys().map(|name| quota::counted_by(name)).collect();
    for (group, plural) in counted {
        let of_kind = match (group, plural) {
            ("", "pods") => sum(&quota, &hard, group, plural, &ctx.caches.pods, now),
            ("", "services") => sum(&quota, &hard, group, plural, &ctx.caches.services, now),
            ("", "persistentvolumeclaims") => {
                sum(&quota, &hard, group, plural, &ctx.caches.claims, now)
            }
            _ => {
                is_watched = false;
                count(ctx, &quota, &hard, group, plural).await?
            }
        };
        quota::add(&mut used, &of_kind);
    }
    write(ctx, &quota, status(&quota, &hard, &used)).await?;
    Ok(if is_watched { Next::Done } else { Next::After(LOOK_AGAIN) })
}

fn sum<K: Cached>(
    quota: &ResourceQuota,
    hard: &Usage,
    group: &str,
    plural: &str,
    cache: &Cache<K>,
    now: Timestamp,
) -> Usage {
    let mut used = Usage::new();
    for object in cache.list_in(namespace(&quota.metadata)) {
        if quota::covers(quota, &*object) {
            let usage = quota::of(group, plural, &*object, now);
            quota::add(&mut used, &quota::within(hard, &usage));
        }
    }
    used
}

/// Kinds that only their number matters of. Quotas with scopes are not about them.
async fn count(
    ctx: &Context,
    quota: &ResourceQuota,
    hard: &Usage,
    group: &str,
    plural: &str,
) -> Result<Usage, kube::Error> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<IgnoredAny>,
    }
    let kind = RESOURCES
        .iter()
        .find(|kind| kind.group() == group && kind.names().plural == plural && kind.is_stored());
    let Some(kind) = kind.filter(|_| quota::covers(quota, &())) else { return Ok(Usage::new()) };
    let root = if group.is_empty() { "/api" } else { "/apis" };
    let (version, here) = (kind.api_version(), namespace(&quota.metadata));
    let path = format!("{root}/{version}/namespaces/{here}/{plural}");
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    let list: List = ctx.client.request(request).await?;
    let number =
        Quantity::new(i64::try_from(list.items.len()).unwrap_or(i64::MAX), Format::DecimalSi);
    let names = quota::of(group, plural, &(), Timestamp::UNIX_EPOCH);
    let all = names.into_keys().map(|name| (name, number)).collect();
    Ok(quota::within(hard, &all))
}

fn status(quota: &ResourceQuota, hard: &Usage, used: &Usage) -> ResourceQuotaStatus {
    let amount = |name: &String| used.get(name).copied().unwrap_or(Quantity::ZERO).to_api();
    let used: BTreeMap<String, ApiQuantity> =
        hard.keys().map(|name| (name.clone(), amount(name))).collect();
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.clone());
    ResourceQuotaStatus { hard, used: (!used.is_empty()).then_some(used) }
}

async fn write(
    ctx: &Context,
    quota: &ResourceQuota,
    status: ResourceQuotaStatus,
) -> Result<(), kube::Error> {
    if quota.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let mut changed = quota.clone();
    changed.status = Some(status);
    // Nobody else writes it: whatever is there may be replaced, if it is the same object.
    changed.metadata.resource_version = None;
    let name = quota.metadata.name.as_deref().unwrap_or_default();
    let api: Api<ResourceQuota> = Api::namespaced(ctx.client.kube(), namespace(&quota.metadata));
    match api.replace_status(name, &PostParams::default(), &changed).await {
        Ok(written) => ctx.caches.quotas.reached(revision(&written.metadata)).await,
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_status_names_all_that_is_allowed() {
        let quota: ResourceQuota =
            serde_json::from_value(json!({"spec": {"hard": {"pods": "2", "requests.cpu": "1"}}}))
                .unwrap();
        let used = [("requests.cpu".to_owned(), Quantity::from_millis(1_500))].into();
        let status = status(&quota, &quota::hard(&quota), &used);
        let expect = json!({"hard": {"pods": "2", "requests.cpu": "1"},
            "used": {"pods": "0", "requests.cpu": "1500m"}});
        assert_eq!(serde_json::to_value(status).unwrap(), expect);
    }
}
