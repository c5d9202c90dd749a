//! Containers that come while the Pod runs.

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};

use super::machine::PodWorker;
use super::record::{ContainerRecord, Kind};
use crate::api::pod::as_container;

impl PodWorker {
    /// The object has changed: it may have got ephemeral containers, or less time to run or to end. A
    /// Pod whose work is over takes no more of them. Nothing else that the machine decides by can change.
    pub(in crate::node::kubelet) fn update(&mut self, pod: &Pod) {
        self.note_deletion(pod);
        pod.spec.iter().for_each(|spec| self.note_deadline(spec));
        if let Some(spec) = &pod.spec
            && self.ending.is_none()
            && !self.apps_are_done()
        {
            self.add_ephemeral(spec, None);
        }
    }

    /// Of a Pod that has ended by its status only those that it speaks of.
    pub(super) fn add_ephemeral(&mut self, spec: &PodSpec, status: Option<&PodStatus>) {
        for container in spec.ephemeral_containers.iter().flatten() {
            let name = &container.name;
            let is_known = self.containers.iter().any(|known| known.name == *name);
            if !is_known && status.is_none_or(|status| !has_ended(status) || is_shown(status, name))
            {
                let (container, reason) = (as_container(container), first_reason(spec));
                self.containers.push(ContainerRecord::new(&container, Kind::Ephemeral, reason));
            }
        }
    }
}

/// What a container waits for before it is first started.
pub(super) fn first_reason(spec: &PodSpec) -> &'static str {
    match spec.init_containers.as_deref() {
        None | Some([]) => "ContainerCreating",
        Some(_) => "PodInitializing",
    }
}

fn has_ended(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

fn is_shown(status: &PodStatus, name: &str) -> bool {
    let statuses = status.ephemeral_container_statuses.iter().flatten();
    statuses.into_iter().any(|status| status.name == name)
}
