//! `emptyDir`: a directory that lives until the Pod has ended, whatever becomes of its containers.
//!
//! A size limit is held at once: a write that exceeds it fails for want of space. Upstream lets it pass
//! and evicts the Pod. `medium: Memory` is a directory as well, as large as upstream's tmpfs would be.
//!
//! Upstream: `pkg/volume/emptydir/empty_dir.go`.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use k8s_openapi::api::core::v1::{Container, EmptyDirVolumeSource, Pod, Volume};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::mounter::{Context, Error, Mounted, Mounter, SetUp, blocking};
use crate::api::quantity::Quantity;
use crate::node::files::{self, Quota};

struct EmptyDir {
    source: EmptyDirVolumeSource,
    mounted: Option<Mounted>,
}

pub(super) fn of(volume: &Volume) -> Option<Box<dyn Mounter>> {
    let source = volume.empty_dir.clone()?;
    Some(Box::new(EmptyDir { source, mounted: None }))
}

#[async_trait]
impl Mounter for EmptyDir {
    async fn set_up(&mut self, ctx: &Context<'_>) -> Result<SetUp, Error> {
        if let Some(mounted) = &self.mounted {
            return Ok(mounted.clone().into());
        }
        let memory = ctx.facts.allocatable.get("memory").and_then(bytes);
        let bytes_max = bytes_max(&self.source, ctx.pod, memory)?;
        let path = ctx.path();
        let volume = blocking(move || {
            open(&path, bytes_max).map_err(|error| format!("failed to make it: {error}"))
        });
        let mounted = Mounted::new(volume.await?, false);
        self.mounted = Some(mounted.clone());
        Ok(mounted.into())
    }
}

/// Makes the directory, or takes up the one that an earlier sampan made.
fn open(path: &Path, bytes_max: Option<u64>) -> files::Result<files::Volume> {
    std::fs::create_dir_all(path)?;
    let dir = Dir::open_ambient_dir(path, ambient_authority())?;
    Ok(match bytes_max {
        None => files::Volume::from(dir),
        Some(bytes_max) => {
            let quota = Quota::scan(bytes_max, &dir)?;
            files::Volume::with_quota(dir, Arc::new(quota))
        }
    })
}

/// How much it may hold. `memory`: the node's, in bytes.
///
/// # Errors
/// An unknown medium.
fn bytes_max(
    source: &EmptyDirVolumeSource,
    pod: &Pod,
    memory: Option<u64>,
) -> Result<Option<u64>, String> {
    let limit = source.size_limit.as_ref().and_then(bytes).filter(|limit| *limit > 0);
    match source.medium.as_deref().unwrap_or_default() {
        // The Pod's limit counts what is in it.
        "" if limit.is_none() && has_storage_limit(pod) => Ok(Some(u64::MAX)),
        "" => Ok(limit),
        "Memory" => Ok(limit.into_iter().chain(memory_limit(pod)).chain(memory).min()),
        other => Err(format!("unknown storage medium {other:?}")),
    }
}

/// Of all containers together, if each has one; in bytes.
fn memory_limit(pod: &Pod) -> Option<u64> {
    let limit = |container: &Container| {
        bytes(container.resources.as_ref()?.limits.as_ref()?.get("memory")?)
    };
    let containers = &pod.spec.as_ref()?.containers;
    containers.iter().map(limit).sum::<Option<u64>>().filter(|sum| *sum > 0)
}

/// Whether a container may use so much of the disk only.
fn has_storage_limit(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let init = spec.init_containers.iter().flatten();
    spec.containers.iter().chain(init).any(|container| {
        let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        limits.is_some_and(|limits| limits.contains_key("ephemeral-storage"))
    })
}

fn bytes(quantity: &ApiQuantity) -> Option<u64> {
    u64::try_from(Quantity::of(quantity).ok()?.value()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(source: Value, limits: &[&str], expect: Result<Option<u64>, &str>) {
        let container = |limit: &&str| {
            let limits = if limit.is_empty() { json!({}) } else { json!({"memory": limit}) };
            json!({"name": "c", "resources": {"limits": limits}})
        };
        let containers: Vec<Value> = limits.iter().map(container).collect();
        let pod = json!({"metadata": {}, "spec": {"containers": containers}});
        let source = serde_json::from_value(source).unwrap();
        let found = bytes_max(&source, &serde_json::from_value(pod).unwrap(), Some(1 << 30));
        assert_eq!(found, expect.map_err(str::to_owned));
    }

    #[test]
    fn a_disk_is_bounded_by_the_size_limit_alone() {
        check(json!({}), &["1Mi"], Ok(None));
        check(json!({"sizeLimit": "0"}), &["1Mi"], Ok(None));
        check(json!({"sizeLimit": "10Mi"}), &["1Mi"], Ok(Some(10 << 20)));
    }

    #[test]
    fn memory_is_bounded_by_what_the_pod_may_use() {
        check(json!({"medium": "Memory"}), &[""], Ok(Some(1 << 30)));
        check(json!({"medium": "Memory"}), &["1Mi", "2Mi"], Ok(Some(3 << 20)));
        check(json!({"medium": "Memory"}), &["1Mi", ""], Ok(Some(1 << 30)));
        check(json!({"medium": "Memory", "sizeLimit": "1Ki"}), &["1Mi"], Ok(Some(1 << 10)));
        check(json!({"medium": "Memory", "sizeLimit": "8Mi"}), &["1Mi"], Ok(Some(1 << 20)));
    }

    #[test]
    fn other_media_are_refused() {
        check(json!({"medium": "HugePages"}), &[], Err("unknown storage medium \"HugePages\""));
    }
}
