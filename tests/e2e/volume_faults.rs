//! Volumes when something goes wrong: a disk that refuses, a kill in the middle, a volume that is lost.

use std::fs;

use crate::support::{Cluster, Home, tutorial};

#[track_caller]
fn apply(home: &Home, cluster: &Cluster<'_>, manifest: &str) {
    cluster.kubectl(&format!("apply -f {}", home.file("manifest.yaml", manifest)));
}

#[track_caller]
fn said(cluster: &Cluster<'_>, pod: &str, script: &str) -> String {
    let answer = cluster.run_words(&["exec", pod, "--", "sh", "-c", script]);
    assert_eq!(answer.code, 0, "{script}: {}", answer.all());
    answer.stdout
}

fn claim(name: &str, class: &str, mode: &str) -> String {
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: \
         {{accessModes: [{mode}], storageClassName: {class}, resources: {{requests: {{storage: 1Ki}}}}}}\n---\n"
    )
}

/// A Pod that waits to be asked, with one volume at `/v`.
fn pod(name: &str, volume: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  \
         terminationGracePeriodSeconds: 0\n  containers: [{{name: c, image: busybox, \
         command: [sleep, '100000'], volumeMounts: [{{name: v, mountPath: /v}}]}}]\n  \
         volumes: [{{name: v, {volume}}}]\n---\n"
    )
}

fn of_claim(name: &str) -> String {
    format!("persistentVolumeClaim: {{claimName: {name}}}")
}

#[test]
fn a_volume_that_cannot_be_made_is_tried_again() {
    let home = Home::new();
    let cluster = home.up();
    // Where volumes are made there is no directory, and none can be made.
    let volumes = home.path().join("data/volumes");
    let _ = fs::remove_dir(&volumes);
    fs::write(&volumes, "in the way").unwrap();
    cluster.kubectl(&format!("apply -f {}", tutorial("pvc.yaml")));
    cluster.kubectl(&format!("apply -f {}", tutorial("pod-pvc.yaml")));
    let told = cluster.until("describe pod mypod", |text| text.contains("FailedMount"));
    let expect = "MountVolume.SetUp failed for volume \"pvc-";
    assert!(told.contains(expect) && told.contains("failed to open"), "{told}");
    fs::remove_file(&volumes).unwrap();
    cluster.wait_for("condition=Ready", "pod/mypod");
    said(&cluster, "mypod", "echo x > /var/www/html/x && sync /var/www/html/x /var/www/html");
}

#[test]
fn what_is_under_way_at_a_kill_is_done_once() {
    let home = Home::new();
    let cluster = home.up();
    let names: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
    let claims: String =
        names.iter().map(|name| claim(name, "standard", "ReadWriteOnce")).collect();
    let pods: String = names.iter().map(|name| pod(name, &of_claim(name))).collect();
    apply(&home, &cluster, &(claims + &pods));
    cluster.kill();
    let cluster = home.up();
    for name in &names {
        cluster.wait_for("condition=Ready", &format!("pod/{name}"));
        said(&cluster, name, &format!("echo {name} > /v/name && sync /v/name"));
    }
    let volumes = cluster.kubectl("get pv -o jsonpath={.items[*].spec.claimRef.name}");
    let mut of: Vec<&str> = volumes.split_whitespace().collect();
    of.sort_unstable();
    let mut expect: Vec<&str> = names.iter().map(String::as_str).collect();
    expect.sort_unstable();
    assert_eq!(of, expect);

    cluster.kill();
    let cluster = home.up();
    for name in &names {
        cluster.wait_for("condition=Ready", &format!("pod/{name}"));
        assert_eq!(said(&cluster, name, "cat /v/name"), format!("{name}\n"));
    }

    cluster.kubectl("delete pod,pvc --all --wait=false");
    cluster.kill();
    let cluster = home.up();
    cluster.until("get pod,pvc,pv", |text| text.contains("No resources found"));
    let left: Vec<_> = fs::read_dir(home.path().join("data/volumes")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_config_map_is_whole_whenever_sampan_is_killed() {
    let home = Home::new();
    let mut cluster = home.up();
    let map = |n: usize| {
        let text = format!("{n}-").repeat(20_000);
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata: {{a: {text}, b: {text}}}\n---\n"
        )
    };
    let volume = "configMap: {name: m}";
    apply(&home, &cluster, &(map(0) + &pod("p", volume)));
    cluster.wait_for("condition=Ready", "pod/p");
    for n in 1..5 {
        let file = home.file("manifest.yaml", map(n).replace("---\n", ""));
        cluster.kubectl(&format!("replace -f {file}"));
        // Somewhere between the acknowledgement and what the Pod is shown.
        cluster.kill();
        cluster = home.up();
        cluster.wait_for("condition=Ready", "pod/p");
        let shown = said(&cluster, "p", "cmp /v/a /v/b && head -c 2 /v/a");
        assert_eq!(shown, format!("{n}-"));
        let names = said(&cluster, "p", "ls -A /v");
        let names: Vec<&str> = names.lines().filter(|name| !name.starts_with("..2")).collect();
        assert_eq!(names, ["..data", "a", "b"]);
    }
}

#[test]
fn an_operators_directory_is_given_as_it_is() {
    let home = Home::new();
    let shared = home.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("old"), "x".repeat(5000)).unwrap();
    let cluster = home.up_with(&["--allow-host-path", shared.to_str().unwrap()]);
    let volume = format!(
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: shared}}\nspec:\n  \
         accessModes: [ReadOnlyMany]\n  capacity: {{storage: 1Ki}}\n  storageClassName: manual\n  \
         local: {{path: {}}}\n  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: \
         [{{key: kubernetes.io/hostname, operator: In, values: [sampan]}}]}}]}}}}\n---\n",
        shared.display()
    );
    let read_only = "persistentVolumeClaim: {claimName: mine, readOnly: true}";
    let manifest = volume
        + &claim("mine", "manual", "ReadOnlyMany")
        + &pod("writer", &of_claim("mine"))
        + &pod("reader", read_only);
    apply(&home, &cluster, &manifest);
    for pod in ["writer", "reader"] {
        cluster.wait_for("condition=Ready", &format!("pod/{pod}"));
    }
    // What the volume says of itself, and how it may be used, binds no mount: upstream's rule.
    said(&cluster, "writer", "head -c 9000 /v/old /dev/zero > /v/new");
    assert!(fs::metadata(shared.join("new")).unwrap().len() > 9000);
    let refused = cluster.run("exec reader -- touch /v/other");
    assert!(refused.stderr.to_lowercase().contains("read-only file system"), "{}", refused.all());

    // Its administrator takes it away, whoever has it.
    cluster.kubectl("delete pv shared --wait=false");
    cluster.run_words(&["patch", "pv", "shared", "-p", r#"{"metadata":{"finalizers":null}}"#]);
    cluster.wait_for("jsonpath={.status.phase}=Lost", "pvc/mine");
    let told = cluster.kubectl("describe pvc mine");
    let expect = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
    assert!(told.contains(expect), "{told}");
    assert_eq!(said(&cluster, "reader", "wc -c < /v/old"), "5000\n");
    apply(&home, &cluster, &pod("late", &of_claim("mine")));
    let told = cluster.until("describe pod late", |text| text.contains("FailedScheduling"));
    let expect = "persistentvolumeclaim \"mine\" bound to non-existent persistentvolume \"shared\"";
    assert!(told.contains(expect), "{told}");
}
