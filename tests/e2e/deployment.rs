//! Deployments as users work with them: the tutorial's section 2.2, rollouts, cascades.

use crate::support::{Cluster, Home};

/// The tutorial's Deployment, but for the image; `more` goes into its spec.
fn manifest(more: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {{app: web}}
spec:
  replicas: 3
{more}
  selector:
    matchLabels: {{app: web}}
  template:
    metadata:
      labels: {{app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: c
        image: busybox:1.36
        command: [sleep, '100000']
"
    )
}

fn applied<'a>(home: &'a Home, more: &str) -> Cluster<'a> {
    let cluster = home.up();
    let file = home.file("deployment.yaml", manifest(more));
    assert_eq!(cluster.kubectl(&format!("apply -f {file}")), "deployment.apps/web created\n");
    let status = cluster.kubectl("rollout status deployment/web --timeout=50s");
    assert!(status.ends_with("deployment \"web\" successfully rolled out\n"), "{status}");
    cluster
}

fn names(cluster: &Cluster<'_>) -> Vec<String> {
    let answer = cluster.kubectl("get pods -l app=web -o name");
    answer.lines().map(str::to_owned).collect()
}

#[test]
fn section_2_2_works_as_printed() {
    let home = Home::new();
    let cluster = applied(&home, "");
    let row = cluster.kubectl("get deployment web --no-headers");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..4], ["web", "3/3", "3", "3"], "{row}");
    let both = cluster.kubectl("get deployment,pod");
    assert_eq!(both.matches("deployment.apps/web").count(), 1, "{both}");
    assert_eq!(both.matches("pod/web-").count(), 3, "{both}");
    let wide = cluster.kubectl("get deploy,rs -o wide");
    assert!(wide.contains("busybox:1.36") && wide.contains("app=web"), "{wide}");

    let first = names(&cluster)[0].clone();
    cluster.kubectl(&format!("delete {first}"));
    cluster.until("get deployment web --no-headers", |row| row.contains("3/3"));
    assert!(names(&cluster).len() == 3 && !names(&cluster).contains(&first));

    let scaled = cluster.kubectl("scale deployment/web --replicas=5");
    assert_eq!(scaled, "deployment.apps/web scaled\n");
    cluster.until("get deployment web --no-headers", |row| row.contains("5/5"));
    let refused = cluster.refused("scale deployment/web --current-replicas=3 --replicas=1");
    assert!(refused.contains("Expected replicas to be 3, was 5"), "{refused}");

    let told = cluster.kubectl("describe deployment web");
    for words in [
        "Replicas:               5 desired | 5 updated | 5 total | 5 available | 0 unavailable",
        "RollingUpdateStrategy:  25% max unavailable, 25% max surge",
        "Available      True    MinimumReplicasAvailable",
        "Progressing    True    NewReplicaSetAvailable",
        "ScalingReplicaSet",
        "deployment-controller",
    ] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }

    assert_eq!(cluster.kubectl("delete deployment web"), "deployment.apps \"web\" deleted\n");
    cluster.until("get rs,pod -l app=web -o name", str::is_empty);
}

#[test]
fn rollouts_are_followed_and_undone() {
    let home = Home::new();
    let cluster = applied(&home, "");
    cluster.kubectl("annotate deployment/web kubernetes.io/change-cause=first");
    cluster.kubectl("set image deployment/web c=busybox:1.37");
    cluster.kubectl("annotate deployment/web kubernetes.io/change-cause=second --overwrite");
    cluster.kubectl("rollout status deployment/web --timeout=50s");
    let image = "get pods -l app=web -o jsonpath={.items[*].spec.containers[0].image}";
    cluster.until(image, |images| !images.contains("1.36"));
    let history = cluster.kubectl("rollout history deployment/web");
    assert!(
        history.contains("1         first") && history.contains("2         second"),
        "{history}"
    );
    let of_one = cluster.kubectl("rollout history deployment/web --revision=1");
    assert!(of_one.contains("busybox:1.36"), "{of_one}");

    assert_eq!(cluster.kubectl("rollout undo deployment/web"), "deployment.apps/web rolled back\n");
    cluster.kubectl("rollout status deployment/web --timeout=50s");
    cluster.until(image, |images| !images.contains("1.37"));
    let revision = r"get deployment web -o jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}";
    assert_eq!(cluster.kubectl(revision), "3");

    let before = names(&cluster);
    cluster.kubectl("rollout restart deployment/web");
    cluster.kubectl("rollout status deployment/web --timeout=50s");
    cluster.until("get pods -l app=web -o name", |pods| {
        pods.lines().count() == 3 && !pods.lines().any(|pod| before.iter().any(|old| old == pod))
    });

    cluster.kubectl("rollout pause deployment/web");
    cluster.kubectl("set env deployment/web A=b");
    assert!(cluster.refused("rollout restart deployment/web").contains("paused"));
    let sets = "get rs -l app=web -o name";
    let count = cluster.kubectl(sets).lines().count();
    cluster.kubectl("rollout resume deployment/web");
    cluster.kubectl("rollout status deployment/web --timeout=50s");
    assert_eq!(cluster.kubectl(sets).lines().count(), count + 1);
}

#[test]
fn a_bad_image_stalls_and_harms_nobody() {
    let home = Home::new();
    let cluster = applied(&home, "  progressDeadlineSeconds: 4");
    cluster.kubectl("set image deployment/web c=no-such-image:1");
    let status = cluster.run("rollout status deployment/web --timeout=50s");
    assert_eq!(status.code, 1, "{}", status.all());
    let text = "deployment \"web\" exceeded its progress deadline";
    assert!(status.stderr.contains(text), "{}", status.all());
    let row = cluster.kubectl("get deployment web --no-headers");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..4], ["web", "3/3", "1", "3"], "{row}");
    let told = cluster.kubectl("describe deployment web");
    assert!(told.contains("Progressing    False   ProgressDeadlineExceeded"), "{told}");
    cluster.kubectl("rollout undo deployment/web");
    cluster.kubectl("rollout status deployment/web --timeout=50s");
    cluster.until("get pods -l app=web -o name", |pods| pods.lines().count() == 3);
}

#[test]
fn a_deletion_cascades_as_asked() {
    let home = Home::new();
    let cluster = applied(&home, "");
    cluster.kubectl("delete deployment web --cascade=orphan");
    cluster
        .until("get rs -l app=web -o jsonpath={.items[*].metadata.ownerReferences}", str::is_empty);
    let before = names(&cluster);
    assert_eq!(before.len(), 3);
    let file = home.path().join("deployment.yaml").display().to_string();
    cluster.kubectl(&format!("apply -f {file}"));
    cluster.kubectl("rollout status deployment/web --timeout=50s");
    assert_eq!(names(&cluster), before);

    // kubectl waits until it is gone, and it goes last.
    cluster.kubectl("delete deployment web --cascade=foreground --timeout=50s");
    assert_eq!(cluster.kubectl("get rs,pod -l app=web -o name"), "");
}

#[test]
fn a_manifest_with_slips_is_refused_in_kubernetes_words() {
    let home = Home::new();
    let cluster = home.up();
    let wrong = manifest("  strategy: {type: Recreat}")
        .replace("matchLabels: {app: web}", "matchLabels: {app: wep}");
    let file = home.file("wrong.yaml", wrong);
    let refused = cluster.refused(&format!("apply -f {file}"));
    for words in [
        "The Deployment \"web\" is invalid:",
        "* spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
        "* spec.strategy: Unsupported value: {\"type\":\"Recreat\"}: supported values: \"Recreate\", \"RollingUpdate\"",
    ] {
        assert!(refused.contains(words), "no {words:?} in {refused}");
    }
}
