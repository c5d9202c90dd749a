use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use serde_json::{Value, json};

use super::plan::{Plan, note_created, plan};
use crate::control_plane::controllers::ownership::uid;

fn time(text: &str) -> Timestamp {
    format!("2026-03-{text}Z").parse().unwrap()
}

fn cron_job(spec: Value) -> CronJob {
    let whole = json!({"metadata": {"name": "c", "namespace": "n", "uid": "c",
            "creationTimestamp": "2026-03-01T10:00:30Z"},
        "spec": {"schedule": "*/10 * * * *", "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1, "jobTemplate": {"metadata": {"labels": {"a": "b"}},
                "spec": {"template": {"spec": {"containers": []}}}}}});
    let whole = crate::api::patch::merge::apply(whole, &json!({"spec": spec})).unwrap();
    serde_json::from_value(whole).unwrap()
}

fn job(name: &str, end: Option<(&str, &str)>) -> Arc<Job> {
    let conditions = end.map(|(type_, _)| json!([{"type": type_, "status": "True"}]));
    let start = end.map(|(_, time)| time);
    Arc::new(
        serde_json::from_value(json!({"metadata": {"name": name, "uid": name},
            "status": {"conditions": conditions, "startTime": start, "completionTime": start}}))
        .unwrap(),
    )
}

fn words(plan: &Plan) -> Vec<String> {
    plan.notes.iter().map(|note| format!("{}: {}", note.reason, note.text)).collect()
}

fn made(plan: &Plan) -> Option<&str> {
    plan.create.as_ref().and_then(|create| create.job.metadata.name.as_deref())
}

#[test]
fn a_job_is_made_when_it_is_due() {
    let cron_job = cron_job(json!({"timeZone": "Asia/Kolkata"}));
    let early = plan(&cron_job, &[], time("01T10:05:00")).unwrap();
    assert_eq!(made(&early), None);
    assert_eq!(early.again, Some(Duration::from_millis(300_100)));
    let due = plan(&cron_job, &[], time("01T10:10:00.1")).unwrap();
    let job = &due.create.as_ref().unwrap().job;
    let minutes = time("01T10:10:00").as_second() / 60;
    let meta = serde_json::to_value(&job.metadata).unwrap();
    assert_eq!(meta["name"], format!("c-{minutes}"));
    assert_eq!(meta["labels"], json!({"a": "b"}));
    let stamp = &meta["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"];
    assert_eq!(stamp, "2026-03-01T15:40:00+05:30");
    let owner = json!({"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": "c",
        "controller": true, "blockOwnerDeletion": true});
    assert_eq!(meta["ownerReferences"], json!([owner]));
    assert_eq!(due.again, Some(Duration::from_secs(600)));
}

#[test]
fn a_time_is_kept_once() {
    let mut cron_job = cron_job(json!({}));
    let now = time("01T10:10:00.1");
    let due = plan(&cron_job, &[], now).unwrap();
    let mut status = due.status;
    let create = due.create.unwrap();
    let mut made_job = *create.job;
    made_job.metadata.uid = Some("1".to_owned());
    note_created(&mut status, &made_job, create.time);
    cron_job.status = Some(status.clone());
    let made_job = Arc::new(made_job);
    let again = plan(&cron_job, std::slice::from_ref(&made_job), now).unwrap();
    assert_eq!((made(&again), &again.status, words(&again)), (None, &status, vec![]));
    // It was made, and that was not noted any more.
    cron_job.status = None;
    let forgotten = plan(&cron_job, &[made_job], now).unwrap();
    assert!(made(&forgotten).is_some() && words(&forgotten)[0].starts_with("UnexpectedJob: "));
}

#[test]
fn a_prior_job_is_waited_for_or_replaced() {
    let with = |policy: &str| {
        let mut cron_job = cron_job(json!({"concurrencyPolicy": policy}));
        let status = json!({"active": [{"name": "old", "uid": "old"}]});
        cron_job.status = serde_json::from_value(status).unwrap();
        plan(&cron_job, &[job("old", None)], time("01T10:10:00")).unwrap()
    };
    assert!(made(&with("Allow")).is_some() && with("Allow").delete.is_empty());
    let forbids = with("Forbid");
    let text = "JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid";
    assert_eq!((made(&forbids), words(&forbids)), (None, vec![text.to_owned()]));
    let replaces = with("Replace");
    assert!(made(&replaces).is_some() && replaces.status.active.is_none());
    assert_eq!(replaces.delete.len(), 1);
}

#[test]
fn what_has_been_missed_is_told() {
    let now = time("01T10:10:31");
    let late = plan(&cron_job(json!({"startingDeadlineSeconds": 30})), &[], now).unwrap();
    // Older than the deadline: not even looked at, as upstream does not.
    assert_eq!((made(&late), words(&late)), (None, vec![]));
    let now = time("01T10:10:30.5");
    let late = plan(&cron_job(json!({"startingDeadlineSeconds": 31})), &[], now).unwrap();
    assert!(made(&late).is_some());
    let many = plan(&cron_job(json!({})), &[], time("02T10:10:00")).unwrap();
    let text = "TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
    assert_eq!((made(&many).is_some(), words(&many)), (true, vec![text.to_owned()]));
    let never = plan(&cron_job(json!({"schedule": "0 0 31 2 *"})), &[], now).unwrap();
    let text = "InvalidSchedule: invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 second";
    assert_eq!((never.again, words(&never)), (None, vec![text.to_owned()]));
    let nowhere = plan(&cron_job(json!({"timeZone": "No/Where"})), &[], now).unwrap();
    let text = "UnknownTimeZone: invalid timeZone: \"No/Where\": unknown time zone No/Where";
    assert_eq!(words(&nowhere), [text]);
    let suspended = plan(&cron_job(json!({"suspend": true})), &[], now).unwrap();
    assert_eq!((made(&suspended), suspended.again), (None, None));
}

#[test]
fn ends_are_noted_and_old_jobs_go() {
    let mut cron_job = cron_job(json!({"suspend": true, "successfulJobsHistoryLimit": 2}));
    let status = json!({"active": [{"name": "d", "uid": "d"}, {"name": "gone", "uid": "gone"}]});
    cron_job.status = serde_json::from_value(status).unwrap();
    let at = |minute: u32| format!("2026-03-01T10:{minute:02}:00Z");
    let jobs = [
        job("b", Some(("Complete", &at(20)))),
        job("a", Some(("Complete", &at(10)))),
        job("d", Some(("Complete", &at(40)))),
        job("f", Some(("Failed", &at(5)))),
        job("run", None),
    ];
    let plan = plan(&cron_job, &jobs, time("01T11:00:00")).unwrap();
    let gone: Vec<_> = plan.delete.iter().map(|job| uid(&job.metadata)).collect();
    assert_eq!(gone, ["a"]);
    assert_eq!(
        words(&plan),
        [
            "SawCompletedJob: Saw completed job: d, condition: Complete",
            "UnexpectedJob: Saw a job that the controller did not create or forgot: run",
            "MissingJob: Active job went missing: gone",
        ]
    );
    let last = plan.status.last_successful_time.map(|time| time.0);
    assert_eq!((plan.status.active, last), (None, Some(time("01T10:40:00"))));
}

/// A month of CronJobs: each time once, in order, and never more history than asked for.
#[test]
fn a_month_passes() {
    for (schedule, zone, expect) in [
        ("*/5 * * * *", "Etc/UTC", 31 * 24 * 12),
        ("0 9 * * mon-fri", "Europe/Berlin", 22),
        ("30 2 * * *", "Europe/Berlin", 30),
        ("@every 7h", "Etc/UTC", 106),
    ] {
        let mut cron_job = cron_job(json!({"schedule": schedule, "timeZone": zone}));
        cron_job.metadata.creation_timestamp =
            serde_json::from_value(json!("2026-03-01T00:00:00Z")).unwrap();
        let mut now = time("01T00:00:00");
        let mut jobs: BTreeMap<String, Arc<Job>> = BTreeMap::new();
        let mut times = Vec::new();
        let end = "2026-04-01T00:00:01Z".parse().unwrap();
        while now <= end {
            let there: Vec<_> = jobs.values().cloned().collect();
            let plan = plan(&cron_job, &there, now).unwrap();
            for gone in &plan.delete {
                jobs.remove(uid(&gone.metadata));
            }
            let mut status = plan.status;
            let again = match plan.create {
                Some(create) => {
                    let name = create.job.metadata.name.clone().unwrap();
                    let running = job(&name, None);
                    note_created(&mut status, &running, create.time);
                    // It runs, and has ended when somebody looks next.
                    let ended = create.time.to_string();
                    jobs.insert(name.clone(), job(&name, Some(("Complete", &ended))));
                    times.push(create.time);
                    Duration::ZERO
                }
                None => plan.again.unwrap(),
            };
            cron_job.status = Some(status);
            assert!(jobs.len() <= 4, "three, and the one that has just been made");
            now += jiff::SignedDuration::try_from(again).unwrap();
        }
        assert!(times.is_sorted() && times.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(times.len(), expect, "{schedule}");
    }
}
