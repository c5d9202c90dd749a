//! A Pod that has ended: nothing of it is kept but what its object says, its logs and its containers' own
//! layers. If the object changes the Pod is taken up anew, as after a restart of sampan.
//!
//! Upstream: `SyncTerminatedPod` in `pkg/kubelet/kubelet.go`, which waits until the volumes are torn down,
//! and after which a Pod has no worker.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;

use super::removal;
use crate::node::kubelet::lifecycle::Context;
use crate::node::kubelet::pod_workers::{Desired, LivePod};

/// An ended Pod for which there is something to do.
pub(super) struct Roused {
    /// The object when the Pod rested: what it says of the containers is what became of them.
    pub(super) last: Arc<Pod>,
    /// The object as it is: what it says of them may be somebody else's.
    pub(super) now: Arc<Pod>,
}

/// Waits until there is something to do for the Pod; `None` if it is gone, with its files, or the kubelet
/// stops.
pub(super) async fn rest(
    ctx: &Context,
    live: &LivePod,
    pod: Arc<Pod>,
    desired_rx: &mut watch::Receiver<Desired>,
) -> Option<Roused> {
    removal::remove_volumes(&live.directory).await;
    let mut shown = pod;
    loop {
        let changed = ctx.stop.run_until_cancelled(desired_rx.changed()).await?;
        let desired = match changed {
            Ok(()) => desired_rx.borrow_and_update().clone(),
            // Nobody follows the object any more.
            Err(_closed) => return None,
        };
        match desired {
            Desired::Gone => {
                removal::remove(live.directory.clone()).await;
                return None;
            }
            Desired::Pod(now) if is_for_us(&shown, &now) => {
                return Some(Roused { last: shown, now });
            }
            Desired::Pod(pod) => shown = pod,
        }
    }
}

fn is_for_us(before: &Pod, now: &Pod) -> bool {
    let is_going = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
    is_going(now) || before.status != now.status || before.spec != now.spec
}
