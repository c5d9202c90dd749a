//! What containers have done for them when they start and before they end.

use futures::future::{AbortHandle, Abortable};
use tokio::sync::oneshot;

use super::{Event, Slot, Task};
use crate::node::kubelet::hooks::{self, Hook};

impl Task {
    /// Runs the container's postStart hook, if it has one; what is answered is resolved when the hook is
    /// over, or given up, and its event is on its way.
    pub(super) fn post_start(&mut self, index: usize) -> Option<oneshot::Receiver<()>> {
        let hook = self.hook(index, Point::PostStart)?;
        let run = self.containers[index].run;
        let (over_tx, over_rx) = oneshot::channel();
        let result = self.run_hook(index, hook);
        self.under_way.push(Box::pin(async move {
            let result = result.await;
            // Nobody waits if the container runs on.
            let _ = over_tx.send(());
            match result {
                Some(result) => Event::PostStartEnded { index, run, result },
                None => Event::Abandoned,
            }
        }));
        Some(over_rx)
    }

    pub(super) fn pre_stop(&mut self, index: usize) {
        let run = self.containers[index].run;
        let result = self.hook(index, Point::PreStop).map(|hook| self.run_hook(index, hook));
        self.under_way.push(Box::pin(async move {
            let result = match result {
                Some(result) => result.await,
                // It ended a moment ago.
                None => Some(Ok(())),
            };
            match result {
                Some(result) => Event::PreStopEnded { index, run, result },
                None => Event::Abandoned,
            }
        }));
    }

    fn hook(&self, index: usize, point: Point) -> Option<Hook> {
        let container = self.spec(&self.worker.containers[index].name)?;
        let lifecycle = container.lifecycle.clone()?;
        let handler = match point {
            Point::PostStart => lifecycle.post_start,
            Point::PreStop => lifecycle.pre_stop,
        }?;
        let (live, _) = self.containers[index].live.as_ref()?;
        let (pod, guest, network) =
            (self.pod.clone(), live.container.clone(), self.network.clone()?);
        Some(Hook { pod, container, guest, network, handler })
    }

    /// Answers `None` if the hook was given up.
    fn run_hook(
        &mut self,
        index: usize,
        hook: Hook,
    ) -> impl Future<Output = Option<Result<(), String>>> + Send + 'static {
        let (abort, registration) = AbortHandle::new_pair();
        let slot = &mut self.containers[index];
        slot.cut_hook();
        slot.hook = Some(abort);
        let ctx = self.ctx.clone();
        let hook = Abortable::new(async move { hooks::run(&ctx, &hook).await }, registration);
        async move { hook.await.ok() }
    }
}

#[derive(Debug, Clone, Copy)]
enum Point {
    PostStart,
    PreStop,
}

impl Slot {
    /// The hook that runs, if one does, is of no use any more.
    pub(super) fn cut_hook(&mut self) {
        if let Some(hook) = self.hook.take() {
            hook.abort();
        }
    }

    pub(super) fn tell(&mut self) {
        self.cut_hook();
        if let Some((live, _)) = &self.live {
            live.container.tell();
        }
    }

    pub(super) fn kill(&mut self, signal: u8) {
        self.cut_hook();
        if let Some((live, _)) = &self.live {
            live.container.kill(signal);
        }
    }
}
