//! How far a Job is: what its Pods come to, and whether that is its end.
//!
//! Upstream: `syncJob` in `pkg/controller/job/job_controller.go`, up to where it acts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus, SuccessPolicy};
use k8s_openapi::api::core::v1::Pod;

use super::conditions::{
    COMPLETE, FAILED, FAILURE_TARGET, SUCCESS_CRITERIA_MET, SUSPENDED, condition, find_true,
};
use super::failure_policy::{Outcome, judge};
use super::indexes::Indexes;
use super::pod;
use crate::control_plane::controllers::ownership::uid;
use crate::control_plane::controllers::pods;

/// What is looked at.
pub(super) struct View<'a> {
    pub(super) job: &'a Job,
    pub(super) spec: &'a JobSpec,
    pub(super) status: JobStatus,
    /// Those that it has yet to count, or that are not over.
    pub(super) pods: &'a [Arc<Pod>],
    pub(super) now: Timestamp,
}

impl<'a> View<'a> {
    /// None: the Job has no spec.
    pub(super) fn new(job: &'a Job, pods: &'a [Arc<Pod>], now: Timestamp) -> Option<Self> {
        let spec = job.spec.as_ref()?;
        Some(Self { job, spec, status: job.status.clone().unwrap_or_default(), pods, now })
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.spec.suspend == Some(true)
    }

    pub(super) fn is_indexed(&self) -> bool {
        self.spec.completion_mode.as_deref() == Some("Indexed")
    }

    pub(super) fn completions(&self) -> i32 {
        self.spec.completions.unwrap_or(0)
    }

    /// The index that the Pod works on, if the Job has it.
    pub(super) fn index_of(&self, pod: &Pod) -> Option<i32> {
        pod::index(pod).filter(|index| *index < self.completions())
    }

    pub(super) fn judge(&self, pod: &Pod) -> Outcome {
        judge(self.spec.pod_failure_policy.as_ref(), pod)
    }

    /// A Pod whose end counts: of an Indexed Job only those with an index of it do.
    fn is_valid(&self, pod: &Pod) -> bool {
        !self.is_indexed() || self.index_of(pod).is_some()
    }
}

/// What has become of the indexes of an Indexed Job.
#[derive(Debug, Default)]
pub(super) struct IndexProgress {
    /// As the status tells it.
    pub(super) succeeded_before: Indexes,
    pub(super) succeeded: Indexes,
    /// Only with a limit per index.
    pub(super) failed: Option<Indexes>,
    /// By index, the last failed Pod of those that wait for another one: it stays until that is there, for
    /// the count of failures is passed on from Pod to Pod.
    pub(super) kept: BTreeMap<i32, Arc<Pod>>,
}

/// What the Pods come to.
#[derive(Debug)]
pub(super) struct Progress {
    /// Neither over nor going.
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) ready: i32,
    pub(super) terminating: i32,
    /// Ended, and not in the status yet.
    pub(super) new_succeeded: Vec<Arc<Pod>>,
    pub(super) new_failed: Vec<Arc<Pod>>,
    /// All that have succeeded so far; of an Indexed Job, all indexes.
    pub(super) succeeded: i32,
    pub(super) indexes: Option<IndexProgress>,
    /// Why the Job ends, as a condition of the type `FailureTarget`, `SuccessCriteriaMet` or `Failed`: what
    /// still runs is to end.
    pub(super) end: Option<JobCondition>,
    /// When `activeDeadlineSeconds` is over.
    pub(super) deadline: Option<Duration>,
}

impl Progress {
    pub(super) fn of(view: &View<'_>) -> Self {
        let active: Vec<_> = view.pods.iter().filter(|pod| pods::is_active(pod)).cloned().collect();
        let ready = active.iter().filter(|pod| pods::ready_since(pod).is_some()).count();
        let terminating = view.pods.iter().filter(|pod| pod::is_terminating(pod)).count();
        let uncounted = view.status.uncounted_terminated_pods.clone().unwrap_or_default();
        let (succeeded, failed) =
            (uncounted.succeeded.unwrap_or_default(), uncounted.failed.unwrap_or_default());
        let new_succeeded = new(view, &succeeded, pod::has_succeeded);
        let new_failed = new(view, &failed, |pod| pod::has_failed(view.spec, pod));
        let all_succeeded =
            view.status.succeeded.unwrap_or(0) + count(new_succeeded.len() + succeeded.len());
        let counting = new_failed.iter().filter(|pod| view.judge(pod).counts()).count();
        let all_failed = view.status.failed.unwrap_or(0) + count(counting + failed.len());
        let mut progress = Self {
            active,
            ready: count(ready),
            terminating: count(terminating),
            new_succeeded,
            new_failed,
            succeeded: all_succeeded,
            indexes: None,
            end: None,
            deadline: None,
        };
        if view.is_indexed() {
            let indexes = IndexProgress::of(view, &progress.active);
            progress.succeeded = indexes.succeeded.total();
            progress.indexes = Some(indexes);
        }
        progress.deadline = time_left(view);
        progress.end = end(view, &progress, all_failed);
        progress
    }

    /// Enough has succeeded, and nothing runs any more.
    pub(super) fn is_complete(&self, view: &View<'_>) -> bool {
        let enough = match view.spec.completions {
            // Of a work queue, one success says that the work is done.
            None => self.succeeded > 0,
            Some(completions) => self.succeeded >= completions,
        };
        enough && self.active.is_empty()
    }
}

pub(super) fn count(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}

/// Upstream: `getNewFinishedPods`.
fn new(view: &View<'_>, told: &[String], has_ended: impl Fn(&Pod) -> bool) -> Vec<Arc<Pod>> {
    let told: HashSet<&str> = told.iter().map(String::as_str).collect();
    let is_new = |pod: &Pod| {
        has_ended(pod)
            && pod::is_tracked(pod)
            && !told.contains(uid(&pod.metadata))
            && view.is_valid(pod)
    };
    view.pods.iter().filter(|pod| is_new(pod)).cloned().collect()
}

impl IndexProgress {
    fn of(view: &View<'_>, active: &[Arc<Pod>]) -> Self {
        let completions = view.completions();
        let told = |text: &Option<String>| {
            Indexes::parse(text.as_deref().unwrap_or_default(), completions)
        };
        let new = |is_one: &dyn Fn(&Pod) -> bool| {
            let tracked = view.pods.iter().filter(|pod| pod::is_tracked(pod) && is_one(pod));
            let indexes: BTreeSet<i32> = tracked.filter_map(|pod| view.index_of(pod)).collect();
            Indexes::of(indexes)
        };
        let before = told(&view.status.completed_indexes);
        let succeeded = before.merge(&new(&pod::has_succeeded));
        let mut indexes = Self { succeeded_before: before, succeeded, ..Self::default() };
        if let Some(limit) = view.spec.backoff_limit_per_index {
            let failed = new(&|pod| is_index_failed(view, pod, limit));
            indexes.failed = Some(told(&view.status.failed_indexes).merge(&failed));
            indexes.kept = indexes.kept(view, active);
        }
        indexes
    }

    /// Upstream: `getPodsWithDelayedDeletionPerIndex`.
    fn kept(&self, view: &View<'_>, active: &[Arc<Pod>]) -> BTreeMap<i32, Arc<Pod>> {
        let active: HashSet<i32> = active.iter().filter_map(|pod| pod::index(pod)).collect();
        let settled = |index: i32| {
            let failed = self.failed.as_ref().is_some_and(|failed| failed.has(index));
            failed || self.succeeded.has(index) || active.contains(&index)
        };
        let rank =
            |pod: &Pod| (pod::failures(pod) + pod::ignored_failures(pod), pod::finished_at(pod));
        let mut kept: BTreeMap<i32, Arc<Pod>> = BTreeMap::new();
        for pod in view.pods.iter().filter(|pod| pod::is_tracked(pod)) {
            let Some(index) = view.index_of(pod).filter(|index| !settled(*index)) else { continue };
            if !pod::has_failed(view.spec, pod) {
                continue;
            }
            let is_later = kept.get(&index).is_none_or(|known| rank(pod) >= rank(known));
            if is_later {
                kept.insert(index, pod.clone());
            }
        }
        kept
    }
}

/// Upstream: `isIndexFailed`.
fn is_index_failed(view: &View<'_>, pod: &Pod, limit: i32) -> bool {
    if !pod::has_failed(view.spec, pod) {
        return false;
    }
    match view.judge(pod) {
        Outcome::FailIndex => true,
        outcome => outcome.counts() && pod::failures(pod) >= limit,
    }
}

/// Why the Job ends, the first cause that was found first: one that has been told stays.
fn end(view: &View<'_>, progress: &Progress, failed: i32) -> Option<JobCondition> {
    let conditions = view.status.conditions.as_deref().unwrap_or_default();
    if let Some(met) = find_true(conditions, SUCCESS_CRITERIA_MET) {
        return Some(met.clone());
    }
    if let Some(target) = find_true(conditions, FAILURE_TARGET) {
        let (reason, message) = (target.reason.as_deref(), target.message.as_deref());
        let (reason, message) = (reason.unwrap_or_default(), message.unwrap_or_default());
        return Some(condition(FAILED, "True", reason, message, view.now));
    }
    let target =
        |reason, message: &str| Some(condition(FAILURE_TARGET, "True", reason, message, view.now));
    if let Some(message) = policy_failure(view) {
        return target("PodFailurePolicy", &message);
    }
    if failed > view.spec.backoff_limit.unwrap_or(i32::MAX) || is_restarted_too_often(view) {
        return target("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    if progress.deadline == Some(Duration::ZERO) {
        return target("DeadlineExceeded", "Job was active longer than specified deadline");
    }
    let indexes = progress.indexes.as_ref()?;
    if let Some(failed) = &indexes.failed {
        let most = view.spec.max_failed_indexes.unwrap_or(i32::MAX);
        if failed.total() > most {
            let text = "Job has exceeded the specified maximal number of failed indexes";
            return target("MaxFailedIndexesExceeded", text);
        }
        let ended = failed.total() + indexes.succeeded.total();
        if failed.total() > 0 && ended >= view.completions() {
            return target("FailedIndexes", "Job has failed indexes");
        }
    }
    let rule = matching_success_rule(view.spec.success_policy.as_ref(), view, &indexes.succeeded)?;
    let message = format!("Matched rules at index {rule}");
    Some(condition(SUCCESS_CRITERIA_MET, "True", "SuccessPolicy", &message, view.now))
}

/// Upstream: `getFailJobMessage`.
fn policy_failure(view: &View<'_>) -> Option<String> {
    view.spec.pod_failure_policy.as_ref()?;
    let mut failed = view.pods.iter().filter(|pod| pod::has_failed(view.spec, pod));
    failed.find_map(|pod| match view.judge(pod) {
        Outcome::FailJob(message) => Some(message),
        _ => None,
    })
}

/// Restarts in place count as failures do.
///
/// Upstream: `pastBackoffLimitOnFailure`.
fn is_restarted_too_often(view: &View<'_>) -> bool {
    let policy = view.spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    if policy != Some("OnFailure") {
        return false;
    }
    let restarts: i32 = view
        .pods
        .iter()
        .filter(|pod| !pods::is_over(pod))
        .map(|pod| {
            let status = pod.status.as_ref();
            let app = status.and_then(|status| status.container_statuses.as_ref());
            let init = status.and_then(|status| status.init_container_statuses.as_ref());
            let all = app.into_iter().chain(init).flatten();
            all.map(|status| status.restart_count).sum::<i32>()
        })
        .sum();
    match view.spec.backoff_limit.unwrap_or(i32::MAX) {
        0 => restarts > 0,
        limit => restarts >= limit,
    }
}

/// What is left of `activeDeadlineSeconds`; zero if it is over. It runs while the Job is not suspended, and
/// begins anew when it is resumed: as upstream documents it, whose controller looks before it does so.
fn time_left(view: &View<'_>) -> Option<Duration> {
    let seconds = view.spec.active_deadline_seconds.filter(|_| !view.is_suspended())?;
    let conditions = view.status.conditions.as_deref().unwrap_or_default();
    let resumes = find_true(conditions, SUSPENDED).is_some();
    let start = view.status.start_time.as_ref().filter(|_| !resumes);
    let start = start.map_or(view.now, |start| start.0);
    let passed = view.now.duration_since(start);
    let left = SignedDuration::from_secs(seconds).saturating_sub(passed);
    Some(Duration::try_from(left).unwrap_or_default())
}

/// Upstream: `matchSuccessPolicy`.
fn matching_success_rule(
    policy: Option<&SuccessPolicy>,
    view: &View<'_>,
    succeeded: &Indexes,
) -> Option<usize> {
    if succeeded.is_empty() {
        return None;
    }
    policy?.rules.iter().position(|rule| {
        let enough = |count: i32| rule.succeeded_count.is_some_and(|wanted| count >= wanted);
        let Some(wanted) = &rule.succeeded_indexes else { return enough(succeeded.total()) };
        let wanted = Indexes::parse(wanted, view.completions());
        let met = wanted.shared(succeeded);
        !wanted.is_empty() && (met == wanted.total() || enough(met))
    })
}

/// Whether a Job is over for good.
pub(in crate::control_plane::controllers) fn is_finished(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref());
    let conditions = conditions.unwrap_or_default();
    [COMPLETE, FAILED].into_iter().any(|end| find_true(conditions, end).is_some())
}
