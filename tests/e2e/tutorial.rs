//! Section 2.1 of the tutorial, command by command, on its own YAML.

use crate::support::{Home, tutorial};

#[test]
fn section_2_1_works_as_printed() {
    let home = Home::new();
    let cluster = home.up();
    let pod = tutorial("pod.yaml");

    assert_eq!(cluster.kubectl(&format!("apply -f {pod}")), "pod/counter created\n");
    cluster.wait_for("condition=Ready", "pod/counter");
    assert_eq!(cluster.kubectl(&format!("apply -f {pod}")), "pod/counter unchanged\n");

    let row = cluster.kubectl("get pod counter --no-headers");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..4], ["counter", "1/1", "Running", "0"], "{row}");
    let wide = cluster.kubectl("get pod -o wide");
    for word in [
        "NAME",
        "READY",
        "STATUS",
        "RESTARTS",
        "AGE",
        "IP",
        "NODE",
        "NOMINATED NODE",
        "10.42.",
        "sampan",
    ] {
        assert!(wide.contains(word), "no {word} in {wide}");
    }
    let yaml = cluster.kubectl("get pod counter -o yaml");
    assert!(yaml.contains("image: busybox") && yaml.contains("phase: Running"), "{yaml}");

    let describe = cluster.kubectl("describe pod counter");
    for word in
        ["Scheduled", "Pulled", "Created", "Started", "default-scheduler", "kubelet", "WebAssembly"]
    {
        assert!(describe.contains(word), "no {word} in {describe}");
    }

    let log = cluster.follow("logs -f counter");
    assert_eq!(log.line_with("0: "), "0: ");
    log.line_with("/bin/sh: data: not found");
    assert_eq!(log.line_with("1: "), "1: ");
    let log = cluster.follow("logs -f counter -c count");
    log.line_with("0: ");

    assert_eq!(cluster.kubectl("config view --minify").matches("namespace: default").count(), 1);
    assert!(cluster.kubectl("get pod -n kube-system").contains("sampan-sampan"));
    assert!(cluster.kubectl("get pod -A").contains("counter"));

    assert_eq!(cluster.kubectl("delete pod counter"), "pod \"counter\" deleted\n");
    assert!(cluster.refused("get pod counter").contains("pods \"counter\" not found"));
    cluster.kubectl(&format!("apply -f {pod}"));
    assert_eq!(cluster.kubectl(&format!("delete -f {pod}")), "pod \"counter\" deleted\n");
}

#[test]
fn a_pod_is_entered_without_a_terminal() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", tutorial("pod.yaml")));
    cluster.wait_for("condition=Ready", "pod/counter");

    assert_eq!(cluster.kubectl("exec counter -- echo hello"), "hello\n");
    let answer =
        cluster.run_words(&["exec", "counter", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((answer.code, &*answer.stdout), (3, "out\n"), "{}", answer.all());
    assert!(answer.stderr.starts_with("err\n"), "{}", answer.all());
    let input = crate::support::run_with_input(
        cluster.command("exec -i counter -- wc -c"),
        &[b'x'; 100_000],
    );
    assert_eq!(input.stdout.trim(), "100000", "{}", input.all());
    let missing = cluster.run("exec counter -- no-such-program");
    assert!(missing.code != 0 && missing.stderr.contains("no-such-program"), "{}", missing.all());
}

#[test]
fn a_watch_sees_a_pod_go_and_come_again() {
    let home = Home::new();
    let cluster = home.up();
    let pod = tutorial("pod.yaml");
    cluster.kubectl(&format!("apply -f {pod}"));
    cluster.wait_for("condition=Ready", "pod/counter");
    let watch = cluster.follow("get pod -w");
    watch.line_with("Running");
    cluster.kubectl("delete pod counter");
    watch.line_with("Terminating");
    cluster.kubectl(&format!("apply -f {pod}"));
    watch.line_with("Pending");
    watch.line_with("Running");
}
