//! The roles and bindings that every cluster has: made when they are missing, completed when they lack
//! something.
//!
//! Upstream: the post-start hook `rbac/bootstrap-roles` (`pkg/registry/rbac/rest/storage_rbac.go`). There
//! it holds up readiness; here what must work from the first moment does without roles, so that it need
//! not.

use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, DeleteParams, PostParams};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::auth::bootstrap::{cluster_role_bindings, cluster_roles, merged_binding, merged_role};
use crate::api::object::ObjectKey;
use crate::client::cache::{Cache, key_of};
use crate::client::clock::Clock;

/// Between two attempts, when the store takes nothing (a full disk).
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Where the objects are seen.
pub(super) struct Caches {
    pub(super) roles: Cache<ClusterRole>,
    pub(super) bindings: Cache<ClusterRoleBinding>,
}

/// Brings all of them there; returns when they are, or at `stop`.
pub(super) async fn ensure(
    client: kube::Client,
    caches: Caches,
    clock: Clock,
    stop: CancellationToken,
) {
    let attempts = async {
        while let Err(error) = attempt(&client, &caches).await {
            warn!(%error, "Failed to make the cluster's roles");
            clock.sleep(AGAIN_AFTER).await;
        }
        debug!("The cluster's roles are there");
    };
    stop.run_until_cancelled(attempts).await;
}

/// All at once, so that the store takes them in few batches. The roles first: a binding to a role that is
/// not there is told in every refusal.
async fn attempt(client: &kube::Client, caches: &Caches) -> Result<(), kube::Error> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let missing = cluster_roles().into_iter().map(|role| ensure_role(&roles, &caches.roles, role));
    try_join_all(missing).await?;
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let missing = cluster_role_bindings();
    let missing =
        missing.into_iter().map(|binding| ensure_binding(&bindings, &caches.bindings, binding));
    try_join_all(missing).await?;
    Ok(())
}

async fn ensure_role(
    api: &Api<ClusterRole>,
    cache: &Cache<ClusterRole>,
    wanted: ClusterRole,
) -> Result<(), kube::Error> {
    let key = key_of(&wanted);
    let written = match cache.get(&key) {
        None => api.create(&PostParams::default(), &wanted).await,
        Some(there) => match merged_role(&there, &wanted) {
            None => return Ok(()),
            Some(merged) => api.replace(&key.name, &PostParams::default(), &merged).await,
        },
    };
    unless_raced(written)
}

async fn ensure_binding(
    api: &Api<ClusterRoleBinding>,
    cache: &Cache<ClusterRoleBinding>,
    wanted: ClusterRoleBinding,
) -> Result<(), kube::Error> {
    let key: ObjectKey = key_of(&wanted);
    let written = match cache.get(&key) {
        None => api.create(&PostParams::default(), &wanted).await,
        // A binding keeps its role for ever: one to another role makes place.
        Some(there) if there.role_ref != wanted.role_ref => {
            api.delete(&key.name, &DeleteParams::default()).await?;
            api.create(&PostParams::default(), &wanted).await
        }
        Some(there) => match merged_binding(&there, &wanted) {
            None => return Ok(()),
            Some(merged) => api.replace(&key.name, &PostParams::default(), &merged).await,
        },
    };
    unless_raced(written)
}

/// Somebody else was faster: then it is as they want it.
fn unless_raced<K>(written: Result<K, kube::Error>) -> Result<(), kube::Error> {
    match written {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        written => written.map(drop),
    }
}
