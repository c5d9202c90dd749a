//! Kubectl's other verbs on the kinds there are.

use crate::support::{Home, run_with_input};

#[test]
fn typed_creates_with_protobuf_bodies_work() {
    let home = Home::new();
    let cluster = home.up();
    assert_eq!(
        cluster.kubectl("create configmap settings --from-literal=colour=blue"),
        "configmap/settings created\n"
    );
    assert_eq!(
        cluster.kubectl("create secret generic key --from-literal=code=42"),
        "secret/key created\n"
    );
    assert_eq!(cluster.kubectl("create namespace blue"), "namespace/blue created\n");
    assert_eq!(cluster.kubectl("get configmap settings -o jsonpath={.data.colour}"), "blue");
    assert_eq!(cluster.kubectl("get secret key -o jsonpath={.data.code}"), "NDI=");
    let token = cluster.kubectl("create token default");
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
    assert_eq!(cluster.kubectl("auth can-i create pods"), "yes\n");
    assert!(cluster.kubectl("auth whoami").contains("system:masters"));
    assert_eq!(cluster.kubectl("delete namespace blue"), "namespace \"blue\" deleted\n");
}

#[test]
fn objects_are_labelled_annotated_compared_and_edited() {
    let home = Home::new();
    let cluster = home.up();
    let manifest = home
        .file("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: '1'}\n");
    cluster.kubectl(&format!("apply -f {manifest}"));
    assert_eq!(cluster.kubectl("label configmap m tier=web"), "configmap/m labeled\n");
    assert_eq!(cluster.kubectl("annotate configmap m note=hi"), "configmap/m annotated\n");
    assert!(cluster.kubectl("get configmap -l tier=web").contains('m'));
    home.file("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: '2'}\n");
    let difference = cluster.run(&format!("diff -f {manifest}"));
    assert_eq!(difference.code, 1, "{}", difference.all());
    assert!(difference.stdout.contains("+  a: \"2\""), "{}", difference.all());
    assert_eq!(cluster.kubectl(&format!("apply -f {manifest}")), "configmap/m configured\n");
    assert_eq!(
        cluster.kubectl("get configmap m -o jsonpath={.metadata.labels.tier}{.data.a}"),
        "web2"
    );
    let mut edit = cluster.command("edit configmap m");
    edit.env("KUBE_EDITOR", "sed -i s/\\\"2\\\"/\\\"3\\\"/");
    let edited = crate::support::run(edit);
    assert_eq!(edited.stdout, "configmap/m edited\n", "{}", edited.all());
    assert_eq!(cluster.kubectl("get configmap m -o jsonpath={.data.a}"), "3");
}

#[test]
fn the_api_describes_itself() {
    let home = Home::new();
    let cluster = home.up();
    let explained = cluster.kubectl("explain pod.spec.containers");
    assert!(
        explained.contains("KIND:       Pod") && explained.contains("image\t<string>"),
        "{explained}"
    );
    let resources = cluster.kubectl("api-resources");
    for word in ["pods", "po ", "configmaps", "cm ", "leases", "coordination.k8s.io/v1"] {
        assert!(resources.contains(word), "no {word} in {resources}");
    }
    assert!(cluster.kubectl("api-versions").contains("v1\n"));
    assert!(cluster.kubectl("version").contains("Server Version: v1.33"));
    assert!(cluster.kubectl("get nodes").contains("Ready"));
}

#[test]
fn a_pod_runs_to_its_end_in_the_foreground() {
    let home = Home::new();
    let cluster = home.up();
    let command = cluster.command("run once --image=busybox --restart=Never --rm -i -- cat");
    let answer = run_with_input(command, b"over and out\n");
    assert!(answer.stdout.contains("over and out"), "{}", answer.all());
    assert_eq!(answer.code, 0, "{}", answer.all());
    assert!(cluster.refused("get pod once").contains("not found"));
    assert!(cluster.kubectl("events").contains("Started"));
}
