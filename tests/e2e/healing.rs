//! What ends without being asked to comes back, and Events tell it as in Kubernetes.

use crate::support::{Cluster, Home};

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: busybox, command: [sleep, '100000']}]
";

/// The Events about an object, `source type reason count message` each, once they hold all of `words`.
#[track_caller]
fn events(cluster: &Cluster<'_>, object: &str, words: &[&str]) {
    let fields =
        "{range.items[*]}{.source.component}|{.type}|{.reason}|{.count}|{.message}{\"\\n\"}{end}";
    let field = format!("--field-selector=involvedObject.name={object}");
    let mut last = String::new();
    for _ in 0..400 {
        let answer =
            cluster.run_words(&["get", "events", &field, "-o", &format!("jsonpath={fields}")]);
        assert_eq!(answer.code, 0, "{}", answer.all());
        last = answer.stdout;
        if words.iter().all(|words| last.lines().any(|line| line == *words)) {
            return;
        }
    }
    panic!("not all of {words:#?} in {last}")
}

#[test]
fn a_guest_that_is_killed_starts_again_and_is_then_held_back() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("run guest --image=busybox --command -- sleep 100000");
    cluster.wait_for("condition=Ready", "pod/guest");
    let uid = cluster.kubectl("get pod guest -o jsonpath={.metadata.uid}");
    let first =
        cluster.kubectl("get pod guest -o jsonpath={.status.containerStatuses[0].containerID}");
    cluster.run("exec guest -- kill -9 1");
    let status = "jsonpath={.status.containerStatuses[0]";
    cluster.wait_for(&format!("{status}.restartCount}}=1"), "pod/guest");
    cluster.wait_for("condition=Ready", "pod/guest");
    let last = "{.lastState.terminated.exitCode} {.lastState.terminated.reason} {.lastState.terminated.containerID}";
    let last = last.replace("{.", "{.status.containerStatuses[0].");
    let last = cluster.run_words(&["get", "pod", "guest", "-o", &format!("jsonpath={last}")]);
    assert_eq!(last.stdout, format!("137 Error {first}"));
    events(
        &cluster,
        "guest",
        &[
            "kubelet|Normal|Created|2|Created container: guest",
            "kubelet|Normal|Started|2|Started container guest",
        ],
    );

    cluster.run("exec guest -- kill -9 1");
    cluster.wait_for(&format!("{status}.state.waiting.reason}}=CrashLoopBackOff"), "pod/guest");
    let text = format!("back-off 10s restarting failed container=guest pod=guest_default({uid})");
    let waiting = "get pod guest -o jsonpath={.status.containerStatuses[0].state.waiting.message}";
    assert_eq!(cluster.kubectl(waiting), text);
    let text = format!("Back-off restarting failed container guest in pod guest_default({uid})");
    events(&cluster, "guest", &[&format!("kubelet|Warning|BackOff|1|{text}")]);
    cluster.wait_for(&format!("{status}.restartCount}}=2"), "pod/guest");
    cluster.wait_for("condition=Ready", "pod/guest");
}

#[test]
fn pods_and_replica_sets_that_are_deleted_come_back() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", home.file("web.yaml", DEPLOYMENT)));
    cluster.kubectl("rollout status deployment/web --timeout=50s");
    let names = "get pods -l app=web -o jsonpath={.items[*].metadata.name}";
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let set = cluster.kubectl("get rs -l app=web -o jsonpath={.items[0].metadata.name}");

    let before = words(&cluster.kubectl(names));
    cluster.kubectl(&format!("delete pod {}", before[0]));
    events(&cluster, &before[0], &["kubelet|Normal|Killing|1|Stopping container c"]);
    let after = words(
        &cluster.until(names, |now| words(now).len() == 3 && !words(now).contains(&before[0])),
    );
    let new = after.iter().find(|name| !before.contains(name)).unwrap();
    let made =
        |name: &str| format!("replicaset-controller|Normal|SuccessfulCreate|1|Created pod: {name}");
    events(&cluster, &set, &[&made(new)]);
    cluster.wait_for("jsonpath={.status.readyReplicas}=3", "deployment/web");

    // Its Pods go with it, and the Deployment makes another of the same name.
    let uid = "get rs -l app=web -o jsonpath={.items[*].metadata.uid}";
    let old = cluster.kubectl(uid);
    cluster.kubectl(&format!("delete rs {set}"));
    let scaled = format!("Scaled up replica set {set} from 0 to 3");
    let scaled = format!("deployment-controller|Normal|ScalingReplicaSet|2|{scaled}");
    events(&cluster, "web", &[&scaled]);
    let replaced = words(&cluster.until(names, |now| {
        words(now).len() == 3 && !words(now).iter().any(|name| after.contains(name))
    }));
    let made: Vec<String> = replaced.iter().map(|name| made(name)).collect();
    events(&cluster, &set, &made.iter().map(String::as_str).collect::<Vec<_>>());
    cluster.kubectl("rollout status deployment/web --timeout=50s");
    assert_ne!(cluster.kubectl(uid), old);
    let told = cluster.kubectl("describe deployment web");
    assert!(told.contains("3 desired | 3 updated | 3 total | 3 available"), "{told}");
}

#[test]
fn what_somebody_else_says_of_a_pods_readiness_is_put_right() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("run guest --image=busybox --command -- sleep 100000");
    cluster.wait_for("condition=Ready", "pod/guest");
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}";
    let told = cluster.follow(&format!("get pod guest --watch -o {ready}"));
    told.line_with("True");
    let patch = "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}]}}";
    let patched =
        cluster.run_words(&["patch", "pod", "guest", "--subresource=status", "-p", patch]);
    assert_eq!(patched.code, 0, "{}", patched.all());
    told.line_with("False");
    told.line_with("True");
}

#[test]
fn what_somebody_else_says_of_a_pods_containers_is_put_right() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("run guest --image=busybox --command -- sleep 100000");
    cluster.kubectl("run done --image=busybox --restart=Never --command -- echo once");
    cluster.wait_for("condition=Ready", "pod/guest");
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/done");
    for name in ["guest", "done"] {
        let status = format!("get pod {name} -o jsonpath={{.status}}");
        let before = cluster.kubectl(&status);
        let patch = r#"{"status":{"phase":"Pending","reason":"Lie","containerStatuses":null}}"#;
        say(&cluster, name, patch);
        cluster.until(&status, |status| status == before);
    }
    // The container was not run again either.
    assert_eq!(cluster.kubectl("logs done"), "once\n");
}

#[test]
fn a_pod_that_somebody_else_calls_failed_is_ended() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("run guest --image=busybox --command -- sleep 100000");
    cluster.wait_for("condition=Ready", "pod/guest");
    say(&cluster, "guest", r#"{"status":{"phase":"Failed","reason":"Lost","message":"by me"}}"#);
    let ended = "jsonpath={.status.containerStatuses[0].state.terminated.reason}=Error";
    cluster.wait_for(ended, "pod/guest");
    let told = cluster.kubectl("describe pod guest");
    for line in ["Status:           Failed", "Reason:           Lost", "Message:          by me"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(told.contains("Stopping container guest"), "{told}");
}

fn say(cluster: &Cluster<'_>, pod: &str, patch: &str) {
    let words = ["patch", "pod", pod, "--subresource=status", "--type=merge", "-p", patch];
    let answer = cluster.run_words(&words);
    assert_eq!(answer.code, 0, "{}", answer.all());
}
