//! The Pods that Jobs still have to do with, by Job: a Job of ten thousand looks at those that run, not at those
//! that it has counted.
//!
//! Fed by the Pods' cache whenever somebody asks, so that it shows no less than the cache does.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;

use super::pod;
use crate::api::object::ObjectKey;
use crate::client::cache::{Cache, Changes, controller_of, key_of};
use crate::control_plane::controllers::ownership::owner_of;
use crate::control_plane::controllers::pods::is_over;

/// The label of a Pod by which its Job's generated selector finds it.
const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";

pub(super) struct OpenPods {
    cache: Cache<Pod>,
    state: Mutex<State>,
}

struct State {
    /// Keys of Pods of Jobs. Every change of one has its Job looked at, which reads them: none pile up.
    changes: Changes<ObjectKey>,
    /// Bound: one entry per open Pod in each of the two.
    of_job: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    job_of: HashMap<ObjectKey, ObjectKey>,
}

impl OpenPods {
    pub(super) fn new(cache: &Cache<Pod>) -> Self {
        let is_ours = |pod: &Pod| job_of(pod).map(|_| key_of(pod));
        let state = State {
            changes: cache.changes_as(is_ours),
            of_job: HashMap::new(),
            job_of: HashMap::new(),
        };
        Self { cache: cache.clone(), state: Mutex::new(state) }
    }

    /// The open Pods whose owner has this name, as the cache shows them now.
    pub(super) fn of(&self, job: &ObjectKey) -> Vec<Arc<Pod>> {
        let mut state = self.state.lock();
        while let Some(Some(key)) = state.changes.next().now_or_never() {
            let pod = self.cache.get(&key);
            let owner = pod.filter(|pod| !is_settled(pod)).and_then(|pod| job_of(&pod));
            state.set(key, owner);
        }
        let keys = state.of_job.get(job).into_iter().flatten();
        keys.filter_map(|key| self.cache.get(key)).collect()
    }
}

impl State {
    fn set(&mut self, pod: ObjectKey, job: Option<ObjectKey>) {
        if self.job_of.get(&pod) == job.as_ref() {
            return;
        }
        if let Some(before) = self.job_of.remove(&pod)
            && let Some(pods) = self.of_job.get_mut(&before)
        {
            pods.remove(&pod);
            if pods.is_empty() {
                self.of_job.remove(&before);
            }
        }
        if let Some(job) = job {
            self.of_job.entry(job.clone()).or_default().insert(pod.clone());
            self.job_of.insert(pod, job);
        }
    }
}

fn job_of(pod: &Pod) -> Option<ObjectKey> {
    owner_of::<Job, _>(pod)
}

/// Over and counted, and still labelled as its Job's: nothing can come of it any more.
fn is_settled(pod: &Pod) -> bool {
    let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get(CONTROLLER_UID));
    let owner = controller_of(&pod.metadata).map(|owner| &owner.uid);
    is_over(pod) && !pod::is_tracked(pod) && label.is_some() && label == owner
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::cache::cache;

    fn pod(name: &str, phase: &str, finalizers: &[&str]) -> Arc<Pod> {
        Arc::new(
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "n", "finalizers": finalizers,
                    "labels": {CONTROLLER_UID: "u"},
                    "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j",
                        "uid": "u", "controller": true}]},
                "status": {"phase": phase},
            }))
            .unwrap(),
        )
    }

    #[test]
    fn who_is_counted_is_not_looked_at_any_more() {
        let (writer, cache) = cache();
        writer.replace(vec![pod("a", "Running", &[pod::TRACKING])]);
        let open = OpenPods::new(&cache);
        let job = ObjectKey::new("n", "j");
        let names = || {
            let pods = open.of(&job);
            pods.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names(), ["a"]);
        writer.apply(pod("b", "Pending", &[pod::TRACKING]));
        writer.apply(pod("a", "Succeeded", &[pod::TRACKING]));
        assert_eq!(names(), ["a", "b"]);
        writer.apply(pod("a", "Succeeded", &[]));
        assert_eq!(names(), ["b"]);
        writer.delete(&ObjectKey::new("n", "b"));
        assert_eq!(names(), [""; 0]);
        assert!(open.state.lock().of_job.is_empty() && open.state.lock().job_of.is_empty());
    }
}
