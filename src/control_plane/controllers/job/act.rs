//! What a Job does next about its Pods.
//!
//! Upstream: `manageJob` in `pkg/controller/job/job_controller.go`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::backoff::{self, Record};
use super::indexes::Indexes;
use super::pod;
use super::progress::{Progress, View, count};
use super::template;
use crate::control_plane::controllers::pods;

/// Bound: Pods made or deleted by one reconcile; what is left follows in the next. Upstream's
/// `MaxPodCreateDeletePerSync`.
const BURST_MAX: usize = 500;

#[derive(Debug, PartialEq)]
pub(super) enum Act {
    Nothing,
    Create(Vec<Arc<Pod>>),
    /// Deletes Pods that nobody asks for any more: they count as nothing.
    Remove(Vec<Arc<Pod>>),
    /// Deletes Pods of a Job that ends: they count as what becomes of them.
    End(Vec<Arc<Pod>>),
}

/// The next act, and when another one may be due though nothing changes. Pods are either made or deleted,
/// never both at once.
pub(super) fn act(view: &View<'_>, progress: &Progress, record: Record) -> (Act, Option<Duration>) {
    if progress.end.is_some() {
        return (some_or_nothing(Act::End, progress.active.clone()), None);
    }
    let next = progress.deadline;
    if view.job.metadata.deletion_timestamp.is_some() {
        return (Act::Nothing, next);
    }
    if view.is_suspended() {
        return (some_or_nothing(Act::Remove, progress.active.clone()), next);
    }
    let wanted = wanted(view, progress);
    let excess = excess(view, progress, wanted);
    if !excess.is_empty() {
        return (Act::Remove(excess), next);
    }
    let ending = if pod::waits_for_end(view.spec) { progress.terminating } else { 0 };
    let missing = wanted - ending - count(progress.active.len());
    let missing = usize::try_from(missing).unwrap_or(0).min(BURST_MAX);
    let (pods, wait) = make(view, progress, record, missing);
    let next = next.into_iter().chain(wait).min();
    (some_or_nothing(Act::Create, pods), next)
}

fn some_or_nothing(act: fn(Vec<Arc<Pod>>) -> Act, pods: Vec<Arc<Pod>>) -> Act {
    if pods.is_empty() { Act::Nothing } else { act(pods) }
}

/// How many Pods shall run.
fn wanted(view: &View<'_>, progress: &Progress) -> i32 {
    let parallelism = view.spec.parallelism.unwrap_or(0);
    match view.spec.completions {
        // Of a work queue, those that run when one succeeds finish their work, and no others come.
        None if progress.succeeded > 0 => count(progress.active.len()),
        None => parallelism,
        Some(completions) => (completions - progress.succeeded).clamp(0, parallelism.max(0)),
    }
}

/// Pods that are too many: more of one index, or of none; then those that are missed least.
///
/// Upstream: `activePodsForRemoval`.
fn excess(view: &View<'_>, progress: &Progress, wanted: i32) -> Vec<Arc<Pod>> {
    let surplus = progress.active.len().saturating_sub(usize::try_from(wanted).unwrap_or(0));
    if surplus == 0 && !view.is_indexed() {
        return Vec::new();
    }
    let (mut excess, mut rest) = match view.is_indexed() {
        true => repeated(view, &progress.active),
        false => (Vec::new(), progress.active.clone()),
    };
    let more = surplus.saturating_sub(excess.len());
    if more > 0 {
        pods::in_order_of_deletion(&mut rest);
        excess.extend(rest.into_iter().take(more));
    }
    excess.truncate(BURST_MAX);
    excess
}

/// Pods to remove whatever the number, and the others. Of each index one stays.
///
/// Upstream: `appendDuplicatedIndexPodsForRemoval`.
fn repeated(view: &View<'_>, active: &[Arc<Pod>]) -> (Vec<Arc<Pod>>, Vec<Arc<Pod>>) {
    let mut seen = BTreeSet::new();
    let is_repeated =
        active.iter().any(|pod| view.index_of(pod).is_none_or(|index| !seen.insert(index)));
    if !is_repeated {
        return (Vec::new(), active.to_vec());
    }
    let mut pods = active.to_vec();
    pods::in_order_of_deletion(&mut pods);
    // The last of an index is missed most.
    let mut stays = BTreeSet::new();
    let (mut rest, mut excess) = (Vec::new(), Vec::new());
    for pod in pods.into_iter().rev() {
        match view.index_of(&pod) {
            Some(index) if stays.insert(index) => rest.push(pod),
            _ => excess.push(pod),
        }
    }
    excess.reverse();
    (excess, rest)
}

/// Up to `missing` Pods, or how long to wait before any is made.
fn make(
    view: &View<'_>,
    progress: &Progress,
    record: Record,
    missing: usize,
) -> (Vec<Arc<Pod>>, Option<Duration>) {
    if missing == 0 {
        return (Vec::new(), None);
    }
    let by_index = view.spec.backoff_limit_per_index.is_some();
    let wait = if by_index { Duration::ZERO } else { record.remaining(view.now) };
    if wait > Duration::ZERO {
        return (Vec::new(), Some(wait));
    }
    let Some(indexes) = &progress.indexes else {
        let pod = Arc::new(template::pod(view));
        return (vec![pod; missing], None);
    };
    let mut wait: Option<Duration> = None;
    let mut pods = Vec::new();
    for index in pending(view, progress).into_iter().take(missing) {
        let before = indexes.kept.get(&index);
        let left = before.map_or(Duration::ZERO, |pod| backoff::remaining_of_index(pod, view.now));
        if left == Duration::ZERO {
            pods.push(Arc::new(template::indexed_pod(view, index, before.map(|pod| &**pod))));
        } else {
            wait = wait.into_iter().chain([left]).min();
        }
    }
    (pods, wait)
}

/// The indexes that nobody works on and that are not settled, in order.
///
/// Upstream: `firstPendingIndexes`.
fn pending(view: &View<'_>, progress: &Progress) -> Vec<i32> {
    let Some(indexes) = &progress.indexes else { return Vec::new() };
    let ending = pod::waits_for_end(view.spec);
    let busy =
        view.pods.iter().filter(|pod| pods::is_active(pod) || ending && pod::is_terminating(pod));
    let busy: BTreeSet<i32> = busy.filter_map(|pod| pod::index(pod)).collect();
    let mut taken = indexes.succeeded.merge(&Indexes::of(busy));
    if let Some(failed) = &indexes.failed {
        taken = taken.merge(failed);
    }
    taken.missing(view.completions()).take(BURST_MAX).collect()
}
