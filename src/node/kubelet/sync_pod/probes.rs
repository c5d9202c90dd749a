//! What a Pod's probes say, told to the worker.

use super::Task;
use crate::node::kubelet::prober::News;

impl Task {
    /// The container's probes are asked from now on, if it runs. While its postStart hook does, nobody
    /// asks.
    pub(super) fn begin_probes(&mut self, index: usize) {
        if let Some((live, _)) = &self.containers[index].live
            && self.worker.containers[index].is_running()
        {
            let health = self.prober.began(index, live.container.clone());
            self.worker.health_is(index, health);
        }
    }

    pub(super) fn probed(&mut self, index: usize, news: News) {
        match news {
            News::Health(health) => self.worker.health_is(index, health),
            News::Failed(kind) => {
                let grace = self.prober.grace_seconds(index, kind);
                let probe = kind.to_string().to_lowercase();
                let happenings = self.worker.probe_failed(index, &probe, grace);
                self.tell(happenings);
            }
        }
    }
}
