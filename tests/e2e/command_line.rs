//! `sampan` itself: its commands as a new user types them.

use crate::support::{Following, Home, run, tutorial};

#[test]
fn play_runs_the_tutorials_pod_and_shows_its_log() {
    let home = Home::new();
    let play = Following::start(home.sampan(&["play", &tutorial("pod.yaml")]));
    play.line_with("pod/counter created");
    play.line_with("counter | 0: ");
    play.line_with("counter | 1: ");
    assert!(!home.kubeconfig().exists());
}

#[test]
fn play_answers_whether_a_pod_failed() {
    let home = Home::new();
    for (command, code) in [("exit 0", 0), ("exit 3", 1)] {
        let manifest = home.file(
            "pod.yaml",
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {{name: c, image: busybox, command: [sh, -c, 'echo hi; {command}']}}\n"),
        );
        let answer = run(home.sampan(&["play", &manifest]));
        assert_eq!((answer.code, &*answer.stdout), (code, "p | hi\n"), "{}", answer.all());
    }
    let broken = home.file("broken.yaml", "kind: Pod\nmetadata: a: b\n");
    let answer = run(home.sampan(&["play", &broken]));
    assert!(answer.code == 1 && answer.stderr.contains("line 2"), "{}", answer.all());
}

#[test]
fn a_cluster_in_the_background_is_stopped_and_deleted() {
    let home = Home::new();
    let up = run(home.sampan(&["up", "--background", "--listen", "127.0.0.1:0"]));
    assert_eq!(up.code, 0, "{}", up.all());
    assert!(up.stderr.lines().count() <= 8, "{}", up.all());
    let again = run(home.sampan(&["up", "--listen", "127.0.0.1:0"]));
    assert!(again.code != 0 && again.stderr.contains("already runs"), "{}", again.all());
    assert!(run(home.sampan(&["status"])).stdout.contains("running"));
    assert!(run(home.kubectl(&["get", "nodes"])).stdout.contains("Ready"));
    assert_eq!(run(home.sampan(&["down"])).stderr, "sampan: stopped\n");
    assert_eq!(run(home.sampan(&["status"])).code, 3);
    assert_eq!(
        run(home.sampan(&["delete"])).stderr,
        "sampan: deleted its data and kubeconfig context\n"
    );
    assert_eq!(run(home.sampan(&["delete"])).stderr, "sampan: nothing to delete\n");
}
