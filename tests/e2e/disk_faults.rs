//! The host's disk is full, or can only be read.

use crate::support::{Cluster, Home, SmallDisk};

/// A Pod of one busybox with this script and one volume at `/v`.
fn pod(name: &str, script: &str, volume: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  \
         terminationGracePeriodSeconds: 1\n  containers: [{{name: c, image: busybox, \
         command: [sh, -c, '{script}'], volumeMounts: [{{name: v, mountPath: /v}}]}}]\n  \
         volumes: [{{name: v, {volume}}}]\n---\n"
    )
}

fn claim(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{accessModes: \
         [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}\n---\n"
    )
}

fn of_claim(name: &str) -> String {
    format!("persistentVolumeClaim: {{claimName: {name}}}")
}

fn apply(home: &Home, cluster: &Cluster<'_>, manifest: &str) {
    cluster.kubectl(&format!("apply -f {}", home.file("manifest.yaml", manifest)));
}

/// Tells the line's number in each line.
const TALKS: &str = "n=0; while true; do n=$((n+1)); echo line $n; usleep 20000; done";
const WAITS: &str = "sleep 100000";

#[track_caller]
fn said(cluster: &Cluster<'_>, pod: &str, script: &str) -> String {
    let answer = cluster.run_words(&["exec", pod, "--", "sh", "-c", script]);
    assert_eq!(answer.code, 0, "{script}: {}", answer.all());
    answer.stdout
}

/// The last line that the Pod `talker` has in its log.
fn talked(cluster: &Cluster<'_>) -> u64 {
    let line = cluster.kubectl("logs talker --tail=1");
    line.trim().trim_start_matches("line ").parse().unwrap()
}

#[test]
fn a_full_disk_is_told_to_who_writes_and_is_over_when_there_is_room() {
    let home = Home::new();
    let Some(disk) = SmallDisk::at(&home.path().join("data"), 48 << 20) else { return };
    let cluster = home.up_on(&disk);
    let manifest = claim("mine")
        + &pod("talker", TALKS, "emptyDir: {}")
        + &pod("hog", WAITS, "emptyDir: {}")
        + &pod("careful", WAITS, &of_claim("mine"));
    apply(&home, &cluster, &manifest);
    for name in ["talker", "hog", "careful"] {
        cluster.wait_for("condition=Ready", &format!("pod/{name}"));
    }
    said(&cluster, "careful", "echo kept > /v/kept");

    let full = cluster.run("exec hog -- dd if=/dev/zero of=/v/all bs=1M");
    assert!(full.stderr.contains("No space left on device"), "{}", full.all());
    let others = cluster.run("exec careful -- dd if=/dev/zero of=/v/more bs=64k count=1");
    assert!(others.stderr.contains("No space left on device"), "{}", others.all());
    // What is there is read, and who only computes goes on; what it says meanwhile is lost.
    assert_eq!(cluster.kubectl("exec careful -- cat /v/kept"), "kept\n");
    let last = talked(&cluster);
    assert_eq!(cluster.kubectl("exec talker -- echo here"), "here\n");

    // The API server has some room of its own, which is not for new objects.
    let large = home.file("large", "x".repeat(700 << 10));
    let create = format!("create configmap large --from-file={large}");
    let refused = (0..3).find_map(|_| {
        let answer = cluster.run(&create);
        cluster.run("delete configmap large --ignore-not-found");
        (answer.code != 0).then_some(answer.stderr)
    });
    let expect =
        "no space left on the disk of the cluster's data directory; free some and try again";
    let refused = refused.unwrap_or_default();
    assert!(refused.contains(expect), "{refused}");
    cluster.kubectl("label pod careful while=full");

    // So who has filled it can be ended; then all goes on by itself.
    cluster.kubectl("delete pod hog");
    cluster.kubectl("create configmap small --from-literal=a=b");
    let log = cluster.follow("logs -f talker --tail=1");
    // The one that was there, and one that has come.
    log.line_with("line ");
    log.line_with("line ");
    assert!(talked(&cluster) > last);
    let restarts = "{.items[*].status.containerStatuses[0].restartCount}";
    assert_eq!(cluster.kubectl(&format!("get pods -o jsonpath={restarts}")), "0 0");
    said(&cluster, "careful", "echo more > /v/kept && sync /v/kept");

    // All that was acknowledged is there after a crash, what was done on the full disk among it.
    cluster.kill();
    let cluster = home.up_on(&disk);
    assert_eq!(cluster.kubectl("get configmap small -o jsonpath={.data.a}"), "b");
    assert_eq!(cluster.kubectl("get pod careful -o jsonpath={.metadata.labels.while}"), "full");
    cluster.refused("get pod hog");
    cluster.wait_for("condition=Ready", "pod/careful");
    assert_eq!(cluster.kubectl("exec careful -- cat /v/kept"), "more\n");
}

#[test]
fn a_disk_that_can_only_be_read_is_told_and_used_again_when_it_can_be_written() {
    let home = Home::new();
    let volumes = home.path().join("data/volumes");
    let Some(disk) = SmallDisk::at(&volumes, 8 << 20) else { return };
    let mounted = volumes.display();
    // A data directory that cannot be written is no place for a cluster.
    disk.run(&format!("mount -o remount,ro {mounted}"));
    let refused = disk.sampan(&home, &["up", "--data-dir", volumes.to_str().unwrap()]);
    let expect = format!(
        "error: failed to use the data directory {mounted}; mount it so that it can be written, or \
         choose another by --data-dir: Read-only file system (os error 30)\n"
    );
    assert_eq!((refused.code, refused.stderr), (1, expect));
    disk.run(&format!("mount -o remount,rw {mounted}"));

    std::fs::write(home.path().join("data/format"), "1\n").unwrap();
    let cluster = home.up_on(&disk);
    apply(&home, &cluster, &(claim("one") + &pod("early", WAITS, &of_claim("one"))));
    cluster.wait_for("condition=Ready", "pod/early");
    said(&cluster, "early", "echo kept > /v/kept");
    disk.run(&format!("mount -o remount,ro {mounted}"));
    let refused = cluster.run("exec early -- touch /v/other");
    assert!(refused.stderr.to_lowercase().contains("read-only file system"), "{}", refused.all());
    assert_eq!(cluster.kubectl("exec early -- cat /v/kept"), "kept\n");
    apply(&home, &cluster, &(claim("two") + &pod("late", WAITS, &of_claim("two"))));
    let told = cluster.follow(
        "get events --watch --field-selector involvedObject.name=late,reason=FailedMount \
         -o jsonpath={.message}{\"\\n\"}",
    );
    told.line_with("Read-only file system");
    disk.run(&format!("mount -o remount,rw {mounted}"));
    cluster.wait_for("condition=Ready", "pod/late");
    cluster.kubectl("exec early -- touch /v/other");
}
