//! Components that serve wasi:http, as Pods: reached from beside them, and what goes wrong.

use crate::programs;
use crate::support::{Cluster, Home};

const PODS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: web, image: 'file://PROGRAM', ports: [{containerPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: twice}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  containers:
  - {name: one, image: 'file://PROGRAM'}
  - {name: two, image: 'file://PROGRAM'}
---
apiVersion: v1
kind: Pod
metadata: {name: odd, annotations: {sampan.dev/http-reuse: many}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: web, image: 'file://PROGRAM'}
";

fn with_pods(home: &Home) -> Cluster<'_> {
    let program = home.file("server.wasm", programs::component("server"));
    let cluster = home.up_with(&["--allow-images", home.path().to_str().unwrap()]);
    let pods = home.file("pods.yaml", PODS.replace("PROGRAM", &program));
    cluster.kubectl(&format!("apply -f {pods}"));
    cluster
}

#[test]
fn a_component_serves_and_its_traps_are_answers() {
    let home = Home::new();
    let cluster = with_pods(&home);
    cluster.wait_for("condition=Ready", "pod/web");
    let ip = cluster.kubectl("get pod web -o jsonpath={.status.podIP}");
    let page = cluster.kubectl(&format!("exec web -- wget -qO- http://{ip}:8080/hello"));
    assert_eq!(page, "hello\n");
    let trap = cluster.run("exec web -- wget -qO- http://127.0.0.1:8080/trap");
    assert!(trap.code != 0 && trap.stderr.contains("500"), "{}", trap.all());
    let page = cluster.kubectl(&format!(
        "exec web -- wget -qO- http://127.0.0.1:8080/get?http://{ip}:8080/print"
    ));
    assert_eq!(page, "printed\n");
    let log = cluster.kubectl("logs web");
    assert!(log.contains("/server.wasm: GET /trap: wasm trap: "), "{log}");
    assert!(log.contains("to stdout\n") && log.contains("to stderr\n"), "{log}");
    let restarts = "get pod web -o jsonpath={.status.containerStatuses[0].restartCount}";
    assert_eq!(cluster.kubectl(restarts), "0");
}

#[test]
fn what_cannot_be_served_says_why() {
    let home = Home::new();
    let cluster = with_pods(&home);
    cluster.wait_for(
        "jsonpath={.status.containerStatuses[*].state.terminated.exitCode}=1",
        "pod/twice",
    );
    let logs = ["one", "two"].map(|name| cluster.kubectl(&format!("logs twice -c {name}")));
    let text =
        "cannot listen on port 80: Address already in use: another server of this Pod has the port";
    assert_eq!(logs.iter().filter(|log| log.contains(text)).count(), 1, "{logs:?}");
    let reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    cluster.wait_for(&format!("{reason}=CreateContainerConfigError"), "pod/odd");
    let message = "get pod odd -o jsonpath={.status.containerStatuses[0].state.waiting.message}";
    let message = cluster.kubectl(message);
    assert!(message.contains("sampan.dev/http-reuse: \"many\": must be a number"), "{message}");
}
