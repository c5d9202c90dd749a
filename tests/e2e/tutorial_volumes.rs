//! Section 2.4.3 of the tutorial, command by command, on its own YAML.

use std::fs;

use crate::support::{Answer, Cluster, Home, Seat, tutorial};

const PROMPT: &str = "root@mypod:/# ";

#[track_caller]
fn apply_pod(cluster: &Cluster<'_>) {
    let manifest = tutorial("pod-pvc.yaml");
    assert_eq!(cluster.kubectl(&format!("apply -f {manifest}")), "pod/mypod created\n");
    cluster.wait_for("condition=Ready", "pod/mypod");
}

/// `kubectl exec -it mypod -- bash`
fn enter(cluster: &Cluster<'_>) -> Seat {
    let mut seat = Seat::take(cluster.command("exec -it mypod -- bash"), 100, 30);
    seat.until(PROMPT);
    seat
}

fn leave(mut seat: Seat) {
    seat.type_in("exit\r");
    let (code, shown) = seat.leave();
    assert_eq!(code, 0, "{shown}");
}

fn shell(cluster: &Cluster<'_>, pod: &str, script: &str) -> Answer {
    cluster.run_words(&["exec", pod, "--", "sh", "-c", script])
}

#[track_caller]
fn said(cluster: &Cluster<'_>, pod: &str, script: &str) -> String {
    let answer = shell(cluster, pod, script);
    assert_eq!(answer.code, 0, "{script}: {}", answer.all());
    answer.stdout
}

#[track_caller]
fn is_full(answer: &Answer) {
    let told = answer.stderr.contains("No space left on device");
    assert!(answer.code != 0 && told, "{}", answer.all());
}

#[test]
fn section_2_4_3_works_as_printed_and_works_again() {
    let home = Home::new();
    let cluster = home.up();
    for _ in 0..2 {
        let applied = cluster.kubectl(&format!("apply -f {}", tutorial("pvc.yaml")));
        assert_eq!(applied, "persistentvolumeclaim/myclaim created\n");
        apply_pod(&cluster);
        let mut seat = enter(&cluster);
        assert_eq!(seat.run("touch /hello.txt", PROMPT), "");
        assert_eq!(seat.run("touch /var/www/html/hello.txt", PROMPT), "");
        leave(seat);
        assert_eq!(cluster.kubectl("delete pod mypod"), "pod \"mypod\" deleted\n");
        apply_pod(&cluster);
        let mut seat = enter(&cluster);
        let gone = "ls: /hello.txt: No such file or directory\n";
        assert_eq!(seat.run("ls /hello.txt", PROMPT), gone);
        let list = seat.run("ls -la /var/www/html", PROMPT);
        assert!(list.starts_with("total ") && list.contains(" hello.txt"), "{list}");
        leave(seat);

        share_and_fill(&home, &cluster);

        // Nothing of it meets the second round.
        cluster.kubectl("delete pod mypod second --now");
        let deleted = cluster.kubectl(&format!("delete -f {}", tutorial("pvc.yaml")));
        assert_eq!(deleted, "persistentvolumeclaim \"myclaim\" deleted\n");
        cluster.kubectl("wait --timeout=30s --for=delete pv --all");
        let left: Vec<_> = fs::read_dir(home.path().join("data/volumes")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let events = cluster.kubectl("get events");
        assert!(!events.contains("FailedMount"), "{events}");
    }
}

/// Two Pods have the volume together, and each feels how much it holds.
#[track_caller]
fn share_and_fill(home: &Home, cluster: &Cluster<'_>) {
    let second = fs::read_to_string(tutorial("pod-pvc.yaml")).unwrap().replace("mypod", "second");
    cluster.kubectl(&format!("apply -f {}", home.file("second.yaml", second)));
    cluster.wait_for("condition=Ready", "pod/second");
    said(cluster, "second", "echo from the second > /var/www/html/note");
    assert_eq!(said(cluster, "mypod", "cat /var/www/html/note"), "from the second\n");

    is_full(&shell(cluster, "mypod", "dd if=/dev/zero of=/var/www/html/big bs=64k count=200"));
    is_full(&shell(cluster, "second", "echo more > /var/www/html/more"));
    assert_eq!(said(cluster, "second", "cat /var/www/html/note"), "from the second\n");
    assert_eq!(said(cluster, "second", "cd /var/www/html && cat hello.txt *e | wc -c"), "16\n");
    said(cluster, "second", "rm /var/www/html/big && echo more > /var/www/html/more");
    assert_eq!(said(cluster, "mypod", "cat /var/www/html/more"), "more\n");
    let restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    assert_eq!(cluster.kubectl(&format!("get pod -o {restarts}")), "0 0");
}
