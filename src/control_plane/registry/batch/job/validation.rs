//! Every fault of a Job, worded and placed as upstream's.
//!
//! Upstream: `pkg/apis/batch/validation/validation.go` of v1.33.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule, SuccessPolicyRule,
};
use serde_json::{Value, json};

use super::{
    CONTROLLER_UID, INDEXED, JOB_NAME, LEGACY_CONTROLLER_UID, LEGACY_JOB_NAME, NON_INDEXED,
    indexes, is_indexed,
};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::api::selector::Labels;
use crate::control_plane::registry::apps::workload::not_negative;
use crate::control_plane::registry::core::pod::template;
use crate::control_plane::registry::rules::{text, validate_domain_prefixed_path};

// Bounds of upstream's, by their names there.
const MAX_PARALLELISM_FOR_INDEXED_JOB: i32 = 100_000;
const MAX_FAILED_INDEXES_FOR_INDEXED_JOB: i32 = 100_000;
const COMPLETIONS_SOFT_LIMIT: i32 = 100_000;
const PARALLELISM_LIMIT_FOR_HIGH_COMPLETIONS: i32 = 10_000;
const MAX_FAILED_INDEXES_LIMIT_FOR_HIGH_COMPLETIONS: i32 = 10_000;
const MAX_POD_FAILURE_POLICY_RULES: usize = 20;
const MAX_POD_FAILURE_POLICY_ON_EXIT_CODES_VALUES: usize = 255;
const MAX_POD_FAILURE_POLICY_ON_POD_CONDITIONS_PATTERNS: usize = 20;
const MAX_MANAGED_BY_LENGTH: usize = 63;
const MAX_SUCCEEDED_INDEXES_LENGTH: usize = 64 * 1024;
const MAX_SUCCESS_POLICY_RULES: usize = 20;

const ACTIONS: &[&str] = &["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: &[&str] = &["In", "NotIn"];
const STATUSES: &[&str] = &["False", "True", "Unknown"];
const NEEDS_INDEXES: &str = "requires indexed completion mode";

/// A whole Job. `prefixed` says whether its template must have the labels with prefixes too.
pub(super) fn validate(job: &Job, prefixed: bool) -> Vec<FieldError> {
    let Some(spec) = &job.spec else { return Vec::new() };
    let path = Path::new("spec");
    let mut faults = validate_generated_selector(job, spec, prefixed);
    faults.extend(validate_job_spec(spec, &path));
    faults.extend(validate_selector(spec, &path));
    if is_indexed(spec)
        && let Some(completions) = spec.completions.filter(|completions| *completions > 0)
    {
        // The controller calls its Pods' hosts so.
        let name = text(&job.metadata.name);
        let hostname = format!("{name}-{}", completions - 1);
        if !meta::dns1123_label(&hostname).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {hostname}");
            let path = Path::new("metadata").child("name");
            faults.push(FieldError::invalid(path, name, detail));
        }
    }
    faults
}

fn validate_generated_selector(job: &Job, spec: &JobSpec, prefixed: bool) -> Vec<FieldError> {
    let Some(selector) = spec.selector.as_ref().filter(|_| spec.manual_selector != Some(true))
    else {
        return Vec::new();
    };
    let (name, uid) = (text(&job.metadata.name), text(&job.metadata.uid));
    let legacy = [(LEGACY_CONTROLLER_UID, uid), (LEGACY_JOB_NAME, name)];
    let current = [(CONTROLLER_UID, uid), (JOB_NAME, name)];
    let wanted = legacy.into_iter().chain(current.into_iter().filter(|_| prefixed));
    let wanted: Vec<(&str, &str)> = wanted.collect();
    let labels = spec.template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
    let path = Path::new("spec").child("template").child("metadata").child("labels");
    let mut faults = Vec::new();
    for (key, value) in &wanted {
        let detail = format!("must be '{value}'");
        match labels.and_then(|labels| labels.get(*key)) {
            None => faults.push(FieldError::required(path.key(key), detail)),
            Some(found) if found != value => {
                faults.push(FieldError::invalid(path.key(key), json!(labels), detail));
            }
            Some(_) => {}
        }
    }
    let expected =
        wanted.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    if Labels::from_typed(Some(selector)).is_ok_and(|selector| !selector.matches(&expected)) {
        let path = Path::new("spec").child("selector");
        let detail = "`selector` not auto-generated";
        faults.push(FieldError::invalid(path, json!(selector), detail));
    }
    faults
}

fn validate_selector(spec: &JobSpec, path: &Path) -> Vec<FieldError> {
    let Some(selector) = &spec.selector else {
        return vec![FieldError::required(path.child("selector"), "")];
    };
    let mut faults = template::validate_selector(Some(selector), &path.child("selector"));
    let labels = spec.template.metadata.as_ref().and_then(|meta| meta.labels.clone());
    let own = labels.clone().unwrap_or_default();
    if Labels::from_typed(Some(selector)).is_ok_and(|selector| !selector.matches(&own)) {
        let path = path.child("template").child("metadata").child("labels");
        let detail = "`selector` does not match template `labels`";
        faults.push(FieldError::invalid(path, json!(labels), detail));
    }
    faults
}

/// What holds for the spec of a Job and of a template of Jobs; `path` is the spec's.
pub(in crate::control_plane::registry::batch) fn validate_job_spec(
    spec: &JobSpec,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = validate_numbers(spec, path);
    if let Some(manager) = &spec.managed_by {
        let path = path.child("managedBy");
        faults.extend(validate_domain_prefixed_path(manager, &path));
        if manager.len() > MAX_MANAGED_BY_LENGTH {
            faults.push(FieldError::too_long(path, MAX_MANAGED_BY_LENGTH));
        }
    }
    faults.extend(validate_completion_mode(spec, path));
    faults.extend(validate_failure_policy(spec, &path.child("podFailurePolicy")));
    faults.extend(validate_success_policy(spec, &path.child("successPolicy")));
    faults.extend(validate_replacement_policy(spec, &path.child("podReplacementPolicy")));
    faults.extend(template::validate(&spec.template, &path.child("template")));
    faults.extend(validate_restart_policy(spec, &path.child("template").child("spec")));
    faults
}

fn validate_numbers(spec: &JobSpec, path: &Path) -> Vec<FieldError> {
    let numbers = [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ];
    let negative =
        numbers.into_iter().filter_map(|(field, number)| not_negative(path.child(field), number));
    let mut faults: Vec<FieldError> = negative.collect();
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        let detail = "when maxFailedIndexes is specified";
        faults.push(FieldError::required(path.child("backoffLimitPerIndex"), detail));
    }
    faults
}

fn validate_completion_mode(spec: &JobSpec, path: &Path) -> Vec<FieldError> {
    match text(&spec.completion_mode) {
        INDEXED => validate_indexed(spec, path),
        NON_INDEXED | "" => {
            let perhaps = [
                ("backoffLimitPerIndex", spec.backoff_limit_per_index),
                ("maxFailedIndexes", spec.max_failed_indexes),
            ];
            let given = perhaps.into_iter().filter_map(|(field, number)| {
                Some(FieldError::invalid(path.child(field), number?, NEEDS_INDEXES))
            });
            given.collect()
        }
        mode => {
            let path = path.child("completionMode");
            vec![FieldError::not_supported(path, mode, &[NON_INDEXED, INDEXED])]
        }
    }
}

fn validate_indexed(spec: &JobSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut not_above = |field: &'static str, number: Option<i32>, most: i32, detail: String| {
        if let Some(number) = number.filter(|number| *number > most) {
            faults.push(FieldError::invalid(path.child(field), number, detail));
        }
    };
    let most = MAX_PARALLELISM_FOR_INDEXED_JOB;
    let detail = format!("must be less than or equal to {most} when completion mode is {INDEXED}");
    not_above("parallelism", spec.parallelism, most, detail);
    if let Some(completions) = spec.completions {
        let detail = "must be less than or equal to completions".to_owned();
        not_above("maxFailedIndexes", spec.max_failed_indexes, completions, detail);
    }
    let most = MAX_FAILED_INDEXES_FOR_INDEXED_JOB;
    let detail = format!("must be less than or equal to {most}");
    not_above("maxFailedIndexes", spec.max_failed_indexes, most, detail);
    let is_high = spec.completions.is_some_and(|count| count > COMPLETIONS_SOFT_LIMIT);
    if is_high && spec.backoff_limit_per_index.is_some() {
        let detail = |most: i32| {
            format!(
                "must be less than or equal to {most} when completions are above \
                 {COMPLETIONS_SOFT_LIMIT} and used with backoff limit per index"
            )
        };
        let most = PARALLELISM_LIMIT_FOR_HIGH_COMPLETIONS;
        not_above("parallelism", spec.parallelism, most, detail(most));
        let most = MAX_FAILED_INDEXES_LIMIT_FOR_HIGH_COMPLETIONS;
        not_above("maxFailedIndexes", spec.max_failed_indexes, most, detail(most));
        if spec.max_failed_indexes.is_none() {
            let detail =
                format!("must be specified when completions is above {COMPLETIONS_SOFT_LIMIT}");
            faults.push(FieldError::required(path.child("maxFailedIndexes"), detail));
        }
    }
    if spec.completions.is_none() {
        let detail = format!("when completion mode is {INDEXED}");
        faults.push(FieldError::required(path.child("completions"), detail));
    }
    faults
}

/// A list as Go's `%q` writes it.
fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("valid values: [{}]", words.join(" "))
}

/// A word that must be there; what it may be is named in any case.
fn chosen(path: Path, word: &str, words: &[&str]) -> Option<FieldError> {
    match word {
        "" => Some(FieldError::required(path, quoted(words))),
        word if words.contains(&word) => None,
        word => Some(FieldError::not_supported(path, word, words)),
    }
}

fn validate_failure_policy(spec: &JobSpec, path: &Path) -> Vec<FieldError> {
    let Some(policy) = &spec.pod_failure_policy else { return Vec::new() };
    let path = path.child("rules");
    let mut faults = Vec::new();
    if policy.rules.len() > MAX_POD_FAILURE_POLICY_RULES {
        let count = policy.rules.len();
        faults.push(FieldError::too_many(path.clone(), count, MAX_POD_FAILURE_POLICY_RULES));
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        faults.extend(validate_failure_rule(spec, rule, &path.index(index)));
    }
    faults
}

fn validate_failure_rule(
    spec: &JobSpec,
    rule: &PodFailurePolicyRule,
    path: &Path,
) -> Vec<FieldError> {
    let action = path.child("action");
    let mut faults = Vec::new();
    if rule.action == "FailIndex" && spec.backoff_limit_per_index.is_none() {
        let detail = "requires the backoffLimitPerIndex to be set";
        faults.push(FieldError::invalid(action, rule.action.as_str(), detail));
    } else {
        faults.extend(chosen(action, &rule.action, ACTIONS));
    }
    let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
    if let Some(codes) = &rule.on_exit_codes {
        faults.extend(validate_exit_codes(spec, codes, &path.child("onExitCodes")));
    }
    faults.extend(validate_patterns(patterns, &path.child("onPodConditions")));
    let detail = match (&rule.on_exit_codes, patterns) {
        (Some(_), [_, ..]) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (None, []) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return faults,
    };
    faults.push(FieldError::invalid_together(path.clone(), detail));
    faults
}

fn validate_exit_codes(
    spec: &JobSpec,
    codes: &PodFailurePolicyOnExitCodesRequirement,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    faults.extend(chosen(path.child("operator"), &codes.operator, OPERATORS));
    let pod = spec.template.spec.as_ref();
    let names = || {
        let init = pod.into_iter().flat_map(|pod| pod.init_containers.iter().flatten());
        pod.into_iter().flat_map(|pod| &pod.containers).chain(init).map(|one| &one.name)
    };
    if let Some(name) = codes.container_name.as_ref().filter(|name| !names().any(|it| it == *name))
    {
        let detail = "must be one of the container or initContainer names in the pod template";
        faults.push(FieldError::invalid(path.child("containerName"), name.as_str(), detail));
    }
    let path = path.child("values");
    let values = &codes.values;
    let count_max = MAX_POD_FAILURE_POLICY_ON_EXIT_CODES_VALUES;
    if values.is_empty() {
        let detail = "at least one value is required";
        faults.push(FieldError::invalid(path.clone(), Value::Null, detail));
    } else if values.len() > count_max {
        faults.push(FieldError::too_many(path.clone(), values.len(), count_max));
    }
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        if codes.operator == "In" && *value == 0 {
            let detail = "must not be 0 for the In operator";
            faults.push(FieldError::invalid(path.index(index), *value, detail));
        }
        if !seen.insert(*value) {
            faults.push(FieldError::duplicate(path.index(index), *value));
        }
    }
    if !values.is_sorted() {
        faults.push(FieldError::invalid(path, json!(values), "must be ordered"));
    }
    faults
}

fn validate_patterns(
    patterns: &[PodFailurePolicyOnPodConditionsPattern],
    path: &Path,
) -> Vec<FieldError> {
    let count_max = MAX_POD_FAILURE_POLICY_ON_POD_CONDITIONS_PATTERNS;
    let mut faults = Vec::new();
    if patterns.len() > count_max {
        faults.push(FieldError::too_many(path.clone(), patterns.len(), count_max));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let path = path.index(index);
        let complaints = meta::qualified_name(&pattern.type_);
        faults.extend(invalid_each(&path.child("type"), &pattern.type_, complaints));
        faults.extend(chosen(path.child("status"), &pattern.status, STATUSES));
    }
    faults
}

fn validate_success_policy(spec: &JobSpec, path: &Path) -> Vec<FieldError> {
    let Some(policy) = &spec.success_policy else { return Vec::new() };
    if !is_indexed(spec) {
        return vec![FieldError::invalid(path.clone(), json!(policy), NEEDS_INDEXES)];
    }
    let path = path.child("rules");
    let mut faults = Vec::new();
    if policy.rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        faults.push(FieldError::required(path.clone(), detail));
    }
    if policy.rules.len() > MAX_SUCCESS_POLICY_RULES {
        let count = policy.rules.len();
        faults.push(FieldError::too_many(path.clone(), count, MAX_SUCCESS_POLICY_RULES));
    }
    // Without completions there is a fault already.
    let completions = spec.completions.unwrap_or(0);
    for (index, rule) in policy.rules.iter().enumerate() {
        faults.extend(validate_success_rule(rule, completions, &path.index(index)));
    }
    faults
}

fn validate_success_rule(
    rule: &SuccessPolicyRule,
    completions: i32,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        faults.push(FieldError::required(path.clone(), detail));
    }
    let mut named = None;
    if let Some(set) = &rule.succeeded_indexes {
        let path = path.child("succeededIndexes");
        if set.len() > MAX_SUCCEEDED_INDEXES_LENGTH {
            faults.push(FieldError::too_long(path.clone(), MAX_SUCCEEDED_INDEXES_LENGTH));
        }
        let counted = indexes::count(set, completions);
        named = Some(counted.clone().unwrap_or(0));
        if let Err(slip) = counted {
            let detail = format!("error parsing succeededIndexes: {slip}");
            faults.push(FieldError::invalid(path, set.as_str(), detail));
        }
    }
    let Some(count) = rule.succeeded_count else { return faults };
    let path = path.child("succeededCount");
    faults.extend(not_negative(path.clone(), Some(count)));
    let bounds = [
        (Some(completions), "specified completions"),
        (named, "indexes in the specified succeededIndexes field"),
    ];
    for (most, what) in bounds {
        if let Some(most) = most.filter(|most| count > *most) {
            let detail = format!("must be less than or equal to {most} (the number of {what})");
            faults.push(FieldError::invalid(path.clone(), count, detail));
        }
    }
    faults
}

fn validate_replacement_policy(spec: &JobSpec, path: &Path) -> Option<FieldError> {
    let policy = spec.pod_replacement_policy.as_deref()?;
    // Whoever judges how a Pod failed must wait until it has.
    let supported: &[&str] = match spec.pod_failure_policy {
        Some(_) => &["Failed"],
        None => &["Failed", "TerminatingOrFailed"],
    };
    let known = supported.contains(&policy);
    (!known).then(|| FieldError::not_supported(path.clone(), policy, supported))
}

/// `path` is that of the template's spec.
fn validate_restart_policy(spec: &JobSpec, path: &Path) -> Option<FieldError> {
    let path = path.child("restartPolicy");
    let policy = spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    match policy.unwrap_or_default() {
        "Always" | "" => Some(FieldError::required(path, "valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            Some(FieldError::invalid(path, "OnFailure", detail))
        }
        "OnFailure" | "Never" => None,
        policy => Some(FieldError::not_supported(path, policy, &["OnFailure", "Never"])),
    }
}
