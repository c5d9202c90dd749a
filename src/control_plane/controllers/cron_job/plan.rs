//! What a CronJob does next: a function of it, its Jobs and the time.
//!
//! Upstream: `syncCronJob`, `cleanupFinishedJobs` in `pkg/controller/cronjob/cronjob_controllerv2.go`.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::times::{self, Due};
use crate::api::cron::{Schedule, time_zone};
use crate::client::events::EventType;
use crate::control_plane::controllers::job::is_finished;
use crate::control_plane::controllers::ownership::{managed_by, reference, uid};

/// On a Job: for which time it was made.
const SCHEDULED_TIMESTAMP: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// One Event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Note {
    pub(super) type_: EventType,
    pub(super) reason: &'static str,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) struct Create {
    pub(super) job: Box<Job>,
    pub(super) time: Timestamp,
}

/// What is to be done, in this order; the Job that is made is noted in the status by [`note_created`].
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) notes: Vec<Note>,
    pub(super) delete: Vec<Arc<Job>>,
    pub(super) create: Option<Create>,
    pub(super) status: CronJobStatus,
    /// When the schedule's next time comes.
    pub(super) again: Option<Duration>,
}

impl Plan {
    fn note(&mut self, type_: EventType, reason: &'static str, text: String) {
        self.notes.push(Note { type_, reason, text });
    }
}

/// `jobs` are those that the CronJob manages. None: it has no spec.
pub(super) fn plan(cron_job: &CronJob, jobs: &[Arc<Job>], now: Timestamp) -> Option<Plan> {
    let spec = cron_job.spec.as_ref()?;
    let status = cron_job.status.clone().unwrap_or_default();
    let mut plan = Plan { status, ..Plan::default() };
    clean_up(spec, jobs, &mut plan);
    look_at_jobs(jobs, &mut plan);
    if cron_job.metadata.deletion_timestamp.is_none() {
        start(cron_job, spec, jobs, now, &mut plan);
    }
    Some(plan)
}

/// Notes in the status that the Job was made for that time.
pub(super) fn note_created(status: &mut CronJobStatus, job: &Job, time: Timestamp) {
    if !is_active(status, uid(&job.metadata)) {
        status.active.get_or_insert_default().push(reference(job));
    }
    status.last_schedule_time = Some(Time(time));
}

fn is_active(status: &CronJobStatus, uid: &str) -> bool {
    status.active.iter().flatten().any(|job| job.uid.as_deref() == Some(uid))
}

fn no_longer_active(status: &mut CronJobStatus, is_one: impl Fn(&ObjectReference) -> bool) {
    let Some(active) = &mut status.active else { return };
    active.retain(|job| !is_one(job));
    status.active.take_if(|active| active.is_empty());
}

/// Whether the Job's end was of that type.
fn has_ended(job: &Job, type_: &str) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == type_ && condition.status == "True")
}

/// Chooses the finished Jobs that are too many, the oldest first.
fn clean_up(spec: &CronJobSpec, jobs: &[Arc<Job>], plan: &mut Plan) {
    let limits = [
        ("Complete", spec.successful_jobs_history_limit),
        ("Failed", spec.failed_jobs_history_limit),
    ];
    for (end, limit) in limits {
        let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else { continue };
        let is_there =
            |job: &&Arc<Job>| has_ended(job, end) && job.metadata.deletion_timestamp.is_none();
        let mut ended: Vec<&Arc<Job>> = jobs.iter().filter(is_there).collect();
        // One that never started goes last.
        let age = |job: &Job| {
            let start = job.status.as_ref().and_then(|status| status.start_time.as_ref());
            (Reverse(start.is_some()), start.map(|start| start.0), job.metadata.name.clone())
        };
        ended.sort_by_key(|job| age(job));
        let excess = ended.len().saturating_sub(limit);
        for job in ended.into_iter().take(excess) {
            no_longer_active(&mut plan.status, |one| one.uid == job.metadata.uid);
            plan.delete.push(job.clone());
        }
    }
}

/// Brings the status up to what the Jobs are.
fn look_at_jobs(jobs: &[Arc<Job>], plan: &mut Plan) {
    for job in jobs {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let is_known = is_active(&plan.status, uid(&job.metadata));
        let is_over = is_finished(job);
        if !is_known && !is_over {
            let text = format!("Saw a job that the controller did not create or forgot: {name}");
            plan.note(EventType::Warning, "UnexpectedJob", text);
        } else if is_known && is_over {
            let end = if has_ended(job, "Complete") { "Complete" } else { "Failed" };
            no_longer_active(&mut plan.status, |one| one.uid == job.metadata.uid);
            let text = format!("Saw completed job: {name}, condition: {end}");
            plan.note(EventType::Normal, "SawCompletedJob", text);
        }
        let completed = job.status.as_ref().and_then(|status| status.completion_time.clone());
        if has_ended(job, "Complete") {
            let last = plan.status.last_successful_time.take();
            plan.status.last_successful_time = last.max(completed);
        }
    }
    let is_there = |one: &ObjectReference| jobs.iter().any(|job| job.metadata.uid == one.uid);
    let active = plan.status.active.clone().unwrap_or_default();
    for missing in active.iter().filter(|one| !is_there(one)) {
        let name = missing.name.as_deref().unwrap_or_default();
        plan.note(EventType::Normal, "MissingJob", format!("Active job went missing: {name}"));
    }
    no_longer_active(&mut plan.status, |one| !is_there(one));
}

/// Makes a Job if one is due.
fn start(
    cron_job: &CronJob,
    spec: &CronJobSpec,
    jobs: &[Arc<Job>],
    now: Timestamp,
    plan: &mut Plan,
) {
    let zone = spec.time_zone.as_deref();
    if let Some(zone) = zone.filter(|zone| time_zone(zone).is_none()) {
        let text = format!("invalid timeZone: {zone:?}: unknown time zone {zone}");
        return plan.note(EventType::Warning, "UnknownTimeZone", text);
    }
    if spec.suspend == Some(true) {
        return;
    }
    let Some(schedule) = parse(spec, plan) else { return };
    let last = plan.status.last_schedule_time.as_ref().map(|time| time.0);
    let created = cron_job.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let since = last.or(created).unwrap_or(now);
    plan.again = times::next(&schedule, since, now);
    // What is older than its deadline is not even looked at.
    let deadline = spec.starting_deadline_seconds.map(SignedDuration::from_secs);
    let from = deadline.and_then(|deadline| now.checked_sub(deadline).ok());
    let time = match times::due(&schedule, from.map_or(since, |from| from.max(since)), now) {
        Due::Nothing => return,
        Due::Never => {
            plan.again = None;
            let text = format!(
                "invalid schedule: {} : time difference between two schedules is less than 1 second",
                spec.schedule
            );
            return plan.note(EventType::Warning, "InvalidSchedule", text);
        }
        Due::At { time, too_many_missed } => {
            if too_many_missed {
                let text = "too many missed start times. Set or decrease \
                            .spec.startingDeadlineSeconds or check clock skew";
                plan.note(EventType::Warning, "TooManyMissedTimes", text.to_owned());
            }
            time
        }
    };
    if deadline.is_some_and(|deadline| now.duration_since(time) > deadline) {
        let shown = time.strftime("%a, %d %b %Y %H:%M:%S +0000");
        let text = format!("Missed scheduled time to start a job: {shown}");
        return plan.note(EventType::Warning, "MissSchedule", text);
    }
    let job = new_job(cron_job, spec, time);
    let active = plan.status.active.as_deref().unwrap_or_default();
    if last == Some(time) || active.iter().any(|one| one.name == job.metadata.name) {
        return;
    }
    match spec.concurrency_policy.as_deref() {
        Some("Forbid") if !active.is_empty() => {
            let text = "Not starting job because prior execution is running and concurrency \
                        policy is Forbid";
            return plan.note(EventType::Normal, "JobAlreadyActive", text.to_owned());
        }
        Some("Replace") => {
            let is_active = |job: &&Arc<Job>| is_active(&plan.status, uid(&job.metadata));
            let replaced: Vec<_> = jobs.iter().filter(is_active).cloned().collect();
            plan.delete.extend(replaced);
            plan.status.active = None;
        }
        _ => {}
    }
    plan.create = Some(Create { job: Box::new(job), time });
}

/// The schedule, in its zone. One that cannot be read was refused when it came, unless by another version.
///
/// Upstream: `formatSchedule`.
fn parse(spec: &CronJobSpec, plan: &mut Plan) -> Option<Schedule> {
    let schedule = &spec.schedule;
    let parsed = if schedule.contains("TZ") {
        let text = format!(
            "CRON_TZ or TZ used in schedule {schedule:?} is not officially supported, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        );
        plan.note(EventType::Warning, "UnsupportedSchedule", text);
        Schedule::parse(schedule)
    } else {
        match &spec.time_zone {
            Some(zone) => Schedule::parse(&format!("TZ={zone} {schedule}")),
            None => Schedule::parse(schedule),
        }
    };
    match parsed {
        Ok(schedule) => Some(schedule),
        Err(slip) => {
            let text = format!("unparseable schedule: {schedule:?} : {slip}");
            plan.note(EventType::Warning, "UnparseableSchedule", text);
            None
        }
    }
}

/// The Job of that time; its name says the time in minutes, so that there is one of each.
///
/// Upstream: `getJobFromTemplate2`.
fn new_job(cron_job: &CronJob, spec: &CronJobSpec, time: Timestamp) -> Job {
    let template = spec.job_template.metadata.clone().unwrap_or_default();
    let name = cron_job.metadata.name.as_deref().unwrap_or_default();
    let zone =
        time_zone(spec.time_zone.as_deref().unwrap_or_default()).unwrap_or(jiff::tz::TimeZone::UTC);
    let mut annotations = template.annotations.unwrap_or_default();
    annotations.insert(SCHEDULED_TIMESTAMP.to_owned(), rfc3339(time, &zone));
    Job {
        metadata: ObjectMeta {
            name: Some(format!("{name}-{}", time.as_second() / 60)),
            namespace: cron_job.metadata.namespace.clone(),
            labels: template.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![managed_by(cron_job)]),
            ..ObjectMeta::default()
        },
        spec: spec.job_template.spec.clone(),
        status: None,
    }
}

/// As Go's `time.RFC3339` has it: `Z` for no offset.
fn rfc3339(time: Timestamp, zone: &jiff::tz::TimeZone) -> String {
    let offset = zone.to_offset(time);
    match offset.seconds() {
        0 => time.to_string(),
        _ => time.display_with_offset(offset).to_string(),
    }
}
