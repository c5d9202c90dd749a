//! Counts each Pod that ends once, whatever is interrupted where.
//!
//! ```text
//! ended, tracked ── its uid into status.uncountedTerminatedPods ── the finalizer goes ── counted, uid forgotten
//!                   (an index: into completedIndexes)
//! ```
//!
//! Each arrow is a write that rests on the one before, so that any of them may be the last before a crash.
//! The Job's end waits until all Pods are counted and none is terminating.
//!
//! Upstream: `trackJobStatusAndRemoveFinalizers` in `pkg/controller/job/job_controller.go`.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{JobCondition, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions::{
    COMPLETE, FAILED, FAILURE_TARGET, SUCCESS_CRITERIA_MET, SUSPENDED, condition, ensure, find_true,
};
use super::indexes::Indexes;
use super::pod;
use super::progress::{Progress, View, count};
use crate::client::clock::whole_second;
use crate::control_plane::controllers::ownership::uid;

/// Bound: Pods in the status at once, so that it stays small and one Job does not keep the others. Upstream's
/// `MaxUncountedPods`.
const UNCOUNTED_MAX: usize = 500;

/// What is to be written, in this order.
#[derive(Debug)]
pub(super) struct Tracking {
    /// The status before any Pod is let go.
    pub(super) status: JobStatus,
    /// Pods whose finalizer goes then.
    pub(super) release: Vec<Arc<Pod>>,
    /// The Job's last condition, once all is counted.
    pub(super) finish: Option<JobCondition>,
    /// The Job has just been suspended (true) or resumed (false).
    pub(super) suspended: Option<bool>,
}

pub(super) fn track(view: &View<'_>, progress: &Progress) -> Tracking {
    let mut status = view.status.clone();
    let now = Time(whole_second(view.now));
    if status.start_time.is_none() && !view.is_suspended() {
        status.start_time = Some(now.clone());
    }
    let mut conditions = status.conditions.take().unwrap_or_default();
    // While Pods run that shall not, nothing is said of the end.
    let mut end = progress.end.clone().filter(|_| progress.active.is_empty());
    let mut suspended = None;
    if progress.end.is_none() {
        if progress.is_complete(view) {
            let message = "Reached expected number of succeeded pods";
            let met = (SUCCESS_CRITERIA_MET, "CompletionsReached");
            end = Some(condition(met.0, "True", met.1, message, view.now));
        } else if view.job.metadata.deletion_timestamp.is_none() {
            suspended = suspend(&mut conditions, view);
            if suspended == Some(false) {
                // The deadline counts from here.
                status.start_time = Some(now);
            }
        }
    }
    status.active = some(count(progress.active.len()));
    status.ready = Some(progress.ready);
    status.terminating = Some(progress.terminating);
    forget_counted(&mut status, &tracked(view.pods));
    let (release, is_all) = note_ended(view, progress, end.as_ref(), &mut status);
    let finish = end.and_then(|end| announce(end, &mut conditions, view.now));
    status.conditions = Some(conditions).filter(|conditions| !conditions.is_empty());
    Tracking { status, release, finish: finish.filter(|_| is_all), suspended }
}

/// The status once finalizers are gone; `held` has the uids of those Pods that still have theirs. True: the
/// Job is over.
pub(super) fn settle(
    mut status: JobStatus,
    held: &HashSet<String>,
    finish: Option<&JobCondition>,
    now: Timestamp,
) -> (JobStatus, bool) {
    forget_counted(&mut status, held);
    let uncounted = status.uncounted_terminated_pods.as_ref();
    let is_counted = uncounted.is_none_or(|pods| pods.succeeded.is_none() && pods.failed.is_none());
    let Some(finish) = finish.filter(|_| is_counted && status.terminating.unwrap_or(0) == 0) else {
        return (status, false);
    };
    let finish = JobCondition {
        last_probe_time: Some(Time(whole_second(now))),
        last_transition_time: Some(Time(whole_second(now))),
        ..finish.clone()
    };
    if finish.type_ == COMPLETE {
        status.completion_time.clone_from(&finish.last_transition_time);
    }
    ensure(status.conditions.get_or_insert_default(), finish);
    (status, true)
}

/// Zero is left out, as Go leaves it out.
fn some(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

/// The uids of the Pods that have the finalizer.
pub(super) fn tracked(pods: &[Arc<Pod>]) -> HashSet<String> {
    let tracked = pods.iter().filter(|pod| pod::is_tracked(pod));
    tracked.map(|pod| uid(&pod.metadata).to_owned()).collect()
}

/// Whether the Job has just been suspended or resumed.
fn suspend(conditions: &mut Vec<JobCondition>, view: &View<'_>) -> Option<bool> {
    let is_suspended = view.is_suspended();
    let (status, reason, message) = match is_suspended {
        true => ("True", "JobSuspended", "Job suspended"),
        false => ("False", "JobResumed", "Job resumed"),
    };
    let wanted = condition(SUSPENDED, status, reason, message, view.now);
    ensure(conditions, wanted).then_some(is_suspended)
}

/// Moves what has lost its finalizer from the lists to the counts.
///
/// Upstream: `cleanUncountedPodsWithoutFinalizers`.
fn forget_counted(status: &mut JobStatus, held: &HashSet<String>) {
    let uncounted = status.uncounted_terminated_pods.get_or_insert_default();
    let lists = [
        (&mut uncounted.succeeded, &mut status.succeeded),
        (&mut uncounted.failed, &mut status.failed),
    ];
    for (list, total) in lists {
        let before = list.as_ref().map_or(0, Vec::len);
        list.iter_mut().for_each(|uids| uids.retain(|uid| held.contains(uid)));
        let after = list.as_ref().map_or(0, Vec::len);
        *total = some(total.unwrap_or(0) + count(before - after));
        list.take_if(|uids| uids.is_empty());
    }
}

/// Notes the Pods that have ended in the status; answers those that may be let go then, and whether they
/// are all.
fn note_ended(
    view: &View<'_>,
    progress: &Progress,
    end: Option<&JobCondition>,
    status: &mut JobStatus,
) -> (Vec<Arc<Pod>>, bool) {
    let mut notes = Notes::of(status);
    let mut release = Vec::new();
    let mut is_all = true;
    let mut pods: Vec<&Arc<Pod>> = view.pods.iter().filter(|pod| pod::is_tracked(pod)).collect();
    if view.is_indexed() {
        // So that indexes come in order, and the text stays short.
        pods.sort_by_key(|pod| pod::index(pod));
    }
    for pod in pods {
        if !may_go(view, progress, end, pod) {
            continue;
        }
        if notes.count() >= UNCOUNTED_MAX {
            is_all = false;
            break;
        }
        release.push(pod.clone());
        notes.add(view, progress, end, pod);
    }
    notes.write(progress, status);
    (release, is_all)
}

/// Upstream: `canRemoveFinalizer`.
fn may_go(
    view: &View<'_>,
    progress: &Progress,
    end: Option<&JobCondition>,
    pod: &Arc<Pod>,
) -> bool {
    let is_going = view.job.metadata.deletion_timestamp.is_some();
    if is_going || end.is_some() || pod::has_succeeded(pod) {
        return true;
    }
    let kept = || {
        let kept = &progress.indexes.as_ref()?.kept;
        kept.get(&view.index_of(pod)?)
    };
    pod::has_failed(view.spec, pod)
        && kept().is_none_or(|kept| kept.metadata.uid != pod.metadata.uid)
}

/// What is added to a status.
struct Notes {
    succeeded: Vec<String>,
    failed: Vec<String>,
    known: HashSet<String>,
    new_indexes: usize,
    indexes: Vec<i32>,
}

impl Notes {
    fn of(status: &mut JobStatus) -> Self {
        let lists = status.uncounted_terminated_pods.take().unwrap_or_default();
        let succeeded = lists.succeeded.unwrap_or_default();
        let failed = lists.failed.unwrap_or_default();
        let known = succeeded.iter().chain(&failed).cloned().collect();
        Self { succeeded, failed, known, new_indexes: 0, indexes: Vec::new() }
    }

    fn count(&self) -> usize {
        self.succeeded.len() + self.failed.len() + self.new_indexes
    }

    fn add(&mut self, view: &View<'_>, progress: &Progress, end: Option<&JobCondition>, pod: &Pod) {
        let uid = uid(&pod.metadata);
        // A Job that ends takes whoever has not ended for failed, unless what it ends for is success.
        let fails = end.is_some_and(|end| end.type_ != SUCCESS_CRITERIA_MET);
        let is_noted = self.known.contains(uid);
        let index = view.index_of(pod);
        if pod::has_succeeded(pod) {
            if let Some(indexes) = &progress.indexes {
                // That an index is complete is all that counts, however often it is.
                if let Some(index) = index.filter(|index| !indexes.succeeded_before.has(*index)) {
                    self.indexes.push(index);
                    self.new_indexes += 1;
                }
            } else if !is_noted {
                self.succeeded.push(uid.to_owned());
            }
        } else if (fails || pod::has_failed(view.spec, pod)) && !is_noted {
            let is_valid = progress.indexes.is_none() || index.is_some();
            if is_valid && view.judge(pod).counts() {
                self.failed.push(uid.to_owned());
            }
        }
    }

    fn write(self, progress: &Progress, status: &mut JobStatus) {
        let list = |uids: Vec<String>| Some(uids).filter(|uids| !uids.is_empty());
        status.uncounted_terminated_pods = Some(UncountedTerminatedPods {
            succeeded: list(self.succeeded),
            failed: list(self.failed),
        });
        let Some(indexes) = &progress.indexes else { return };
        let told = indexes.succeeded_before.merge(&Indexes::of(self.indexes));
        status.succeeded = some(told.total());
        status.completed_indexes = Some(told.to_string()).filter(|text| !text.is_empty());
        status.failed_indexes = indexes.failed.as_ref().map(Indexes::to_string);
    }
}

/// Tells why the Job ends; answers what is said when it has.
fn announce(
    end: JobCondition,
    conditions: &mut Vec<JobCondition>,
    now: Timestamp,
) -> Option<JobCondition> {
    let last = match end.type_.as_str() {
        FAILURE_TARGET | FAILED => FAILED,
        _ => COMPLETE,
    };
    let reason = end.reason.as_deref().unwrap_or_default();
    let message = end.message.as_deref().unwrap_or_default();
    let finish = condition(last, "True", reason, message, now);
    if end.type_ != FAILED && find_true(conditions, &end.type_).is_none() {
        conditions.push(end);
    }
    Some(finish)
}
