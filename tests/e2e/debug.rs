//! `kubectl debug`: containers that come to a running Pod.

use crate::support::{Cluster, Home, run_with_input, tutorial};

fn with_counter(home: &Home) -> Cluster<'_> {
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", tutorial("pod.yaml")));
    cluster.wait_for("condition=Ready", "pod/counter");
    cluster
}

/// `kubectl debug counter …`, with a name for the container.
#[track_caller]
fn debug(cluster: &Cluster<'_>, name: &str, words: &[&str]) {
    let container = format!("--container={name}");
    let begin = ["debug", "counter", "--image=busybox", &container];
    let answer = cluster.run_words(&[&begin, words].concat());
    assert_eq!(answer.code, 0, "{}", answer.all());
}

#[test]
fn a_debugger_comes_to_a_running_pod_and_is_seen() {
    let home = Home::new();
    let cluster = with_counter(&home);
    debug(&cluster, "one", &["--target=count", "--", "sh", "-c", "hostname; echo err >&2; exit 3"]);
    let state = "{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}";
    cluster.wait_for(&format!("jsonpath={state}=3"), "pod/counter");
    assert_eq!(cluster.kubectl("logs counter -c one"), "counter\nerr\n");

    let describe = cluster.kubectl("describe pod counter");
    let section = describe.split("Ephemeral Containers:").nth(1).expect(&describe);
    for word in ["one:", "busybox", "Terminated", "Exit Code:    3"] {
        assert!(section.contains(word), "no {word} in {section}");
    }
    let fields =
        "involvedObject.name=counter,involvedObject.fieldPath=spec.ephemeralContainers{one}";
    let events = cluster.kubectl(&format!("get events --no-headers --field-selector={fields}"));
    for word in ["Pulled", "Created", "Started"] {
        assert!(events.contains(word), "no {word} in {events}");
    }
    let row = cluster.kubectl("get pod counter --no-headers");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..4], ["counter", "1/1", "Running", "0"], "{row}");
}

#[test]
fn a_debugger_is_entered_and_ends_with_its_pod() {
    let home = Home::new();
    let cluster = with_counter(&home);
    debug(&cluster, "two", &["--", "sleep", "1000"]);
    let running = "{.status.ephemeralContainerStatuses[0].state.running.startedAt}";
    cluster.wait_for(&format!("jsonpath={running}"), "pod/counter");
    assert_eq!(cluster.kubectl("exec counter -c two -- hostname"), "counter\n");
    let taken = cluster.refused("debug counter --image=busybox --container=count -- true");
    assert!(taken.contains("Duplicate value: \"count\""), "{taken}");
    cluster.kubectl("delete pod counter --timeout=30s");
    assert!(cluster.refused("get pod counter").contains("not found"));
}

#[test]
fn a_debugger_does_not_outlive_a_restart_of_sampan() {
    let home = Home::new();
    let cluster = with_counter(&home);
    debug(&cluster, "gone", &["--", "sleep", "1000"]);
    let state = "{.status.ephemeralContainerStatuses[0].state";
    cluster.wait_for(&format!("jsonpath={state}.running.startedAt}}"), "pod/counter");
    cluster.stop();
    let cluster = home.up();
    cluster.wait_for(&format!("jsonpath={state}.terminated.exitCode}}=137"), "pod/counter");
    cluster.wait_for("condition=Ready", "pod/counter");
}

#[test]
fn a_stdin_is_attached_and_a_copy_is_made() {
    let home = Home::new();
    let cluster = with_counter(&home);
    let line = "debug counter --image=busybox --container=ask -i --quiet -- head -n 1";
    let answer = run_with_input(cluster.command(line), b"typed\nunread\n");
    assert_eq!(answer.stdout, "typed\n", "{}", answer.all());

    cluster.kubectl("debug counter --copy-to=copy --container=count --image=busybox -- sleep 1000");
    cluster.wait_for("condition=Ready", "pod/copy");
    assert_eq!(cluster.kubectl("exec copy -- hostname"), "copy\n");
}

#[test]
fn profiles_are_taken_and_the_node_is_out_of_reach() {
    let home = Home::new();
    let cluster = with_counter(&home);
    for profile in ["legacy", "general", "baseline", "restricted", "netadmin", "sysadmin"] {
        debug(&cluster, profile, &["--profile", profile, "--", "true"]);
    }
    let names = cluster.kubectl("get pod counter -o jsonpath={.spec.ephemeralContainers[*].name}");
    assert_eq!(names.split_whitespace().count(), 6, "{names}");
}

#[test]
fn a_target_must_run() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("run bad --image=nosuch/image:1");
    cluster.kubectl("debug bad --image=busybox --container=one --target=bad -- true");
    let waiting = "{.status.ephemeralContainerStatuses[0].state.waiting";
    cluster.wait_for(&format!("jsonpath={waiting}.reason}}=CreateContainerConfigError"), "pod/bad");
    let message = cluster.kubectl(&format!("get pod bad -o jsonpath={waiting}.message}}"));
    assert_eq!(message, "unable to find target container bad");
    cluster.kubectl("debug bad --image=busybox --container=two -- sleep 1000");
    let second = "{.status.ephemeralContainerStatuses[1].state.running.startedAt}";
    cluster.wait_for(&format!("jsonpath={second}"), "pod/bad");
}

#[test]
fn a_debugger_has_a_terminal() {
    let home = Home::new();
    let cluster = with_counter(&home);
    let script = "read x; test -t 0 && test -t 1 && echo terminal-$x; exit 4";
    let line = format!(
        "kubectl debug counter -it --quiet --image=busybox --container=tty -- sh -c '{script}'"
    );
    let answer = run_with_input(home.in_terminal(&line), b"typed\n");
    assert!(answer.stdout.contains("terminal-typed\r\n"), "{}", answer.all());
    let state = "{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}";
    cluster.wait_for(&format!("jsonpath={state}=4"), "pod/counter");
}
