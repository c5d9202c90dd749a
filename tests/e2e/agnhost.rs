//! Kubernetes' own test image, on the Pods' network.

use crate::support::{Cluster, Home};

const PODS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: server}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: agnhost, image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: [netexec]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: busybox, image: busybox, command: [sleep, '100000']}
---
apiVersion: v1
kind: Pod
metadata: {name: pause}
spec:
  containers:
  - {name: pause, image: 'registry.k8s.io/pause:3.10'}
";

const PRINTERS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: arguments}
spec:
  restartPolicy: Never
  containers:
  - {name: agnhost, image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: [entrypoint-tester, a, b c]}
---
apiVersion: v1
kind: Pod
metadata: {name: suffixes}
spec:
  restartPolicy: Never
  containers:
  - {name: agnhost, image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: [dns-suffix]}
---
apiVersion: v1
kind: Pod
metadata: {name: unknown}
spec:
  restartPolicy: Never
  containers:
  - {name: agnhost, image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: [webhook]}
";

/// A Pod's address.
fn ip(cluster: &Cluster<'_>, pod: &str) -> String {
    cluster.kubectl(&format!("get pod {pod} -o jsonpath={{.status.podIP}}"))
}

#[test]
fn netexec_answers_other_pods_and_itself() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", home.file("pods.yaml", PODS)));
    cluster.wait_for("condition=Ready", "pod/server");
    cluster.wait_for("condition=Ready", "pod/client");
    let (server, client) = (ip(&cluster, "server"), ip(&cluster, "client"));
    let get = |path: &str| {
        cluster.kubectl(&format!("exec client -- wget -qO- http://{server}:8080{path}"))
    };
    assert_eq!(get("/hostname"), "server");
    assert_eq!(get("/echo?msg=hello"), "hello");
    let seen = get("/clientip");
    assert_eq!(seen.split(':').next(), Some(client.as_str()), "{seen}");
    assert_eq!(get("/shell?cmd=cat%20/etc/hostname"), "{\"output\":\"server\\n\"}");
    // It asks itself, and goes on answering meanwhile.
    let dial = format!("/dial?host={server}&port=8080&request=hostname&tries=3");
    assert_eq!(get(&dial), "{\"responses\":[\"server\",\"server\",\"server\"]}");
    let dial = format!("/dial?host={server}&port=8081&protocol=udp&request=echo%20x");
    assert_eq!(get(&dial), "{\"responses\":[\"x\"]}");

    let connect = |port: &str| {
        let line = format!("exec server -- /agnhost connect --timeout=3s {server}:{port}");
        let answer = cluster.run(&line);
        (answer.code, answer.stderr.lines().next().unwrap_or_default().to_owned())
    };
    assert_eq!(connect("8080"), (0, String::new()));
    assert_eq!(connect("9"), (1, "REFUSED".to_owned()));

    let _ = cluster.run(&format!("exec client -- wget -qO- http://{server}:8080/exit?code=3"));
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pod/server");
    let code =
        "get pod server -o jsonpath={.status.containerStatuses[0].state.terminated.exitCode}";
    assert_eq!(cluster.kubectl(code), "3");
}

#[test]
fn pause_pauses_until_it_is_told() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", home.file("pods.yaml", PODS)));
    cluster.wait_for("condition=Ready", "pod/pause");
    assert_eq!(cluster.kubectl("logs pause"), "Paused\n");
    assert_eq!(cluster.kubectl("exec pause -- sh -c hostname"), "pause\n");
    let events = cluster.kubectl("events --for pod/pause");
    assert!(events.contains("sampan's built-in WebAssembly agnhost stands in for it"), "{events}");
    // It catches SIGTERM, so that the grace period is not waited for.
    cluster.kubectl("delete pod pause --timeout=10s");
}

#[test]
fn printers_print() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", home.file("printers.yaml", PRINTERS)));
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/arguments");
    assert_eq!(cluster.kubectl("logs arguments"), "[/agnhost entrypoint-tester a b c]\n");
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/suffixes");
    let suffixes = "default.svc.cluster.local,svc.cluster.local,cluster.local\n";
    assert_eq!(cluster.kubectl("logs suffixes"), suffixes);
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pod/unknown");
    let said = cluster.kubectl("logs unknown");
    assert!(said.starts_with("Error: unknown command \"webhook\" for \"app\""), "{said}");
}
