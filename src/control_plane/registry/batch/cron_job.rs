//! CronJobs: a Job whenever the schedule says.
//!
//! Upstream: `pkg/registry/batch/cronjob/strategy.go`, `pkg/apis/batch/v1/defaults.go`,
//! `pkg/apis/batch/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, JobTemplateSpec};
use serde_json::{Value, json};

use super::job::{spec_warnings, validate_job_spec};
use crate::api::cron::{Schedule, time_zone};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::apps::workload::{self, not_negative};
use crate::control_plane::registry::core::pod::template::{self, CONTAINERS, IMAGES};
use crate::control_plane::registry::print::{self, AGE, NAME, column, number, wide};
use crate::control_plane::registry::rules::{one_of, set_default, text};
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

/// Bound of the name: a Job's, which has at most 63 letters, is it and the time in minutes.
const NAME_LENGTH_MAX: usize = 52;

const CONCURRENCY_POLICIES: &[&str] = &["Allow", "Forbid", "Replace"];

#[derive(Debug)]
pub(crate) struct CronJobs;

impl Resource for CronJobs {
    type Object = CronJob;

    const NAMES: Names =
        Names { plural: "cronjobs", singular: "cronjob", short: &["cj"], categories: &["all"] };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] =
        &[Subresource { name: "status", kind: ("", "", "CronJob"), verbs: STATUS_VERBS }];
    const GENERATION: bool = true;

    /// What is left out of the Jobs themselves is filled in when they are made.
    fn default(cron_job: &mut CronJob) {
        let spec = cron_job.spec.get_or_insert_default();
        set_default(&mut spec.concurrency_policy, "Allow");
        spec.suspend.get_or_insert(false);
        spec.successful_jobs_history_limit.get_or_insert(3);
        spec.failed_jobs_history_limit.get_or_insert(1);
        let job = spec.job_template.spec.get_or_insert_default();
        template::default(&mut job.template);
        cron_job.status.get_or_insert_default();
    }

    fn prepare_for_create(cron_job: &mut CronJob) {
        cron_job.status = Some(CronJobStatus::default());
    }

    fn prepare_for_update(cron_job: &mut CronJob, old: &CronJob) {
        cron_job.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(cron_job: &mut CronJob, old: &CronJob) {
        cron_job.spec.clone_from(&old.spec);
    }

    fn validate(cron_job: &CronJob) -> Vec<FieldError> {
        let mut faults =
            cron_job.spec.as_ref().map(|spec| validate_spec(spec, None)).unwrap_or_default();
        let name = text(&cron_job.metadata.name);
        if name.len() > NAME_LENGTH_MAX {
            let detail = format!("must be no more than {NAME_LENGTH_MAX} characters");
            faults.push(FieldError::invalid(Path::new("metadata").child("name"), name, detail));
        }
        faults
    }

    fn validate_update(cron_job: &CronJob, old: &CronJob) -> Vec<FieldError> {
        let spec = cron_job.spec.as_ref();
        spec.map(|spec| validate_spec(spec, old.spec.as_ref())).unwrap_or_default()
    }

    fn warnings(cron_job: &CronJob) -> Vec<String> {
        let mut warnings: Vec<String> =
            workload::name_warning(&cron_job.metadata).into_iter().collect();
        if let Some(job) = cron_job.spec.as_ref().and_then(|spec| spec.job_template.spec.as_ref()) {
            let path = Path::new("spec").child("jobTemplate").child("spec");
            warnings.extend(spec_warnings(job, &path));
        }
        warnings
    }

    fn columns() -> &'static [Column] {
        const SUSPEND: Column =
            Column { type_: "boolean", ..column("Suspend", "Whether no more Jobs are made.") };
        const COLUMNS: &[Column] = &[
            NAME,
            column("Schedule", "When a Job is made."),
            column("Timezone", "Whose clock the schedule goes by."),
            SUSPEND,
            number("Active", "How many of its Jobs are running."),
            column("Last Schedule", "Time since a Job was last made."),
            AGE,
            CONTAINERS,
            IMAGES,
            wide("Selector", "The labels by which its Jobs find their Pods."),
        ];
        COLUMNS
    }

    fn row(cron_job: &CronJob, now: Timestamp) -> Vec<Value> {
        let spec = cron_job.spec.as_ref();
        let status = cron_job.status.as_ref();
        let last = status.and_then(|status| status.last_schedule_time.as_ref());
        let active = status.and_then(|status| status.active.as_ref()).map_or(0, Vec::len);
        let job = spec.and_then(|spec| spec.job_template.spec.as_ref());
        let [names, images] = template::cells(job.map(|job| &job.template));
        let suspend = spec.and_then(|spec| spec.suspend);
        vec![
            print::name(&cron_job.metadata),
            spec.map(|spec| spec.schedule.clone()).unwrap_or_default().into(),
            print::or(spec.and_then(|spec| spec.time_zone.as_deref()), "<none>").into(),
            // Upstream: `printBoolPtr`.
            suspend.map_or("<unset>", |suspend| if suspend { "True" } else { "False" }).into(),
            active.into(),
            last.map_or_else(|| "<none>".to_owned(), |last| print::since(Some(last.0), now)).into(),
            print::age(&cron_job.metadata, now),
            names,
            images,
            print::selector(job.and_then(|job| job.selector.as_ref())).into(),
        ]
    }
}

fn validate_spec(spec: &CronJobSpec, old: Option<&CronJobSpec>) -> Vec<FieldError> {
    let path = Path::new("spec");
    let mut faults = validate_schedule(spec, old, &path.child("schedule"));
    let limits = [
        ("startingDeadlineSeconds", spec.starting_deadline_seconds),
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit.map(i64::from)),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit.map(i64::from)),
    ];
    for (field, number) in limits {
        faults.extend(not_negative(path.child(field), number));
    }
    if old.is_none_or(|old| old.time_zone != spec.time_zone)
        && let Some(zone) = &spec.time_zone
    {
        faults.extend(validate_zone(zone, &path.child("timeZone")));
    }
    let policy = text(&spec.concurrency_policy);
    faults.extend(one_of(&path.child("concurrencyPolicy"), policy, CONCURRENCY_POLICIES));
    faults.extend(validate_template(&spec.job_template, &path.child("jobTemplate").child("spec")));
    faults
}

/// A zone has a field of its own; only a CronJob that has always named it in the schedule may go on so.
fn validate_schedule(
    spec: &CronJobSpec,
    old: Option<&CronJobSpec>,
    path: &Path,
) -> Vec<FieldError> {
    let schedule = spec.schedule.as_str();
    if schedule.is_empty() {
        return vec![FieldError::required(path.clone(), "")];
    }
    let mut faults = Vec::new();
    let mut wrong = |detail: &str| {
        faults.push(FieldError::invalid(path.clone(), schedule, detail));
    };
    if let Err(slip) = Schedule::parse(schedule) {
        wrong(&slip);
    }
    if schedule.contains("TZ") {
        let was_so = old.is_some_and(|old| old.schedule.contains("TZ"));
        if !was_so {
            wrong("cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
        } else if spec.time_zone.is_some() {
            wrong("cannot use both timeZone field and TZ or CRON_TZ in schedule");
        }
    }
    faults
}

/// Upstream: `validateTimeZone`.
fn validate_zone(zone: &str, path: &Path) -> Vec<FieldError> {
    let fault = |detail: String| FieldError::invalid(path.clone(), zone, detail);
    if zone.is_empty() {
        return vec![fault("timeZone must be nil or non-empty string".to_owned())];
    }
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b".-_+".contains(&letter);
    let is_part = |part: &str| {
        (1..=14).contains(&part.len())
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
            && part.bytes().all(fits)
    };
    let unknown = || fault(format!("unknown time zone {zone}"));
    if !zone.split('/').all(is_part) {
        return vec![unknown()];
    }
    let mut faults = Vec::new();
    if zone.eq_ignore_ascii_case("local") {
        let detail =
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        faults.push(fault(detail.to_owned()));
    }
    // The host's own zone, under that very name, is known to Go.
    if zone != "Local" && time_zone(zone).is_none() {
        faults.push(unknown());
    }
    faults
}

/// `path` is that of the template's spec.
///
/// Upstream: `ValidateJobTemplateSpec`.
fn validate_template(template: &JobTemplateSpec, path: &Path) -> Vec<FieldError> {
    let Some(spec) = &template.spec else { return Vec::new() };
    let mut faults = validate_job_spec(spec, path);
    if let Some(selector) = &spec.selector {
        let detail = "`selector` will be auto-generated";
        faults.push(FieldError::invalid(path.child("selector"), json!(selector), detail));
    }
    if spec.manual_selector == Some(true) {
        let path = path.child("manualSelector");
        faults.push(FieldError::not_supported(path, true, &["nil", "false"]));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron_job(spec: Value) -> CronJob {
        let whole = json!({"metadata": {"name": "c"}, "spec": {"schedule": "*/5 * * * *",
            "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "c", "image": "i"}]}}}}}});
        let whole = crate::api::patch::merge::apply(whole, &json!({"spec": spec})).unwrap();
        let mut cron_job = serde_json::from_value(whole).unwrap();
        CronJobs::default(&mut cron_job);
        cron_job
    }

    #[track_caller]
    fn check(spec: Value, expect: &[&str]) {
        let faults = CronJobs::validate(&cron_job(spec));
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expect);
    }

    #[test]
    fn left_out_fields_are_filled_in() {
        let spec = serde_json::to_value(cron_job(json!({})).spec).unwrap();
        assert_eq!(spec["concurrencyPolicy"], "Allow");
        assert_eq!(spec["suspend"], false);
        assert_eq!(spec["successfulJobsHistoryLimit"], 3);
        assert_eq!(spec["failedJobsHistoryLimit"], 1);
        let job = &spec["jobTemplate"]["spec"];
        assert_eq!(job["template"]["spec"]["dnsPolicy"], "ClusterFirst");
        assert!(job.get("backoffLimit").is_none());
        check(json!({}), &[]);
    }

    #[test]
    fn a_schedule_that_cannot_be_read_is_refused() {
        let path = "spec.schedule: ";
        check(json!({"schedule": ""}), &[&format!("{path}Required value")]);
        let text = "Invalid value: \"* * * *\": expected exactly 5 fields, found 4: [* * * *]";
        check(json!({"schedule": "* * * *"}), &[&format!("{path}{text}")]);
        let text = "Invalid value: \"TZ=UTC 0 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        check(json!({"schedule": "TZ=UTC 0 * * * *"}), &[&format!("{path}{text}")]);
        let old = cron_job(json!({"schedule": "TZ=UTC 0 * * * *"}));
        let new = cron_job(json!({"schedule": "TZ=UTC 1 * * * *"}));
        assert_eq!(CronJobs::validate_update(&new, &old), []);
        let new = cron_job(json!({"schedule": "TZ=UTC 1 * * * *", "timeZone": "Etc/UTC"}));
        assert_eq!(
            CronJobs::validate_update(&new, &old)[0].detail,
            "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        );
    }

    #[test]
    fn zones_are_those_of_the_iana() {
        check(json!({"timeZone": "Asia/Tokyo"}), &[]);
        for zone in ["Mars/Olympus", "../etc", "asia/tokyo", "Asia/"] {
            let text =
                format!("spec.timeZone: Invalid value: \"{zone}\": unknown time zone {zone}");
            check(json!({"timeZone": zone}), &[&text]);
        }
        check(
            json!({"timeZone": ""}),
            &["spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"],
        );
        check(
            json!({"timeZone": "Local"}),
            &[
                "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ],
        );
    }

    #[test]
    fn faults_of_its_jobs_are_named_with_their_place() {
        check(
            json!({"concurrencyPolicy": "Sometimes", "failedJobsHistoryLimit": -1,
                "jobTemplate": {"spec": {"backoffLimit": -1, "manualSelector": true,
                    "selector": {"matchLabels": {"a": "b"}},
                    "template": {"spec": {"restartPolicy": "Always"}}}}}),
            &[
                "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
                "spec.concurrencyPolicy: Unsupported value: \"Sometimes\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
                "spec.jobTemplate.spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
                "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
                "spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated",
                "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
            ],
        );
        let mut long = cron_job(json!({}));
        long.metadata.name = Some("c".repeat(53));
        assert_eq!(CronJobs::validate(&long)[0].detail, "must be no more than 52 characters");
    }

    #[test]
    fn rows_tell_the_schedule_and_when_it_was_last_kept() {
        let mut cron_job = cron_job(json!({"timeZone": "Asia/Tokyo"}));
        let row = CronJobs::row(&cron_job, Timestamp::UNIX_EPOCH);
        assert_eq!(
            row[1..6],
            ["*/5 * * * *", "Asia/Tokyo", "False", "", "<none>"]
                .map(|cell| { if cell.is_empty() { json!(0) } else { json!(cell) } })
        );
        let status = json!({"lastScheduleTime": "1970-01-01T00:00:00Z", "active": [{"name": "a"}]});
        cron_job.status = serde_json::from_value(status).unwrap();
        let row = CronJobs::row(&cron_job, "1970-01-01T00:01:30Z".parse().unwrap());
        assert_eq!(row[4..6], [json!(1), json!("90s")]);
    }
}
