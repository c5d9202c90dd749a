//! What comes of containers' probes.

use super::machine::{Happening, PodWorker, RestartPolicy};
use super::record::Kind;

/// How a container is while it runs, as its probes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::kubelet) struct Health {
    pub(in crate::node::kubelet) started: bool,
    /// Counts for a container that has started.
    pub(in crate::node::kubelet) ready: bool,
}

impl Health {
    /// Of a container without probes.
    pub(in crate::node::kubelet) const WELL: Self = Self { started: true, ready: true };
}

impl PodWorker {
    /// What is known of the container's run that goes on.
    pub(in crate::node::kubelet) fn health_is(&mut self, index: usize, health: Health) {
        self.containers[index].health = health;
    }

    /// The container's startup or liveness probe (`probe`) has failed: it is ended, and started again if
    /// it may be. `grace_seconds` is what the probe says of the time that it has for that.
    ///
    /// Upstream: `computePodActions` in `kuberuntime_manager.go`, `computeInitContainerActions` in
    /// `kuberuntime_container.go`.
    pub(in crate::node::kubelet) fn probe_failed(
        &mut self,
        index: usize,
        probe: &str,
        grace_seconds: Option<i64>,
    ) -> Vec<Happening> {
        let container = &self.containers[index];
        let name = &container.name;
        let message = match (container.kind, self.restart_policy) {
            (Kind::Sidecar, _) => format!("Init container {name} failed {probe} probe"),
            (_, RestartPolicy::Never) => format!("Container {name} failed {probe} probe"),
            _ => format!("Container {name} failed {probe} probe, will be restarted"),
        };
        self.restart(index, message, grace_seconds)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::super::{LastStop, PodWorker, Run, Step};
    use super::*;

    const T0: Timestamp = Timestamp::UNIX_EPOCH;

    fn worker(spec: Value) -> PodWorker {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        PodWorker::new(&pod, LastStop::Unknown, T0)
    }

    fn started(worker: &mut PodWorker) -> Vec<usize> {
        let (plan, _) = worker.plan(T0);
        let starts = plan.steps.iter().filter_map(|step| match step {
            Step::Start(index) => Some(*index),
            _ => None,
        });
        starts.collect()
    }

    fn run(worker: &mut PodWorker, index: usize) {
        worker.started(index, Run { id: "sampan://1".to_owned(), started_at: T0 });
    }

    #[test]
    fn the_next_waits_until_a_sidecar_has_started() {
        let sidecar = json!({"name": "proxy", "image": "i", "restartPolicy": "Always"});
        let app = json!({"name": "web", "image": "i"});
        let mut worker = worker(json!({"initContainers": [sidecar], "containers": [app]}));
        assert_eq!(started(&mut worker), [0]);
        run(&mut worker, 0);
        worker.health_is(0, Health { started: false, ready: false });
        assert_eq!(started(&mut worker), Vec::<usize>::new());
        worker.health_is(0, Health { started: true, ready: false });
        assert_eq!(started(&mut worker), [1]);
        let told = worker.probe_failed(0, "startup", None);
        assert_eq!(told[0].message, "Init container proxy failed startup probe");
    }

    #[test]
    fn who_will_not_run_again_is_not_promised_it() {
        for (policy, more) in
            [("Always", ", will be restarted"), ("OnFailure", ", will be restarted"), ("Never", "")]
        {
            let containers = json!([{"name": "web", "image": "i"}]);
            let mut worker = worker(json!({"restartPolicy": policy, "containers": containers}));
            started(&mut worker);
            run(&mut worker, 0);
            let told = worker.probe_failed(0, "liveness", Some(3));
            assert_eq!(told[0].reason, "Killing");
            let text = format!("Container web failed liveness probe{more}");
            assert_eq!(told[0].message, text);
            let kills = worker.plan(T0).0.steps.into_iter();
            assert_eq!(kills.filter(|step| matches!(step, Step::Kill(..))).count(), 1);
            // It is ending already.
            assert_eq!(worker.probe_failed(0, "liveness", None), []);
        }
    }
}
