//! Jobs: Pods of one template until enough of them have succeeded.
//!
//! Upstream: `pkg/registry/batch/job/strategy.go`, `pkg/apis/batch/v1/defaults.go`.

mod indexes;
mod status;
mod update;
mod validation;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::apps::workload;
use crate::control_plane::registry::core::pod::template::{self, CONTAINERS, IMAGES};
use crate::control_plane::registry::print::{self, AGE, NAME, column, human_duration, wide};
use crate::control_plane::registry::rules::{set_default, text};
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

pub(super) use validation::validate_job_spec;

pub(super) const INDEXED: &str = "Indexed";
pub(super) const NON_INDEXED: &str = "NonIndexed";

/// The labels by which a Job finds its Pods, and those of the time before labels had prefixes.
const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
const JOB_NAME: &str = "batch.kubernetes.io/job-name";
const LEGACY_CONTROLLER_UID: &str = "controller-uid";
const LEGACY_JOB_NAME: &str = "job-name";

#[derive(Debug)]
pub(crate) struct Jobs;

impl Resource for Jobs {
    type Object = Job;

    const NAMES: Names =
        Names { plural: "jobs", singular: "job", short: &[], categories: &["all"] };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] =
        &[Subresource { name: "status", kind: ("", "", "Job"), verbs: STATUS_VERBS }];
    const GENERATION: bool = true;
    const ORPHANS_DEPENDENTS: bool = true;
    const ORPHANING_WARNING: Option<&'static str> = Some(
        "child pods are preserved by default when jobs are deleted; set \
         propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress \
         this warning",
    );

    fn default(job: &mut Job) {
        default_spec(job.spec.get_or_insert_default());
        default_labels(job);
        job.status.get_or_insert_default();
    }

    fn prepare_for_create(job: &mut Job) {
        job.status = Some(JobStatus::default());
        let is_manual = job.spec.as_ref().and_then(|spec| spec.manual_selector);
        if is_manual != Some(true) {
            generate_selector(job);
        }
        // Upstream's defaults run again when it is read, and then find the generated ones.
        default_labels(job);
    }

    fn prepare_for_update(job: &mut Job, old: &Job) {
        job.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(job: &mut Job, old: &Job) {
        job.spec.clone_from(&old.spec);
    }

    fn validate(job: &Job) -> Vec<FieldError> {
        validation::validate(job, true)
    }

    fn validate_update(job: &Job, old: &Job) -> Vec<FieldError> {
        update::validate(job, old)
    }

    fn validate_status_update(job: &Job, old: &Job) -> Vec<FieldError> {
        status::validate_update(job, old)
    }

    fn warnings(job: &Job) -> Vec<String> {
        let mut warnings: Vec<String> = workload::name_warning(&job.metadata).into_iter().collect();
        if let Some(spec) = &job.spec {
            warnings.extend(spec_warnings(spec, &Path::new("spec")));
        }
        warnings
    }

    fn fields(job: &Job) -> Vec<(&'static str, String)> {
        let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
        vec![("status.successful", succeeded.to_string())]
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Status", "How far the Job is."),
            column("Completions", "How many Pods have succeeded, of how many asked for."),
            column("Duration", "Time from its start to its completion, or until now."),
            AGE,
            CONTAINERS,
            IMAGES,
            wide("Selector", "The labels by which it finds its Pods."),
        ];
        COLUMNS
    }

    fn row(job: &Job, now: Timestamp) -> Vec<Value> {
        let spec = job.spec.as_ref();
        let [names, images] = template::cells(spec.map(|spec| &spec.template));
        vec![
            print::name(&job.metadata),
            status_word(job).into(),
            completions_cell(job).into(),
            duration_cell(job, now).into(),
            print::age(&job.metadata, now),
            names,
            images,
            print::selector(spec.and_then(|spec| spec.selector.as_ref())).into(),
        ]
    }
}

/// Upstream: `SetDefaults_Job`.
fn default_spec(spec: &mut JobSpec) {
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    let limit = if spec.backoff_limit_per_index.is_some() { i32::MAX } else { 6 };
    spec.backoff_limit.get_or_insert(limit);
    set_default(&mut spec.completion_mode, NON_INDEXED);
    spec.suspend.get_or_insert(false);
    spec.manual_selector.get_or_insert(false);
    let has_policy = spec.pod_failure_policy.is_some();
    let replacement = if has_policy { "Failed" } else { "TerminatingOrFailed" };
    set_default(&mut spec.pod_replacement_policy, replacement);
    default_failure_policy(spec);
    template::default(&mut spec.template);
}

/// A pattern without a status asks for conditions that hold.
fn default_failure_policy(spec: &mut JobSpec) {
    let rules = spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules);
    for pattern in rules.flat_map(|rule| rule.on_pod_conditions.iter_mut().flatten()) {
        if pattern.status.is_empty() {
            "True".clone_into(&mut pattern.status);
        }
    }
}

/// A Job without labels has those of its template.
fn default_labels(job: &mut Job) {
    let template = job.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let labels = template.and_then(|meta| meta.labels.clone());
    if job.metadata.labels.as_ref().is_none_or(|labels| labels.is_empty()) && labels.is_some() {
        job.metadata.labels = labels;
    }
}

/// Labels that no other Job's Pods have, and the selector of one of them. What the user has chosen
/// instead is found at validation.
///
/// Upstream: `generateSelector`.
fn generate_selector(job: &mut Job) {
    let name = job.metadata.name.clone().unwrap_or_default();
    let uid = job.metadata.uid.clone().unwrap_or_default();
    let spec = job.spec.get_or_insert_default();
    let meta = spec.template.metadata.get_or_insert_default();
    let labels = meta.labels.get_or_insert_default();
    for key in [LEGACY_JOB_NAME, JOB_NAME] {
        labels.entry(key.to_owned()).or_insert_with(|| name.clone());
    }
    for key in [LEGACY_CONTROLLER_UID, CONTROLLER_UID] {
        labels.entry(key.to_owned()).or_insert_with(|| uid.clone());
    }
    let selector = spec.selector.get_or_insert_default();
    let wanted = selector.match_labels.get_or_insert_default();
    wanted.entry(CONTROLLER_UID.to_owned()).or_insert(uid);
}

/// What is allowed in a Job's spec and yet hardly meant; `path` is the spec's.
///
/// Upstream: `WarningsForJobSpec` in `pkg/api/job/warnings.go`.
pub(super) fn spec_warnings(spec: &JobSpec, path: &Path) -> Vec<String> {
    let many = spec.completions.unwrap_or(0) > 100_000 && spec.parallelism.unwrap_or(0) > 10_000;
    let mut warnings = Vec::new();
    if is_indexed(spec) && many {
        warnings.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a \
             parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes \
             when a big number of indexes fail"
        ));
    }
    warnings.extend(template::warnings(&spec.template, &path.child("template")));
    warnings
}

fn is_indexed(spec: &JobSpec) -> bool {
    text(&spec.completion_mode) == INDEXED
}

/// Whether the Job's condition of that type holds.
fn is_true(job: &Job, type_: &str) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == type_ && condition.status == "True")
}

fn status_word(job: &Job) -> &'static str {
    match () {
        () if is_true(job, "Complete") => "Complete",
        () if is_true(job, "Failed") => "Failed",
        () if job.metadata.deletion_timestamp.is_some() => "Terminating",
        () if is_true(job, "Suspended") => "Suspended",
        () if is_true(job, "FailureTarget") => "FailureTarget",
        () if is_true(job, "SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions_cell(job: &Job) -> String {
    let spec = job.spec.as_ref();
    let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
    let parallelism = spec.and_then(|spec| spec.parallelism).unwrap_or(0);
    match spec.and_then(|spec| spec.completions) {
        Some(completions) => format!("{succeeded}/{completions}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    }
}

fn duration_cell(job: &Job, now: Timestamp) -> String {
    let status = job.status.as_ref();
    let Some(start) = status.and_then(|status| status.start_time.as_ref()) else {
        return String::new();
    };
    let end = status.and_then(|status| status.completion_time.as_ref()).map_or(now, |end| end.0);
    human_duration(end.duration_since(start.0).as_secs())
}

#[cfg(test)]
mod tests;
