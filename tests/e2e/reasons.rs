//! Every word that `kubectl get pods` has for a Pod, each brought about on purpose.

use std::collections::BTreeSet;

use crate::support::{Cluster, Home};

const FOREVER: &str = "command: [sleep, '1000']";

/// A name, a spec, and the words that are to be seen, in whatever order.
const PODS: &[(&str, &str, &[&str])] = &[
    ("pending", "{nodeSelector: {no: one}, containers: [{name: c, image: busybox}]}", &["Pending"]),
    (
        "gated",
        "{schedulingGates: [{name: example.com/wait}], containers: [{name: c, image: busybox}]}",
        &["SchedulingGated"],
    ),
    (
        "no-volume",
        "{containers: [{name: c, image: busybox, volumeMounts: [{name: v, mountPath: /v}]}], \
          volumes: [{name: v, configMap: {name: none}}]}",
        &["ContainerCreating"],
    ),
    ("runs", "{containers: [{name: c, image: busybox, FOREVER}]}", &["Running"]),
    (
        "completes",
        "{restartPolicy: Never, containers: [{name: c, image: busybox, command: ['true']}]}",
        &["Completed"],
    ),
    (
        "fails",
        "{restartPolicy: Never, containers: [{name: c, image: busybox, command: ['false']}]}",
        &["Error"],
    ),
    (
        "crashes",
        "{containers: [{name: c, image: busybox, command: ['false']}]}",
        &["CrashLoopBackOff"],
    ),
    (
        "hungry",
        "{restartPolicy: Never, containers: [{name: c, image: busybox, \
          command: [sh, -c, 'head -c 100m /dev/zero | tail'], resources: {limits: {memory: 24Mi}}}]}",
        &["OOMKilled"],
    ),
    (
        "late",
        "{activeDeadlineSeconds: 1, containers: [{name: c, image: busybox, FOREVER}]}",
        // Its container's word comes before the Pod's own reason, if it came to run: see below.
        &[],
    ),
    (
        "half",
        "{restartPolicy: Never, containers: [{name: a, image: busybox, command: ['true']}, \
          {name: b, image: busybox, FOREVER}]}",
        &["NotReady"],
    ),
    (
        "no-image",
        "{containers: [{name: c, image: 'nobody/none:1'}]}",
        &["ErrImagePull", "ImagePullBackOff"],
    ),
    ("bad-name", "{containers: [{name: c, image: 'A B'}]}", &["InvalidImageName"]),
    (
        "no-config",
        "{containers: [{name: c, image: busybox, env: [{name: E, valueFrom: {configMapKeyRef: \
          {name: none, key: k}}}]}]}",
        &["CreateContainerConfigError"],
    ),
    (
        "in-the-way",
        "{containers: [{name: c, image: busybox, volumeMounts: [{name: v, mountPath: /bin/sh}]}], \
          volumes: [{name: v, emptyDir: {}}]}",
        &["CreateContainerError"],
    ),
    (
        "no-program",
        "{containers: [{name: c, image: busybox, command: [/no/such]}]}",
        &["RunContainerError", "CrashLoopBackOff"],
    ),
    (
        "no-program-once",
        "{restartPolicy: Never, containers: [{name: c, image: busybox, command: [/no/such]}]}",
        &["StartError"],
    ),
    (
        "nowhere",
        "{restartPolicy: Never, containers: [{name: c, image: busybox, workingDir: /bin/sh, FOREVER}]}",
        &["ContainerCannotRun"],
    ),
    (
        "begins",
        "{initContainers: [{name: i, image: busybox, FOREVER}], containers: [{name: c, image: busybox}]}",
        &["Init:0/1"],
    ),
    (
        "goes-on",
        "{initContainers: [{name: i, image: busybox, command: ['true']}, \
          {name: j, image: busybox, FOREVER}], containers: [{name: c, image: busybox}]}",
        &["Init:1/2"],
    ),
    (
        "init-fails",
        "{restartPolicy: Never, initContainers: [{name: i, image: busybox, command: ['false']}], \
          containers: [{name: c, image: busybox}]}",
        &["Init:Error"],
    ),
    (
        "init-crashes",
        "{initContainers: [{name: i, image: busybox, command: ['false']}], \
          containers: [{name: c, image: busybox}]}",
        &["Init:CrashLoopBackOff"],
    ),
    (
        "init-no-image",
        "{initContainers: [{name: i, image: 'nobody/none:1'}], containers: [{name: c, image: busybox}]}",
        &["Init:ErrImagePull", "Init:ImagePullBackOff"],
    ),
];

/// What only other nodes' kubelets, or nobody any more, would write: a status, and the word for it.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "killed",
        r#""containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":0,"signal":9}}"#,
        "Signal:9",
    ),
    (
        "exited",
        r#""containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":3}}"#,
        "ExitCode:3",
    ),
    (
        "late",
        r#""containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":1,"reason":"DeadlineExceeded"}}"#,
        "DeadlineExceeded",
    ),
    (
        "init-killed",
        r#""initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":137,"signal":9}}"#,
        "Init:Signal:9",
    ),
    (
        "init-exited",
        r#""initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":3}}"#,
        "Init:ExitCode:3",
    ),
    (
        "initializing",
        r#""containerStatuses":[{"name":"c","state":{"waiting":{"reason":"PodInitializing"}}"#,
        "PodInitializing",
    ),
];

fn pod(name: &str, spec: &str) -> String {
    let spec = spec.replace("FOREVER", FOREVER);
    format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// What has not been seen yet; says so if the story ends before.
struct Wanted(BTreeSet<(String, String)>);

impl Wanted {
    /// A line of `kubectl get pods --no-headers`.
    fn seen(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(_), Some(word)) = (words.next(), words.next(), words.next()) {
            self.0.remove(&(name.to_owned(), word.to_owned()));
        }
    }
}

impl Drop for Wanted {
    #[expect(clippy::print_stdout, reason = "told beside a panic's own words")]
    fn drop(&mut self) {
        if !self.0.is_empty() {
            println!("not seen: {:?}", self.0);
        }
    }
}

fn word(cluster: &Cluster<'_>, name: &str) -> String {
    let line = cluster.kubectl(&format!("get pod {name} --no-headers"));
    line.split_whitespace().nth(2).unwrap().to_owned()
}

#[test]
fn a_pod_has_every_word_that_it_can_have() {
    let home = Home::new();
    let cluster = home.up();
    let pairs = PODS.iter().flat_map(|(name, _, words)| {
        words.iter().map(|word| ((*name).to_owned(), (*word).to_owned()))
    });
    let mut wanted = Wanted(pairs.collect());
    let lines = cluster.follow("get pods -w --no-headers");
    let manifest: String = PODS.iter().map(|(name, spec, _)| pod(name, spec)).collect();
    let file = home.file("pods.yaml", manifest);
    cluster.kubectl(&format!("apply -f {file}"));
    while !wanted.0.is_empty() {
        wanted.seen(&lines.line_with(""));
    }
    cluster.wait_for("jsonpath={.status.reason}=DeadlineExceeded", "pod/late");
}

#[test]
fn a_pod_of_another_node_is_worded_alike() {
    let home = Home::new();
    let cluster = home.up();
    let spec = "{nodeName: elsewhere, initContainers: [{name: i, image: busybox}], \
                containers: [{name: c, image: busybox}]}";
    let names = ELSEWHERE.iter().map(|(name, ..)| *name).chain(["evicted", "preempted", "lost"]);
    let manifest: String = names.map(|name| pod(name, spec)).collect();
    let file = home.file("pods.yaml", manifest);
    cluster.kubectl(&format!("apply -f {file}"));
    let patch = |name: &str, status: &str| {
        let body = format!("{{\"status\":{status}}}");
        let words =
            ["patch", "pod", name, "--subresource=status", "--type=merge", "-p", body.as_str()];
        let answer = cluster.run_words(&words);
        assert_eq!(answer.code, 0, "{}", answer.all());
    };
    let rest = r#","ready":false,"restartCount":0,"image":"busybox","imageID":""}]"#;
    let done = r#""conditions":[{"type":"Initialized","status":"True"}],"#;
    for (name, status, expect) in ELSEWHERE {
        let initialized = if name.starts_with("init-") { "" } else { done };
        patch(name, &format!("{{{initialized}{status}{rest}}}"));
        assert_eq!(word(&cluster, name), *expect);
    }
    for (name, reason) in [("evicted", "Evicted"), ("preempted", "Preempting")] {
        patch(name, &format!(r#"{{"phase":"Failed","reason":"{reason}"}}"#));
        assert_eq!(word(&cluster, name), reason);
    }
    patch("lost", r#"{"phase":"Running","reason":"NodeLost"}"#);
    assert_eq!(word(&cluster, "lost"), "NodeLost");
    cluster.kubectl("delete pod lost --wait=false");
    assert_eq!(word(&cluster, "lost"), "Unknown");
    cluster.kubectl("delete pod exited --wait=false");
    assert_eq!(word(&cluster, "exited"), "Terminating");
}
