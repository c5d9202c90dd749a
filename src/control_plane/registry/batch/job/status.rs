//! What a Job's status may say, and how it may change: its conditions are a promise to whoever waits for
//! them, whoever writes them.
//!
//! Most rules are held against what has changed only: a status that was odd before may be mended in parts.
//!
//! Upstream: `validateJobStatus`, `ValidateJobStatusUpdate`; `getStatusValidationOptions` in
//! `pkg/registry/batch/job/strategy.go`.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{Job, JobStatus};
use serde_json::json;

use super::{indexes, is_indexed, is_true};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::apps::workload::not_negative;
use crate::control_plane::registry::rules::text;

/// Every fault of a status update.
pub(super) fn validate_update(job: &Job, old: &Job) -> Vec<FieldError> {
    let (now, before) = (Step::of(job), Step::of(old));
    let path = Path::new("status");
    let mut faults = validate_counts(now.status, &path);
    faults.extend(validate_uncounted(now.status, &path.child("uncountedTerminatedPods")));
    faults.extend(validate_times(&now, &before, &path));
    faults.extend(validate_end(&now, &before, &path));
    faults.extend(validate_indexes(job, &now, &before, &path));
    faults.extend(validate_conditions(job, &now, &before, &path.child("conditions")));
    faults.extend(validate_progress(job, &now, &before, &path));
    faults
}

/// A Job's state as far as these rules look at it.
struct Step<'a> {
    job: &'a Job,
    status: &'a JobStatus,
    complete: bool,
    failed: bool,
    failure_target: bool,
    success_criteria_met: bool,
}

impl<'a> Step<'a> {
    fn of(job: &'a Job) -> Self {
        static NONE: JobStatus = JobStatus {
            active: None,
            completed_indexes: None,
            completion_time: None,
            conditions: None,
            failed: None,
            failed_indexes: None,
            ready: None,
            start_time: None,
            succeeded: None,
            terminating: None,
            uncounted_terminated_pods: None,
        };
        Self {
            job,
            status: job.status.as_ref().unwrap_or(&NONE),
            complete: is_true(job, "Complete"),
            failed: is_true(job, "Failed"),
            failure_target: is_true(job, "FailureTarget"),
            success_criteria_met: is_true(job, "SuccessCriteriaMet"),
        }
    }

    fn finished(&self) -> bool {
        self.complete || self.failed
    }

    fn uncounted(&self) -> usize {
        let pods = self.status.uncounted_terminated_pods.as_ref();
        let count = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len);
        pods.map_or(0, |pods| count(&pods.succeeded) + count(&pods.failed))
    }
}

fn validate_counts(status: &JobStatus, path: &Path) -> Vec<FieldError> {
    let counts = [
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ];
    let negative =
        counts.into_iter().filter_map(|(field, count)| not_negative(path.child(field), count));
    negative.collect()
}

fn validate_uncounted(status: &JobStatus, path: &Path) -> Vec<FieldError> {
    let Some(uncounted) = &status.uncounted_terminated_pods else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for (list, uids) in [("succeeded", &uncounted.succeeded), ("failed", &uncounted.failed)] {
        for (index, uid) in uids.iter().flatten().enumerate() {
            let path = path.child(list).index(index);
            if uid.is_empty() {
                faults.push(FieldError::invalid(path, "", "must not be empty"));
            } else if !seen.insert(uid) {
                faults.push(FieldError::duplicate(path, uid.as_str()));
            }
        }
    }
    faults
}

fn validate_times(now: &Step<'_>, before: &Step<'_>, path: &Path) -> Vec<FieldError> {
    let (status, old) = (now.status, before.status);
    let path = path.child("completionTime");
    let shown = json!(status.completion_time);
    let started = status.start_time != old.start_time;
    let ended = status.completion_time != old.completion_time;
    let completed = now.complete != before.complete;
    let mut faults = Vec::new();
    if (completed || ended) && status.completion_time.is_some() && !now.complete {
        let detail = "cannot set completionTime when there is no Complete=True condition";
        faults.push(FieldError::invalid(path.clone(), shown.clone(), detail));
    }
    if (completed || ended) && status.completion_time.is_none() && now.complete {
        let detail = "completionTime is required for Complete jobs";
        faults.push(FieldError::required(path.clone(), detail));
    }
    if (started || ended)
        && let (Some(start), Some(end)) = (&status.start_time, &status.completion_time)
        && end.0 < start.0
    {
        let detail = "completionTime cannot be set before startTime";
        faults.push(FieldError::invalid(path.clone(), shown.clone(), detail));
    }
    if ended && status.completion_time.is_some() && old.completion_time.is_some() {
        faults.push(FieldError::invalid(path, shown, "completionTime cannot be mutated"));
    }
    faults
}

/// What must be over when a Job is.
fn validate_end(now: &Step<'_>, before: &Step<'_>, path: &Path) -> Vec<FieldError> {
    let (status, old) = (now.status, before.status);
    let ends = now.finished() != before.finished();
    let mut faults = Vec::new();
    if !now.finished() {
        return faults;
    }
    let mut none = |field: &'static str, count: Option<i32>, old: Option<i32>| {
        if let Some(count) = count.filter(|count| *count > 0 && (ends || Some(*count) != old)) {
            let detail = format!("{field}>0 is invalid for finished job");
            faults.push(FieldError::invalid(path.child(field), count, detail));
        }
    };
    none("active", status.active, old.active);
    none("terminating", status.terminating, old.terminating);
    if status.start_time.is_none() && (ends || old.start_time.is_some()) {
        let detail = "startTime is required for finished job";
        faults.push(FieldError::required(path.child("startTime"), detail));
    }
    let uncounted = &status.uncounted_terminated_pods;
    if now.uncounted() > 0 && (ends || *uncounted != old.uncounted_terminated_pods) {
        let detail = "uncountedTerminatedPods needs to be empty for finished job";
        let path = path.child("uncountedTerminatedPods");
        faults.push(FieldError::invalid(path, json!(uncounted), detail));
    }
    faults
}

fn validate_indexes(job: &Job, now: &Step<'_>, before: &Step<'_>, path: &Path) -> Vec<FieldError> {
    let (status, old) = (now.status, before.status);
    let spec = job.spec.clone().unwrap_or_default();
    let completed = text(&status.completed_indexes);
    let completed_changed = completed != text(&old.completed_indexes);
    let failed_changed = status.failed_indexes != old.failed_indexes;
    let (at, failed_at) = (path.child("completedIndexes"), path.child("failedIndexes"));
    let mut faults = Vec::new();
    let mut parse = |path: &Path, set: &str, what: &str| {
        let counted = spec.completions.map(|completions| indexes::count(set, completions));
        if let Some(Err(slip)) = counted {
            let detail = format!("error parsing {what}: {slip}");
            faults.push(FieldError::invalid(path.clone(), set, detail));
        }
    };
    if completed_changed {
        parse(&at, completed, "completedIndexes");
    }
    let failed = status.failed_indexes.as_deref();
    if let Some(failed) = failed.filter(|_| failed_changed) {
        if spec.backoff_limit_per_index.is_some() {
            parse(&failed_at, failed, "failedIndexes");
        } else {
            let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            faults.push(FieldError::invalid(failed_at.clone(), failed, detail));
        }
    }
    if completed_changed && !completed.is_empty() && !is_indexed(&spec) {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        faults.push(FieldError::invalid(at, completed, detail));
    }
    if (completed_changed || failed_changed)
        && let (Some(failed), Some(completions)) = (failed, spec.completions)
        && let Some(detail) = indexes::overlap(completed, failed, completions)
    {
        faults.push(FieldError::invalid(failed_at, failed, detail));
    }
    faults
}

fn validate_conditions(
    job: &Job,
    now: &Step<'_>,
    before: &Step<'_>,
    path: &Path,
) -> Vec<FieldError> {
    let completes = now.complete != before.complete;
    let fails = now.failed != before.failed;
    let targets = now.failure_target != before.failure_target;
    let has_policy = job.spec.as_ref().is_some_and(|spec| spec.success_policy.is_some());
    let lost = |was: bool, is: bool| was && !is;
    let rules = [
        (
            (completes || fails) && now.complete && now.failed,
            "cannot set Complete=True and Failed=true conditions",
        ),
        (
            (completes || targets) && now.complete && now.failure_target,
            "cannot set Complete=True and FailureTarget=true conditions",
        ),
        (
            fails && now.failed && !now.failure_target,
            "cannot set Failed=True condition without the FailureTarget=true condition",
        ),
        (
            completes && now.complete && !now.success_criteria_met,
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
        (
            now.success_criteria_met && now.failed,
            "cannot set SuccessCriteriaMet=True and Failed=true conditions",
        ),
        (
            now.success_criteria_met && now.failure_target,
            "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
        ),
        (
            has_policy && now.complete && !now.success_criteria_met,
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        ),
        (lost(before.failed, now.failed), "cannot disable the terminal Failed=True condition"),
        (
            lost(before.complete, now.complete),
            "cannot disable the terminal Complete=True condition",
        ),
        (
            lost(before.failure_target, now.failure_target),
            "cannot disable the terminal FailureTarget=True condition",
        ),
        (
            lost(before.success_criteria_met, now.success_criteria_met),
            "cannot disable the SuccessCriteriaMet=True condition",
        ),
        (
            before.complete && !before.success_criteria_met && now.success_criteria_met,
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        ),
    ];
    let broken = rules.into_iter().filter(|(broken, _)| *broken);
    broken.map(|(_, detail)| FieldError::invalid_together(path.clone(), detail)).collect()
}

/// Counts only grow, and a Job that runs has begun once.
fn validate_progress(job: &Job, now: &Step<'_>, before: &Step<'_>, path: &Path) -> Vec<FieldError> {
    let (status, old) = (now.status, before.status);
    let spec = job.spec.clone().unwrap_or_default();
    let (active, ready) = (status.active.unwrap_or(0), status.ready.unwrap_or(0));
    let mut faults = Vec::new();
    if ready > active && (status.ready != old.ready || status.active != old.active) {
        let detail = "cannot set more ready pods than active";
        faults.push(FieldError::invalid(path.child("ready"), ready, detail));
    }
    let mut grows = |field: &'static str, count: Option<i32>, old: Option<i32>| {
        let (count, old) = (count.unwrap_or(0), old.unwrap_or(0));
        if count < old {
            let detail = format!("cannot decrease the {field} counter");
            faults.push(FieldError::invalid(path.child(field), count, detail));
        }
    };
    grows("failed", status.failed, old.failed);
    // One that may shrink forgets the indexes that it has lost.
    if !is_indexed(&spec) || spec.completions != spec.parallelism {
        grows("succeeded", status.succeeded, old.succeeded);
    }
    // A Job that is resumed begins anew.
    let resumes = spec.suspend == Some(true) || is_true(before.job, "Suspended");
    if old.start_time.is_some() && old.start_time != status.start_time && !resumes {
        let detail = "startTime cannot be removed for unsuspended job";
        faults.push(FieldError::required(path.child("startTime"), detail));
    }
    faults
}
