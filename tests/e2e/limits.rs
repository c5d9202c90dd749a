//! What Pods may use: of memory, of the disk, of the node, and what a namespace says of it.

use serde_json::{Value, json};

use crate::programs;
use crate::support::{Cluster, Home};

fn apply(home: &Home, cluster: &Cluster<'_>, object: &Value) {
    let name = format!("{}.json", object["metadata"]["name"].as_str().unwrap());
    let file = home.file(&name, object.to_string());
    cluster.kubectl(&format!("apply -f {file}"));
}

fn pod(name: &str, spec: &Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 1, "restartPolicy": "Never"}});
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    pod
}

fn shell(name: &str, script: &str, limits: &Value) -> Value {
    json!({"name": name, "image": "busybox", "command": ["sh", "-c", script],
        "resources": {"limits": limits}})
}

#[test]
fn whoever_is_out_of_memory_ends_its_container() {
    let home = Home::new();
    let eater = format!("file://{}", home.file("eat.wasm", programs::component("eat-memory")));
    let cluster = home.up_with(&["--allow-images", home.path().to_str().unwrap()]);
    let eats = json!({"name": "eats", "image": eater, "resources": {"limits": {"memory": "32Mi"}}});
    let idle = shell("idle", "sleep 1000", &json!({"memory": "16Mi"}));

    let spec = json!({"initContainers": [eats], "containers": [idle]});
    apply(&home, &cluster, &pod("init", &spec));
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pod/init");
    let path =
        "-o jsonpath={.status.initContainerStatuses[0].state.terminated['exitCode','reason']}";
    assert_eq!(cluster.kubectl(&format!("get pod init {path}")), "137 OOMKilled");
    assert!(cluster.kubectl("get pod init").contains("Init:OOMKilled"));

    let spec = json!({"restartPolicy": "Always", "containers": [eats]});
    apply(&home, &cluster, &pod("again", &spec));
    let last = "jsonpath={.status.containerStatuses[0].lastState.terminated.reason}";
    cluster.wait_for(&format!("{last}=OOMKilled"), "pod/again");
    let described = cluster.kubectl("describe pod again");
    assert!(described.contains("OOMKilled") && described.contains("137"), "{described}");

    // A process that was entered counts as well, and ends all of them.
    apply(&home, &cluster, &pod("entered", &json!({"containers": [idle]})));
    cluster.wait_for("condition=Ready", "pod/entered");
    let hoard = "a=xxxxxxxx; while :; do a=$a$a; done";
    let answer = cluster.run_words(&["exec", "entered", "--", "sh", "-c", hoard]);
    assert_eq!(answer.code, 137, "{}", answer.all());
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pod/entered");
    let path = "-o jsonpath={.status.containerStatuses[0].state.terminated.reason}";
    assert_eq!(cluster.kubectl(&format!("get pod entered {path}")), "OOMKilled");
}

#[test]
fn the_disk_is_bounded_and_logs_beyond_it_evict() {
    let home = Home::new();
    let cluster = home.up();
    // What is gone again when the kubelet looks harms nobody.
    let fill = "head -c 3000000 /dev/zero > /big; ls -l /big; rm /big; sleep 1000";
    let limit = json!({"ephemeral-storage": "2Mi"});
    apply(&home, &cluster, &pod("full", &json!({"containers": [shell("c", fill, &limit)]})));
    cluster.wait_for("condition=Ready", "pod/full");
    let log = cluster.follow("logs -f full");
    log.line_with("No space left on device");
    let kept = log.line_with("/big");
    assert!(kept.contains(" 209"), "{kept}");

    let chatty = "yes 0123456789 | head -c 3000000; sleep 1000";
    let scratch = json!({"containers": [shell("c", chatty, &limit)]});
    apply(&home, &cluster, &pod("chatty", &scratch));
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pod/chatty");
    let path = "-o jsonpath={.status.reason}:{.status.message}";
    let expect =
        "Evicted:Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ";
    assert_eq!(cluster.kubectl(&format!("get pod chatty {path}")), expect);
    let events = cluster.kubectl("get events --field-selector reason=Evicted -o wide");
    assert!(events.contains("Warning") && events.contains("pod/chatty"), "{events}");
    assert!(!events.contains("pod/full"), "{events}");
    // The one that was refused the space goes on.
    assert!(cluster.kubectl("get pod full").contains("Running"));
}

#[test]
fn the_node_is_as_large_as_its_operator_says() {
    let home = Home::new();
    let amounts = "cpu=1500m,memory=1Gi,ephemeral-storage=1Gi,pods=4";
    let cluster = home.up_with(&["--capacity", amounts]);
    let path =
        "-o jsonpath={.items[0].status.allocatable['cpu','memory','ephemeral-storage','pods']}";
    assert_eq!(cluster.kubectl(&format!("get nodes {path}")), "1500m 1Gi 1Gi 4");
    let asks = |name: &str, requests: Value| {
        let container = json!({"name": "c", "image": "busybox", "command": ["sleep", "1000"],
            "resources": {"requests": requests}});
        pod(name, &json!({"containers": [container]}))
    };
    apply(&home, &cluster, &asks("fits", json!({"memory": "700Mi", "ephemeral-storage": "1Mi"})));
    cluster.wait_for("condition=Ready", "pod/fits");
    apply(&home, &cluster, &asks("large", json!({"cpu": "2", "memory": "600Mi"})));
    let events = cluster.follow("get events --watch");
    let text = events.line_with("FailedScheduling");
    let expect = "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. preemption: 0/1 \
                  nodes are available: 1 Preemption is not helpful for scheduling.";
    assert!(text.contains(expect), "{text}");
    let refused = home.sampan(&["up", "--capacity", "gpu=1"]).output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("only cpu, ephemeral-storage, memory, pods"), "{text}");
}

#[test]
fn a_namespace_says_what_its_containers_may_ask_for() {
    let home = Home::new();
    let cluster = home.up();
    apply(
        &home,
        &cluster,
        &json!({"apiVersion": "v1", "kind": "LimitRange",
        "metadata": {"name": "small"}, "spec": {"limits": [
            {"type": "Container", "max": {"memory": "64Mi"}, "min": {"memory": "1Mi"},
             "default": {"memory": "32Mi", "cpu": "500m"}, "defaultRequest": {"memory": "16Mi"}},
            {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]}}),
    );
    cluster.kubectl("run plain --image=busybox -- sleep 1000");
    let path = "-o jsonpath={.spec.containers[0].resources}";
    let expect =
        r#"{"limits":{"cpu":"500m","memory":"32Mi"},"requests":{"cpu":"500m","memory":"16Mi"}}"#;
    assert_eq!(cluster.kubectl(&format!("get pod plain {path}")), expect);
    let note = cluster.kubectl("get pod plain -o jsonpath={.metadata.annotations}");
    assert!(
        note.contains("LimitRanger plugin set: cpu, memory request for container plain"),
        "{note}"
    );
    let class = cluster.kubectl("get pod plain -o jsonpath={.status.qosClass}");
    assert_eq!(class, "Burstable");

    let large = shell("c", "true", &json!({"memory": "1Gi"}));
    let file = home.file("large.json", pod("large", &json!({"containers": [large]})).to_string());
    let refusal = cluster.refused(&format!("apply -f {file}"));
    let expect =
        "pods \"large\" is forbidden: maximum memory usage per Container is 64Mi, but limit is 1Gi";
    assert!(refusal.contains(expect), "{refusal}");
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "huge"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}});
    let file = home.file("huge.json", claim.to_string());
    let refusal = cluster.refused(&format!("apply -f {file}"));
    assert!(
        refusal.contains("maximum storage usage per PersistentVolumeClaim is 1Gi"),
        "{refusal}"
    );
    let described = cluster.kubectl("describe limits small");
    for part in ["Container", "memory", "1Mi", "64Mi", "16Mi", "32Mi"] {
        assert!(described.contains(part), "{described}");
    }
    assert!(cluster.kubectl("get limits").starts_with("NAME    CREATED AT\nsmall   2"));
    // A whole ReplicaSet that may not: its controller says why.
    cluster.kubectl("create deployment web --image=nginx");
    cluster.kubectl("set resources deployment web --limits=memory=1Gi");
    let events = cluster.follow("get events --watch");
    events.line_with("maximum memory usage per Container is 64Mi, but limit is 1Gi");
}
