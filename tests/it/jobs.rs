//! The controllers of Jobs and CronJobs against the API server; no node runs the Pods: the tests say what becomes
//! of them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, server};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const CRON_JOBS: &str = "/apis/batch/v1/namespaces/default/cronjobs";
const PODS: &str = "/api/v1/namespaces/default/pods";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const MERGE: &[&str] = &["Content-Type: application/merge-patch+json"];

fn template() -> Value {
    json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}})
}

fn job(spec: Value) -> Value {
    let mut job =
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec});
    job["spec"]["template"] = template();
    job
}

fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn is_over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn running(list: &Value) -> Vec<Value> {
    items(list).iter().filter(|pod| !is_over(pod)).cloned().collect()
}

impl Server {
    async fn change(&self, path: &str, change: &Value) {
        self.send(&format!("PATCH {path}"), MERGE, change.to_string()).await.expect(200);
    }

    /// Lets a Pod end.
    async fn end(&self, pod: &Value, code: i32) {
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let end = json!({"terminated": {"exitCode": code, "finishedAt": "2026-11-22T17:00:00Z"}});
        let container = json!({"name": "c", "image": "busybox", "imageID": "", "ready": false,
            "restartCount": 0, "state": end});
        let status = json!({"status": {"phase": phase, "containerStatuses": [container]}});
        self.change(&format!("{PODS}/{}/status", name(pod)), &status).await;
    }

    async fn pods_running(&self, count: usize) -> Vec<Value> {
        running(&self.until(PODS, |list| running(list).len() == count).await)
    }

    async fn job_until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let list = self.until(JOBS, |list| items(list).first().is_some_and(&wanted)).await;
        list["items"][0].clone()
    }

    async fn event(&self, reason: &str) -> String {
        let path = format!("{EVENTS}?fieldSelector=reason%3D{reason}");
        let list = self.until(&path, |list| !items(list).is_empty()).await;
        list["items"][0]["message"].as_str().unwrap().to_owned()
    }
}

fn holds(job: &Value, type_: &str) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == type_ && condition["status"] == "True")
}

#[tokio::test]
async fn a_job_runs_until_enough_have_succeeded() {
    let server = server().await;
    let made =
        server.post(JOBS, &job(json!({"completions": 3, "parallelism": 2}))).await.expect(201);
    let uid = made["metadata"]["uid"].as_str().unwrap();
    let pods = server.pods_running(2).await;
    let meta = &pods[0]["metadata"];
    assert!(name(&pods[0]).starts_with("j-") && name(&pods[0]).len() == 7);
    assert_eq!(meta["finalizers"], json!(["batch.kubernetes.io/job-tracking"]));
    let labels = json!({"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid,
        "batch.kubernetes.io/job-name": "j", "job-name": "j"});
    assert_eq!(meta["labels"], labels);
    assert_eq!(made["metadata"]["labels"], labels);
    assert_eq!(meta["ownerReferences"][0]["uid"], uid);
    server.end(&pods[0], 0).await;
    server.end(&pods[1], 1).await;
    server.job_until(|job| job["status"]["failed"] == 1 && job["status"]["succeeded"] == 1).await;
    // The failure is waited out.
    server.clock.advance(Duration::from_secs(10));
    for pod in server.pods_running(2).await {
        server.end(&pod, 0).await;
    }
    let job = server.job_until(|job| holds(job, "Complete")).await;
    let status = &job["status"];
    let reasons: Vec<_> = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| {
            let text = |field: &str| condition[field].as_str().unwrap().to_owned();
            [text("type"), text("reason"), text("message")]
        })
        .collect();
    let reached = ["CompletionsReached", "Reached expected number of succeeded pods"];
    assert_eq!(
        reasons,
        [["SuccessCriteriaMet", reached[0], reached[1]], ["Complete", reached[0], reached[1]]]
    );
    let counts = json!({"succeeded": 3, "failed": 1, "ready": 0, "terminating": 0,
        "uncountedTerminatedPods": {}});
    for (field, value) in counts.as_object().unwrap() {
        assert_eq!(&status[field], value, "{field}");
    }
    assert!(status["completionTime"].is_string() && status.get("active").is_none());
    let list = server.get(PODS).await.expect(200);
    assert!(items(&list).iter().all(|pod| pod["metadata"].get("finalizers").is_none()));
    assert_eq!(server.event("Completed").await, "Job completed");
    let message = server.event("SuccessfulCreate").await;
    assert!(message.starts_with("Created pod: j-"), "{message}");
}

#[tokio::test]
async fn indexes_succeed_and_fail_on_their_own() {
    let server = server().await;
    let spec = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3,
        "backoffLimitPerIndex": 0});
    server.post(JOBS, &job(spec)).await.expect(201);
    for pod in server.pods_running(3).await {
        let index =
            pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"].clone();
        let number = index.as_str().unwrap();
        assert_eq!(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"], index);
        assert_eq!(pod["spec"]["hostname"], format!("j-{number}"));
        assert!(name(&pod).starts_with(&format!("j-{number}-")));
        let variable = &pod["spec"]["containers"][0]["env"][0];
        assert_eq!(variable["name"], "JOB_COMPLETION_INDEX");
        let path = "metadata.labels['batch.kubernetes.io/job-completion-index']";
        assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], path);
        server.end(&pod, i32::from(number == "1")).await;
    }
    let job = server.job_until(|job| holds(job, "Failed")).await;
    let status = &job["status"];
    assert_eq!(
        (&status["completedIndexes"], &status["failedIndexes"]),
        (&json!("0,2"), &json!("1"))
    );
    assert_eq!((&status["succeeded"], &status["failed"]), (&json!(2), &json!(1)));
    assert_eq!(server.event("FailedIndexes").await, "Job has failed indexes");
}

#[tokio::test]
async fn a_job_pauses_and_goes_on() {
    let server = server().await;
    server
        .post(JOBS, &job(json!({"suspend": true, "activeDeadlineSeconds": 30})))
        .await
        .expect(201);
    let suspended = server.job_until(|job| holds(job, "Suspended")).await;
    assert!(suspended["status"].get("startTime").is_none());
    assert_eq!(server.event("Suspended").await, "Job suspended");
    let path = format!("{JOBS}/j");
    server.change(&path, &json!({"spec": {"suspend": false}})).await;
    server.pods_running(1).await;
    server.change(&path, &json!({"spec": {"suspend": true}})).await;
    server.pods_running(0).await;
    server.job_until(|job| holds(job, "Suspended")).await;
    // Suspended, it has all the time in the world.
    server.clock.advance(Duration::from_secs(3_600));
    server.change(&path, &json!({"spec": {"suspend": false}})).await;
    server.pods_running(1).await;
    let resumed =
        server.job_until(|job| !holds(job, "Suspended") && job["status"]["active"] == 1).await;
    assert_eq!(resumed["status"]["startTime"], "2026-11-22T18:00:00Z");
    server.clock.advance(Duration::from_secs(30));
    let job = server.job_until(|job| holds(job, "Failed")).await;
    assert_eq!(job["status"]["failed"], 1);
    let text = "Job was active longer than specified deadline";
    assert_eq!(server.event("DeadlineExceeded").await, text);
}

#[tokio::test]
async fn pods_go_with_their_job_or_stay_without() {
    let server = server().await;
    server.post(JOBS, &job(json!({"completions": 2, "parallelism": 2}))).await.expect(201);
    server.pods_running(2).await;
    let answer = server.delete(&format!("{JOBS}/j")).await;
    let warning = answer.headers["warning"].to_str().unwrap();
    assert!(
        warning.contains("child pods are preserved by default when jobs are deleted"),
        "{warning}"
    );
    let is_free = |pod: &Value| {
        pod["metadata"].get("finalizers").is_none()
            && pod["metadata"].get("ownerReferences").is_none()
    };
    let free = |list: &Value| items(list).len() == 2 && items(list).iter().all(is_free);
    server.until(PODS, free).await;
    server.until(JOBS, |list| items(list).is_empty()).await;
    server.delete(PODS).await.expect(200);
    server.post(JOBS, &job(json!({}))).await.expect(201);
    server.pods_running(1).await;
    server.delete(&format!("{JOBS}/j?propagationPolicy=Background")).await.expect(200);
    server.until(PODS, |list| items(list).is_empty()).await;
}

#[tokio::test]
async fn a_finished_job_goes_when_its_time_is_over() {
    let server = server().await;
    server.post(JOBS, &job(json!({"ttlSecondsAfterFinished": 60}))).await.expect(201);
    server.end(&server.pods_running(1).await[0], 0).await;
    server.job_until(|job| holds(job, "Complete")).await;
    server.clock.advance(Duration::from_secs(60));
    server.until(JOBS, |list| items(list).is_empty()).await;
    server.until(PODS, |list| items(list).is_empty()).await;
}

#[tokio::test]
async fn a_cron_job_makes_jobs_in_time() {
    let server = server().await;
    let cron_job = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template()}}}});
    server.post(CRON_JOBS, &cron_job).await.expect(201);
    for minute in 1..=2 {
        server.clock.advance(Duration::from_secs(61));
        let job = server.until(JOBS, |list| items(list).len() == minute).await;
        let time = format!("2026-11-22T17:0{minute}:00Z");
        let stamp = "batch.kubernetes.io/cronjob-scheduled-timestamp";
        let of_now = |job: &Value| job["metadata"]["annotations"][stamp] == *time;
        assert!(items(&job).iter().any(of_now), "{job:#}");
        let pods = server.pods_running(1).await;
        server.end(&pods[0], 0).await;
        let noted = |list: &Value| {
            let status = &list["items"][0]["status"];
            status["lastScheduleTime"] == *time && status.get("active").is_none()
        };
        server.until(CRON_JOBS, noted).await;
    }
    let message = server.event("SawCompletedJob").await;
    assert!(
        message.starts_with("Saw completed job: c-") && message.ends_with(", condition: Complete")
    );
    assert!(server.event("SuccessfulCreate").await.starts_with("Created "));
    server.delete(&format!("{CRON_JOBS}/c")).await.expect(200);
    server.until(JOBS, |list| items(list).is_empty()).await;
    server.until(PODS, |list| items(list).is_empty()).await;
}
