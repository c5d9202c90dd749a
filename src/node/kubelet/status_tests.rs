use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use serde_json::{Value, json};

use super::pod_worker::{Ending, Health, LastStop, PodWorker, Run, StartFailure, Terminated};
use super::status::{Place, build};

const T0: Timestamp = Timestamp::UNIX_EPOCH;
const PLACE: Place =
    Place { host_ip: IpAddr::V4(Ipv4Addr::LOCALHOST), pod_ip: Some(Ipv4Addr::new(10, 42, 0, 2)) };

fn pod(policy: &str, spec: Value) -> Pod {
    let mut spec = spec;
    spec["restartPolicy"] = json!(policy);
    serde_json::from_value(json!({
        "metadata": { "name": "counter", "namespace": "default", "uid": "u" },
        "spec": spec,
    }))
    .unwrap()
}

fn one(policy: &str) -> (Pod, PodWorker) {
    let pod = pod(policy, json!({ "containers": [{ "name": "count", "image": "busybox" }] }));
    let worker = PodWorker::new(&pod, LastStop::Unknown, T0);
    (pod, worker)
}

fn start(worker: &mut PodWorker, index: usize) {
    worker.plan(T0);
    worker
        .found_image(index, ("docker.io/library/busybox:latest".to_owned(), "sha256:1".to_owned()));
    worker.started(index, Run { id: "sampan://1".to_owned(), started_at: T0 });
}

fn exit(worker: &mut PodWorker, index: usize, exit_code: i32) {
    let end = Terminated {
        exit_code,
        reason: if exit_code == 0 { "Completed" } else { "Error" }.to_owned(),
        message: None,
        id: Some("sampan://1".to_owned()),
        started_at: Some(T0),
        finished_at: Some(T0),
    };
    worker.exited(index, end, T0);
}

fn built(pod: &Pod, worker: &PodWorker) -> Value {
    serde_json::to_value(build(pod, worker, PLACE, &[], T0)).unwrap()
}

/// `Type=Status(Reason)` of each condition.
fn conditions(status: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |condition: &Value| {
        let (type_, status) = (text(&condition["type"]), text(&condition["status"]));
        format!("{type_}={status}({})", text(&condition["reason"]))
    };
    status["conditions"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn a_pod_that_starts_is_pending() {
    let (pod, worker) = one("Always");
    let status = built(&pod, &worker);
    assert_eq!(status["phase"], "Pending");
    assert_eq!(
        status["containerStatuses"],
        json!([{
            "name": "count", "image": "busybox", "imageID": "", "ready": false, "started": false,
            "restartCount": 0, "lastState": {},
            "state": { "waiting": { "reason": "ContainerCreating" } },
        }])
    );
    assert_eq!(
        conditions(&status),
        [
            "PodReadyToStartContainers=True()",
            "Initialized=True()",
            "Ready=False(ContainersNotReady)",
            "ContainersReady=False(ContainersNotReady)",
            "PodScheduled=True()",
        ]
    );
    assert_eq!(status["conditions"][2]["message"], "containers with unready status: [count]");
    assert_eq!((&status["podIP"], &status["hostIP"]), (&json!("10.42.0.2"), &json!("127.0.0.1")));
    assert_eq!(status["startTime"], "1970-01-01T00:00:00Z");
}

#[test]
fn a_running_pod_is_ready() {
    let (pod, mut worker) = one("Always");
    start(&mut worker, 0);
    let status = built(&pod, &worker);
    assert_eq!(status["phase"], "Running");
    assert_eq!(
        status["containerStatuses"],
        json!([{
            "name": "count", "image": "docker.io/library/busybox:latest",
            "imageID": "docker.io/library/busybox@sha256:1", "containerID": "sampan://1",
            "ready": true, "started": true, "restartCount": 0, "lastState": {},
            "state": { "running": { "startedAt": "1970-01-01T00:00:00Z" } },
        }])
    );
    assert!(conditions(&status).iter().all(|condition| condition.ends_with("=True()")));
}

#[test]
fn the_phase_follows_exit_code_and_restart_policy() {
    for (policy, exit_code, phase) in [
        ("Always", 0, "Running"),
        ("Always", 1, "Running"),
        ("OnFailure", 0, "Succeeded"),
        ("OnFailure", 1, "Running"),
        ("Never", 0, "Succeeded"),
        ("Never", 1, "Failed"),
    ] {
        let (pod, mut worker) = one(policy);
        start(&mut worker, 0);
        exit(&mut worker, 0, exit_code);
        assert_eq!(built(&pod, &worker)["phase"], phase, "{policy} {exit_code}");
    }
}

#[test]
fn a_succeeded_pod_says_completed() {
    let (pod, mut worker) = one("Never");
    start(&mut worker, 0);
    exit(&mut worker, 0, 0);
    let status = built(&pod, &worker);
    assert_eq!(
        conditions(&status),
        [
            "PodReadyToStartContainers=False()",
            "Initialized=True(PodCompleted)",
            "Ready=False(PodCompleted)",
            "ContainersReady=False(PodCompleted)",
            "PodScheduled=True()",
        ]
    );
    assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
}

#[test]
fn the_run_before_is_the_last_state() {
    let (pod, mut worker) = one("Always");
    start(&mut worker, 0);
    exit(&mut worker, 0, 3);
    start(&mut worker, 0);
    let status = built(&pod, &worker);
    let container = &status["containerStatuses"][0];
    assert_eq!(container["restartCount"], 1);
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 3);
    assert!(container["state"]["running"].is_object());
}

#[test]
fn an_initializing_pod_is_pending() {
    let pod = pod(
        "Always",
        json!({
            "initContainers": [{ "name": "prepare" }],
            "containers": [{ "name": "b" }, { "name": "a" }],
        }),
    );
    let mut worker = PodWorker::new(&pod, LastStop::Unknown, T0);
    start(&mut worker, 0);
    let status = built(&pod, &worker);
    assert_eq!(status["phase"], "Pending");
    assert_eq!(conditions(&status)[1], "Initialized=False(ContainersNotInitialized)");
    let names: Vec<&Value> =
        status["containerStatuses"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(names, ["a", "b"]);
    exit(&mut worker, 0, 0);
    assert_eq!(conditions(&built(&pod, &worker))[1], "Initialized=True()");
}

#[test]
fn a_failed_pull_leaves_the_pod_pending() {
    let (pod, mut worker) = one("Never");
    worker.plan(T0);
    let failure =
        StartFailure::Image { reason: "ErrImagePull", message: "no such image".to_owned() };
    worker.failed(0, failure, None, T0);
    let status = built(&pod, &worker);
    assert_eq!(status["phase"], "Pending");
    assert_eq!(
        status["containerStatuses"][0]["state"]["waiting"],
        json!({ "reason": "ErrImagePull", "message": "no such image" })
    );
}

#[test]
fn a_deleted_pod_ends_in_a_terminal_phase() {
    let (pod, mut worker) = one("Always");
    start(&mut worker, 0);
    worker.end(Ending::Deleted);
    worker.plan(T0);
    assert_eq!(built(&pod, &worker)["phase"], "Running");
    exit(&mut worker, 0, 143);
    assert_eq!(built(&pod, &worker)["phase"], "Failed");
}

#[test]
fn transition_times_move_with_the_status_only() {
    let (pod, mut worker) = one("Always");
    let first = build(&pod, &worker, PLACE, &[], T0).conditions.unwrap();
    start(&mut worker, 0);
    let later = T0 + std::time::Duration::from_secs(60);
    let second = build(&pod, &worker, PLACE, &first, later).conditions.unwrap();
    let since = |type_: &str| {
        let condition = second.iter().find(|condition| condition.type_ == type_).unwrap();
        condition.last_transition_time.clone().unwrap().0
    };
    assert_eq!((since("Initialized"), since("Ready")), (T0, later));
}

#[test]
fn readiness_gates_are_as_others_say_now() {
    let gates = json!([{ "conditionType": "example.com/gate" }]);
    let containers = json!([{ "name": "count", "image": "busybox" }]);
    let mut pod = pod("Always", json!({ "containers": containers, "readinessGates": gates }));
    let mut worker = PodWorker::new(&pod, LastStop::Unknown, T0);
    start(&mut worker, 0);
    let mut ready = Vec::new();
    for said in ["True", "False", "True"] {
        let gate = PodCondition {
            type_: "example.com/gate".to_owned(),
            status: said.to_owned(),
            ..PodCondition::default()
        };
        let conditions = ready.iter().chain([&gate]).cloned().collect();
        pod.status = Some(PodStatus { conditions: Some(conditions), ..PodStatus::default() });
        ready = build(&pod, &worker, PLACE, &ready, T0).conditions.unwrap();
        let found = ready.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!(found.status, said);
        assert_eq!(ready.len(), 5, "the kubelet's own");
    }
}

#[test]
fn an_ephemeral_container_is_shown_apart_and_counts_for_nothing() {
    let (mut pod, mut worker) = one("Always");
    start(&mut worker, 0);
    let debugger = json!([{ "name": "debugger", "image": "busybox" }]);
    pod.spec.as_mut().unwrap().ephemeral_containers =
        Some(serde_json::from_value(debugger).unwrap());
    worker.update(&pod);
    let status = built(&pod, &worker);
    let shown = &status["ephemeralContainerStatuses"][0];
    assert_eq!(shown["state"], json!({ "waiting": { "reason": "ContainerCreating" } }));
    assert_eq!((&shown["ready"], shown.get("started")), (&json!(false), None));
    assert_eq!(status["containerStatuses"].as_array().unwrap().len(), 1);
    let ready = [
        "PodReadyToStartContainers=True()",
        "Initialized=True()",
        "Ready=True()",
        "ContainersReady=True()",
        "PodScheduled=True()",
    ];
    assert_eq!(conditions(&status), ready);
    start(&mut worker, 1);
    exit(&mut worker, 1, 1);
    let status = built(&pod, &worker);
    let end = &status["ephemeralContainerStatuses"][0]["state"]["terminated"];
    assert_eq!((&end["exitCode"], &status["phase"]), (&json!(1), &json!("Running")));
    assert_eq!(conditions(&status), ready);
}

#[test]
fn a_container_shows_its_mounts_and_how_deep_they_are_read_only() {
    let mounts = json!([
        { "name": "data", "mountPath": "/data", "readOnly": false },
        { "name": "settings", "mountPath": "/settings", "readOnly": true },
        { "name": "deep", "mountPath": "/deep", "readOnly": true, "recursiveReadOnly": "IfPossible" },
    ]);
    let container = json!({ "name": "count", "image": "busybox", "volumeMounts": mounts });
    let pod = pod("Always", json!({ "containers": [container] }));
    let worker = PodWorker::new(&pod, LastStop::Unknown, T0);
    assert_eq!(
        built(&pod, &worker)["containerStatuses"][0]["volumeMounts"],
        json!([
            { "name": "data", "mountPath": "/data" },
            { "name": "settings", "mountPath": "/settings", "readOnly": true, "recursiveReadOnly": "Disabled" },
            { "name": "deep", "mountPath": "/deep", "readOnly": true, "recursiveReadOnly": "Enabled" },
        ])
    );
}

#[test]
fn probes_say_whether_a_running_pod_is_ready() {
    let (pod, mut worker) = one("Always");
    start(&mut worker, 0);
    let mut check = |started, ready, expect: &str| {
        worker.health_is(0, Health { started, ready });
        let status = built(&pod, &worker);
        let container = &status["containerStatuses"][0];
        assert_eq!((&status["phase"], &container["started"]), (&json!("Running"), &json!(started)));
        assert_eq!(container["ready"], started && ready);
        assert!(conditions(&status).contains(&expect.to_owned()), "{:?}", conditions(&status));
    };
    check(false, false, "ContainersReady=False(ContainersNotReady)");
    check(true, false, "Ready=False(ContainersNotReady)");
    // Nobody is ready who has not started.
    check(false, true, "Ready=False(ContainersNotReady)");
    check(true, true, "Ready=True()");
}
