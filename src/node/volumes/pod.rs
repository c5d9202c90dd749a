//! All volumes of one Pod.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Notify;

use super::mounter::{Context, Error, Mounted, Mounter};
use super::node::Shared;
use crate::api::downward::Facts;

/// A Pod's volumes, set up or not. Dropping it lets go of them; their files are removed when
/// the Pod has ended.
pub(in crate::node) struct PodVolumes {
    node: Arc<Shared>,
    facts: Facts,
    directory: PathBuf,
    volumes: Vec<One>,
    changed: Arc<Notify>,
}

struct One {
    name: String,
    /// Or why there is none.
    mounter: Result<Box<dyn Mounter>, String>,
    mounted: Option<Mounted>,
    again_at: Option<Timestamp>,
}

impl PodVolumes {
    pub(super) fn new(node: Arc<Shared>, pod: &Pod, facts: Facts, directory: PathBuf) -> Self {
        let spec = pod.spec.as_ref();
        let volumes = spec.and_then(|spec| spec.volumes.as_ref()).into_iter().flatten();
        let volumes: Vec<One> = volumes
            .map(|volume| One {
                name: volume.name.clone(),
                mounter: super::mounter(volume),
                mounted: None,
                again_at: None,
            })
            .collect();
        let changed = Arc::new(Notify::new());
        let mounters = volumes.iter().filter_map(|volume| volume.mounter.as_ref().ok());
        let shown = mounters.flat_map(|mounter| mounter.shows(pod)).collect();
        node.interests.add(shown, &changed);
        Self { node, facts, directory, volumes, changed }
    }

    /// Told when an object that a volume shows, or is made of, has changed.
    pub(in crate::node) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Makes the volumes, or brings them up to date. Answers what of that failed, as texts for Events
    /// of the reason `FailedMount`; it is safe to call it again.
    pub(in crate::node) async fn set_up(&mut self, pod: &Pod) -> Vec<String> {
        let mut failures = Vec::new();
        let mut unknown = Vec::new();
        for volume in &mut self.volumes {
            let ctx = Context {
                node: &self.node,
                pod,
                facts: &self.facts,
                name: &volume.name,
                directory: &self.directory,
            };
            let done = match &mut volume.mounter {
                Ok(mounter) => mounter.set_up(&ctx).await,
                Err(why) => Err(Error::from(why.clone())),
            };
            match done {
                Ok(done) => {
                    volume.again_at = done.again_at;
                    volume.mounted = Some(done.mounted);
                }
                Err(Error::SetUp { volume: other, why }) => {
                    let name = other.as_ref().unwrap_or(&volume.name);
                    let text = format!("MountVolume.SetUp failed for volume {name:?} : {why}");
                    failures.push(text);
                }
                Err(Error::Process(why)) => unknown.push((volume.name.clone(), why)),
            }
        }
        failures.extend(self.unprocessed(&unknown));
        failures
    }

    /// One text for all whose volume is not known yet.
    ///
    /// Upstream: `WaitForAttachAndMount` in `pkg/kubelet/volumemanager/volume_manager.go`.
    fn unprocessed(&self, unknown: &[(String, String)]) -> Option<String> {
        if unknown.is_empty() {
            return None;
        }
        let missing = self.volumes.iter().filter(|volume| volume.mounted.is_none());
        let mut missing: Vec<&str> = missing.map(|volume| volume.name.as_str()).collect();
        missing.sort_unstable();
        let names: Vec<&str> = unknown.iter().map(|(name, _)| name.as_str()).collect();
        let why: Vec<&str> = unknown.iter().map(|(_, why)| why.as_str()).collect();
        Some(format!(
            "Unable to attach or mount volumes: unmounted volumes=[{}], unattached volumes=[], \
             failed to process volumes=[{}]: {}",
            missing.join(" "),
            names.join(" "),
            why.join("; ")
        ))
    }

    /// All volumes by name, once each of them is there.
    pub(in crate::node) fn mounted(&self) -> Option<HashMap<String, Mounted>> {
        let each = self.volumes.iter();
        each.map(|volume| Some((volume.name.clone(), volume.mounted.clone()?))).collect()
    }

    /// When they are to be set up again, whatever happens.
    pub(in crate::node) fn again_at(&self) -> Option<Timestamp> {
        self.volumes.iter().filter_map(|volume| volume.again_at).min()
    }
}
