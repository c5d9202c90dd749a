//! Single decisions, each with its cause; see `model.rs` for how they go together.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::act::{Act, act};
use super::backoff::Record;
use super::pod;
use super::progress::{Progress, View};
use super::track::{self, track};

const START: &str = "2026-01-01T00:00:00Z";

fn job(spec: Value, status: Value) -> Job {
    let whole = json!({"metadata": {"name": "j", "namespace": "n", "uid": "j"},
        "spec": {"parallelism": 2, "completions": 2, "backoffLimit": 6,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}},
        "status": {"startTime": START}});
    let change = json!({"spec": spec, "status": status});
    serde_json::from_value(crate::api::patch::merge::apply(whole, &change).unwrap()).unwrap()
}

fn pod(name: &str, more: Value) -> Arc<Pod> {
    let whole = json!({"metadata": {"name": name, "namespace": "n", "uid": name,
        "creationTimestamp": START, "finalizers": [pod::TRACKING]}, "status": {"phase": "Running"}});
    let whole = crate::api::patch::merge::apply(whole, &more).unwrap();
    Arc::new(serde_json::from_value(whole).unwrap())
}

fn of_index(name: &str, index: u32, phase: &str) -> Arc<Pod> {
    pod(
        name,
        json!({"metadata": {"annotations": {pod::COMPLETION_INDEX: index.to_string()}},
        "status": {"phase": phase}}),
    )
}

fn in_phase(name: &str, phase: &str) -> Arc<Pod> {
    pod(name, json!({"status": {"phase": phase}}))
}

fn now() -> Timestamp {
    "2026-01-01T00:20:00Z".parse().unwrap()
}

fn look<T>(job: &Job, pods: &[Arc<Pod>], answer: impl Fn(&View<'_>, &Progress) -> T) -> T {
    let view = View::new(job, pods, now()).unwrap();
    answer(&view, &Progress::of(&view))
}

/// Why the Job ends: type and reason.
#[track_caller]
fn check_end(spec: Value, status: Value, pods: &[Arc<Pod>], expect: Option<(&str, &str)>) {
    let end = look(&job(spec, status), pods, |_, progress| progress.end.clone());
    let end = end.map(|end| (end.type_, end.reason.unwrap_or_default()));
    assert_eq!(end, expect.map(|(type_, reason)| (type_.to_owned(), reason.to_owned())));
}

#[test]
fn a_job_ends_for_a_cause() {
    let failed = [in_phase("a", "Failed"), in_phase("b", "Failed")];
    let target = |reason| Some(("FailureTarget", reason));
    check_end(json!({"backoffLimit": 2}), json!({}), &failed, None);
    check_end(json!({"backoffLimit": 1}), json!({}), &failed, target("BackoffLimitExceeded"));
    check_end(
        json!({"backoffLimit": 2}),
        json!({"failed": 1}),
        &failed,
        target("BackoffLimitExceeded"),
    );
    check_end(json!({"activeDeadlineSeconds": 1200}), json!({}), &[], target("DeadlineExceeded"));
    check_end(json!({"activeDeadlineSeconds": 1201}), json!({}), &[], None);
    check_end(json!({"activeDeadlineSeconds": 1, "suspend": true}), json!({}), &[], None);
    let suspended = json!({"conditions": [{"type": "Suspended", "status": "True"}]});
    check_end(json!({"activeDeadlineSeconds": 1}), suspended, &[], None);
    // What has been told stays.
    let told =
        |type_: &str| json!({"conditions": [{"type": type_, "status": "True", "reason": "R"}]});
    check_end(json!({}), told("FailureTarget"), &[], Some(("Failed", "R")));
    check_end(json!({}), told("SuccessCriteriaMet"), &failed, Some(("SuccessCriteriaMet", "R")));
}

#[test]
fn restarts_in_place_count_as_failures() {
    let restarts = |count: i32| {
        json!([{"name": "c", "image": "", "imageID": "", "ready": true,
        "restartCount": count}])
    };
    let pods = |count: i32| [pod("a", json!({"status": {"containerStatuses": restarts(count)}}))];
    let spec = |limit: i32| json!({"backoffLimit": limit, "template": {"spec": {"restartPolicy": "OnFailure"}}});
    let exceeded = Some(("FailureTarget", "BackoffLimitExceeded"));
    check_end(spec(3), json!({}), &pods(2), None);
    check_end(spec(3), json!({}), &pods(3), exceeded);
    check_end(spec(0), json!({}), &pods(0), None);
    check_end(spec(0), json!({}), &pods(1), exceeded);
}

#[test]
fn failures_are_judged_by_policy() {
    let exit = |code: i32| {
        let end = json!([{"name": "c", "image": "", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"terminated": {"exitCode": code, "finishedAt": START}}}]);
        [pod("a", json!({"status": {"phase": "Failed", "containerStatuses": end}}))]
    };
    let rule = |action: &str, code: i32| json!({"action": action, "onExitCodes": {"operator": "In", "values": [code]}});
    let spec = json!({"backoffLimit": 0,
        "podFailurePolicy": {"rules": [rule("Ignore", 7), rule("FailJob", 42)]}});
    check_end(spec.clone(), json!({}), &exit(42), Some(("FailureTarget", "PodFailurePolicy")));
    check_end(spec.clone(), json!({}), &exit(1), Some(("FailureTarget", "BackoffLimitExceeded")));
    check_end(spec.clone(), json!({}), &exit(7), None);
    let tracking = look(&job(spec, json!({})), &exit(7), track);
    let uncounted = tracking.status.uncounted_terminated_pods.unwrap();
    assert_eq!((uncounted.failed, tracking.release.len()), (None, 1));
}

#[test]
fn indexes_end_a_job_together() {
    let spec = |more: Value| {
        let mut spec = json!({"completionMode": "Indexed", "completions": 5, "parallelism": 5,
            "backoffLimit": i32::MAX});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let pods =
        [of_index("a", 0, "Failed"), of_index("b", 1, "Failed"), of_index("c", 2, "Succeeded")];
    let limits = json!({"backoffLimitPerIndex": 0, "maxFailedIndexes": 1});
    let exceeded = Some(("FailureTarget", "MaxFailedIndexesExceeded"));
    check_end(spec(limits), json!({}), &pods, exceeded);
    let status = json!({"completedIndexes": "3,4"});
    let failed = Some(("FailureTarget", "FailedIndexes"));
    check_end(spec(json!({"backoffLimitPerIndex": 0})), status.clone(), &pods, failed);
    check_end(spec(json!({"backoffLimitPerIndex": 1})), status.clone(), &pods, None);
    let rules = |rules: Value| spec(json!({"successPolicy": {"rules": rules}}));
    let met = Some(("SuccessCriteriaMet", "SuccessPolicy"));
    check_end(rules(json!([{"succeededIndexes": "0,2"}])), status.clone(), &pods, None);
    check_end(rules(json!([{"succeededIndexes": "2-3"}])), status.clone(), &pods, met);
    let two = json!([{"succeededIndexes": "0,2-4", "succeededCount": 2}]);
    check_end(rules(two), status.clone(), &pods, met);
    check_end(rules(json!([{"succeededCount": 4}])), status, &pods, None);
}

/// The names of the Pods that are deleted, or how many are made.
#[track_caller]
fn check_act(spec: Value, status: Value, pods: &[Arc<Pod>], expect: &str) {
    let (act, _) =
        look(&job(spec, status), pods, |view, progress| act(view, progress, Record::default()));
    let names = |pods: Vec<Arc<Pod>>| {
        pods.iter().filter_map(|pod| pod.metadata.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let act = match act {
        Act::Nothing => "nothing".to_owned(),
        Act::Create(pods) => format!("create {}", pods.len()),
        Act::Remove(pods) => format!("remove {}", names(pods)),
        Act::End(pods) => format!("end {}", names(pods)),
    };
    assert_eq!(act, expect);
}

#[test]
fn as_many_pods_run_as_there_is_work() {
    let one = [in_phase("a", "Running")];
    let two = [in_phase("a", "Running"), in_phase("b", "Pending")];
    check_act(json!({}), json!({}), &[], "create 2");
    check_act(json!({}), json!({}), &one, "create 1");
    check_act(json!({}), json!({"succeeded": 1}), &one, "nothing");
    check_act(json!({"completions": 900, "parallelism": 800}), json!({}), &[], "create 500");
    check_act(json!({"parallelism": 1}), json!({}), &two, "remove b");
    check_act(json!({"suspend": true}), json!({}), &two, "remove a b");
    check_act(json!({"activeDeadlineSeconds": 1}), json!({}), &two, "end a b");
    // Of a work queue nobody comes once somebody has succeeded.
    check_act(json!({"completions": null}), json!({}), &one, "create 1");
    check_act(json!({"completions": null}), json!({"succeeded": 1}), &one, "nothing");
    let going = pod(
        "a",
        json!({"metadata": {"deletionTimestamp": START, "deletionGracePeriodSeconds": 30}}),
    );
    check_act(
        json!({"podReplacementPolicy": "Failed"}),
        json!({}),
        std::slice::from_ref(&going),
        "create 1",
    );
    check_act(
        json!({"podReplacementPolicy": "TerminatingOrFailed"}),
        json!({}),
        &[going],
        "create 2",
    );
    let indexed = json!({"completionMode": "Indexed"});
    let twins =
        [of_index("a", 0, "Running"), of_index("b", 0, "Pending"), of_index("c", 7, "Running")];
    check_act(indexed, json!({}), &twins, "remove b c");
}

#[test]
fn a_failed_pod_of_an_index_stays_until_another_takes_its_count() {
    let spec =
        json!({"completionMode": "Indexed", "backoffLimitPerIndex": 3, "backoffLimit": i32::MAX});
    let job = job(spec, json!({}));
    let failed = of_index("a", 0, "Failed");
    let pods = [failed.clone(), of_index("b", 1, "Running")];
    assert!(look(&job, &pods, track).release.is_empty());
    let (act, _) = look(&job, &pods, |view, progress| act(view, progress, Record::default()));
    let Act::Create(new) = act else { panic!("{act:?}") };
    let annotations = new[0].metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations[pod::INDEX_FAILURES], "1");
    let pods = [failed, pods[1].clone(), of_index("d", 0, "Pending")];
    assert_eq!(look(&job, &pods, track).release[0].metadata.name.as_deref(), Some("a"));
}

#[test]
fn a_wait_is_kept_and_announced() {
    let ended = "2026-01-01T00:19:55Z";
    let failed = Arc::new(Pod {
        metadata: serde_json::from_value(json!({"creationTimestamp": ended})).unwrap(),
        ..Pod::default()
    });
    let record = Record::default().after(&[], &[failed]);
    let job = job(json!({"activeDeadlineSeconds": 9_000}), json!({}));
    let (act, again) = look(&job, &[], |view, progress| act(view, progress, record));
    assert_eq!((act, again), (Act::Nothing, Some(Duration::from_secs(5))));
}

#[test]
fn a_job_is_over_when_all_are_counted_and_none_is_ending() {
    let job = job(json!({"completions": 1}), json!({}));
    let going = json!({"metadata": {"deletionTimestamp": START, "finalizers": [],
        "deletionGracePeriodSeconds": 30}});
    let pods = [in_phase("a", "Succeeded"), pod("b", going)];
    let tracking = look(&job, &pods, track);
    let conditions: Vec<_> =
        tracking.status.conditions.iter().flatten().map(|one| &one.type_).collect();
    assert_eq!(conditions, ["SuccessCriteriaMet"]);
    let held = track::tracked(&pods);
    let (status, is_over) =
        track::settle(tracking.status.clone(), &held, tracking.finish.as_ref(), now());
    assert_eq!((is_over, status.succeeded), (false, None));
    let nobody = Default::default();
    let (status, is_over) = track::settle(status, &nobody, tracking.finish.as_ref(), now());
    assert_eq!((is_over, status.succeeded, status.terminating), (false, Some(1), Some(1)));
    let status = k8s_openapi::api::batch::v1::JobStatus { terminating: Some(0), ..status };
    let (status, is_over) = track::settle(status, &nobody, tracking.finish.as_ref(), now());
    assert!(is_over && status.completion_time.is_some());
}
