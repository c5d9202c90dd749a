//! Probes: every kind by every handler, turning both ways, and what a user sees of it.

use crate::programs;
use crate::support::{Cluster, Home};

/// A Pod `web` whose one container has these probes; and a Service in front of it.
fn pod(fields: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, labels: {{app: web}}}}\nspec:\n  \
         terminationGracePeriodSeconds: 0\n  containers:\n  - name: web\n{}\
         ---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n  selector: {{app: web}}\n  \
         ports: [{{port: 80}}]\n",
        fields.lines().fold(String::new(), |all, line| all + "    " + line + "\n")
    )
}

fn apply(home: &Home, cluster: &Cluster<'_>, manifest: &str) {
    cluster.kubectl(&format!("apply -f {}", home.file("pods.yaml", manifest)));
}

fn status(cluster: &Cluster<'_>, field: &str) -> String {
    cluster.kubectl(&format!("get pod web -o jsonpath={{.status.{field}}}"))
}

fn restarts(cluster: &Cluster<'_>) -> String {
    status(cluster, "containerStatuses[0].restartCount")
}

/// Waits for an Event whose line has all these words.
#[track_caller]
fn event(cluster: &Cluster<'_>, reason: &str, text: &str) {
    let told = cluster.follow(&format!(
        "get events --watch --field-selector involvedObject.name=web,reason={reason} \
         -o jsonpath={{.message}}{{\"\\n\"}}"
    ));
    told.line_with(text);
}

/// What connections to the Service may be led to now: `true` while it is ready.
#[track_caller]
fn wait_for_endpoint(cluster: &Cluster<'_>, ready: bool) {
    let slice = cluster.kubectl("get endpointslice -l kubernetes.io/service-name=web -o name");
    let condition = format!("jsonpath={{.endpoints[0].conditions.ready}}={ready}");
    cluster.wait_for(&condition, slice.trim());
}

#[test]
fn readiness_fills_and_empties_a_service() {
    let home = Home::new();
    let cluster = home.up();
    let probes = "\
image: nginx
ports: [{name: http, containerPort: 80}]
readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1, failureThreshold: 2}";
    apply(&home, &cluster, &pod(probes));
    event(&cluster, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404");
    let row = cluster.kubectl("get pod web --no-headers");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..4], ["web", "0/1", "Running", "0"], "{row}");
    assert_eq!(status(&cluster, "containerStatuses[0].started"), "true");
    let unready = "conditions[?(@.type==\"ContainersReady\")].message";
    assert_eq!(status(&cluster, unready), "containers with unready status: [web]");
    wait_for_endpoint(&cluster, false);
    // Not by policy, either, is a Pod kept from its node.
    let closed = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed}\n\
                  spec: {podSelector: {}, policyTypes: [Ingress, Egress]}\n";
    cluster.kubectl(&format!("apply -f {}", home.file("closed.yaml", closed)));
    for _ in 0..2 {
        cluster.kubectl("exec web -- touch /usr/share/nginx/html/ready");
        cluster.wait_for("condition=Ready", "pod/web");
        wait_for_endpoint(&cluster, true);
        cluster.kubectl("exec web -- rm /usr/share/nginx/html/ready");
        cluster.wait_for("condition=Ready=false", "pod/web");
        wait_for_endpoint(&cluster, false);
    }
    assert_eq!(restarts(&cluster), "0");
    let describe = cluster.kubectl("describe pod web");
    let line = "http-get http://:http/ready delay=0s timeout=1s period=1s #success=1 #failure=2";
    assert!(describe.contains(line), "{describe}");
    assert!(describe.contains("Readiness probe failed: HTTP probe failed with"), "{describe}");
}

#[test]
fn liveness_restarts_a_container_as_the_documentation_shows() {
    let home = Home::new();
    let cluster = home.up();
    let probes = "\
image: registry.k8s.io/busybox
args: [/bin/sh, -c, 'touch /tmp/healthy; sleep 3; rm -f /tmp/healthy; sleep 600']
livenessProbe: {exec: {command: [cat, /tmp/healthy]}, periodSeconds: 1}";
    apply(&home, &cluster, &pod(probes));
    cluster.wait_for("condition=Ready", "pod/web");
    let text = "Liveness probe failed: cat: can't open '/tmp/healthy': No such file or directory";
    event(&cluster, "Unhealthy", text);
    event(&cluster, "Killing", "Container web failed liveness probe, will be restarted");
    cluster.wait_for("jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/web");
    cluster.wait_for("condition=Ready", "pod/web");
    let describe = cluster.kubectl("describe pod web");
    for words in ["Restart Count:", "(x", "Unhealthy", "exec [cat /tmp/healthy] delay=0s"] {
        assert!(describe.contains(words), "no {words} in {describe}");
    }
}

#[test]
fn a_server_that_hangs_in_a_loop_is_restarted() {
    let home = Home::new();
    let program = home.file("server.wasm", programs::component("server"));
    let cluster = home.up_with(&["--allow-images", home.path().to_str().unwrap()]);
    let probes = format!(
        "image: 'file://{program}'\nports: [{{containerPort: 8080}}]\n\
         livenessProbe: {{httpGet: {{path: /spin, port: 8080}}, periodSeconds: 1, failureThreshold: 2}}"
    );
    apply(&home, &cluster, &pod(&probes));
    event(&cluster, "Unhealthy", "(Client.Timeout exceeded while awaiting headers)");
    event(&cluster, "Killing", "Container web failed liveness probe, will be restarted");
    cluster.wait_for("jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/web");
    assert_eq!(status(&cluster, "containerStatuses[0].lastState.terminated.exitCode"), "143");
}

#[test]
fn startup_holds_the_others_back_and_begins_anew_with_the_container() {
    let home = Home::new();
    let cluster = home.up();
    let probes = "\
image: busybox
command: [sleep, '100000']
startupProbe: {exec: {command: [test, -e, /tmp/started]}, periodSeconds: 1, failureThreshold: 60}
livenessProbe: {exec: {command: [test, -e, /tmp/alive]}, periodSeconds: 1, failureThreshold: 1}
readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}";
    apply(&home, &cluster, &pod(probes));
    event(&cluster, "Unhealthy", "Startup probe failed: ");
    let started = "jsonpath={.status.containerStatuses[0].started}";
    cluster.kubectl("exec web -- touch /tmp/ready");
    assert_eq!(status(&cluster, "containerStatuses[0].started"), "false");
    assert_eq!((restarts(&cluster).as_str(), &*status(&cluster, "phase")), ("0", "Running"));
    cluster.kubectl("exec web -- touch /tmp/alive /tmp/started");
    cluster.wait_for(&format!("{started}=true"), "pod/web");
    cluster.wait_for("condition=Ready", "pod/web");
    cluster.kubectl("exec web -- rm /tmp/alive");
    event(&cluster, "Killing", "Container web failed liveness probe, will be restarted");
    cluster.wait_for("jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/web");
    cluster.wait_for(&format!("{started}=false"), "pod/web");
}

#[test]
fn who_does_not_start_in_time_is_restarted_if_it_may_be() {
    let home = Home::new();
    let cluster = home.up();
    let probes = "\
image: busybox
command: [sh, -c, \"trap '' TERM; while true; do sleep 0.1; done\"]
startupProbe: {tcpSocket: {port: 9000}, periodSeconds: 1, failureThreshold: 2, terminationGracePeriodSeconds: 1}";
    // The Pod's own grace period would keep it for most of an hour.
    let patient = ("terminationGracePeriodSeconds: 0", "terminationGracePeriodSeconds: 3000");
    apply(&home, &cluster, &pod(probes).replacen(patient.0, patient.1, 1));
    event(&cluster, "Unhealthy", "Startup probe failed: dial tcp 10.42.");
    event(&cluster, "Killing", "Container web failed startup probe, will be restarted");
    cluster.wait_for("jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/web");
    assert_eq!(status(&cluster, "containerStatuses[0].lastState.terminated.exitCode"), "137");
    cluster.kubectl("delete pod web --now");
    let never = pod(probes).replacen("spec:", "spec:\n  restartPolicy: Never", 1);
    apply(&home, &cluster, &never);
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pod/web");
    assert_eq!(restarts(&cluster), "0");
}

#[test]
fn a_port_and_a_grpc_service_turn_both_ways() {
    let home = Home::new();
    let program = home.file("server.wasm", programs::component("server"));
    let cluster = home.up_with(&["--allow-images", home.path().to_str().unwrap()]);
    let probes = format!(
        "image: 'file://{program}'\nports: [{{containerPort: 8080}}]\n\
         readinessProbe: {{grpc: {{port: 8080}}, periodSeconds: 1, failureThreshold: 1}}\n\
         livenessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}"
    );
    apply(&home, &cluster, &pod(&probes));
    cluster.wait_for("condition=Ready", "pod/web");
    cluster.kubectl("exec web -- touch /tmp/not-serving");
    cluster.wait_for("condition=Ready=false", "pod/web");
    let text = "Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")";
    event(&cluster, "Unhealthy", text);
    cluster.kubectl("exec web -- rm /tmp/not-serving");
    cluster.wait_for("condition=Ready", "pod/web");
    assert_eq!(restarts(&cluster), "0");
    cluster.kubectl("delete pod web");

    let probes = "\
image: busybox
command:
- sh
- -c
- |
  while true; do
    until test -e /tmp/open; do sleep 0.1; done
    nc -lk -p 9000 -e cat & server=$!
    while test -e /tmp/open; do sleep 0.1; done
    kill $server
  done
readinessProbe: {tcpSocket: {port: 9000}, periodSeconds: 1, failureThreshold: 1}
livenessProbe: {httpGet: {scheme: HTTPS, host: 10.43.0.1, port: 443, path: /readyz}, periodSeconds: 1, failureThreshold: 1}";
    // Whoever proves nothing but that it has its own key is asked by https: the API server, say.
    apply(&home, &cluster, &pod(probes));
    event(&cluster, "Unhealthy", ":9000: connect: connection refused");
    for _ in 0..2 {
        cluster.kubectl("exec web -- touch /tmp/open");
        cluster.wait_for("condition=Ready", "pod/web");
        cluster.kubectl("exec web -- rm /tmp/open");
        cluster.wait_for("condition=Ready=false", "pod/web");
    }
    assert_eq!(restarts(&cluster), "0");
}

#[test]
fn agnhost_says_by_grpc_how_it_is() {
    let home = Home::new();
    let cluster = home.up();
    let probes = "\
image: registry.k8s.io/e2e-test-images/agnhost:2.53
args: [grpc-health-checking, --service, payments]
readinessProbe: {grpc: {port: 5000, service: payments}, periodSeconds: 1, failureThreshold: 1}
livenessProbe: {grpc: {port: 5000, service: orders}, periodSeconds: 1, failureThreshold: 1000}";
    apply(&home, &cluster, &pod(probes));
    cluster.wait_for("condition=Ready", "pod/web");
    let text = "Liveness probe failed: error: health rpc probe failed: rpc error: code = NotFound desc = \
                unknown service";
    event(&cluster, "Unhealthy", text);
    for (path, condition) in
        [("make-not-serving", "condition=Ready=false"), ("make-serving", "condition=Ready")]
    {
        cluster.kubectl(&format!("exec web -- wget -qO- http://127.0.0.1:8080/{path}"));
        cluster.wait_for(condition, "pod/web");
    }
}

#[test]
fn a_sidecar_that_has_not_started_holds_the_next_back() {
    let home = Home::new();
    let cluster = home.up();
    let manifest = "\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
  - name: proxy
    image: busybox
    restartPolicy: Always
    command: [sleep, '100000']
    startupProbe: {exec: {command: [test, -e, /tmp/up]}, periodSeconds: 1, failureThreshold: 60}
  containers:
  - {name: web, image: busybox, command: [sleep, '100000']}
";
    apply(&home, &cluster, manifest);
    event(&cluster, "Unhealthy", "Startup probe failed");
    let row = cluster.kubectl("get pod web --no-headers");
    assert!(row.contains("Init:0/1"), "{row}");
    assert_eq!(status(&cluster, "initContainerStatuses[0].started"), "false");
    cluster.kubectl("exec web -c proxy -- touch /tmp/up");
    cluster.wait_for("condition=Ready", "pod/web");
    assert!(cluster.kubectl("get pod web --no-headers").contains("2/2"));
}

#[test]
fn what_cannot_be_asked_is_told_and_harms_nobody() {
    let home = Home::new();
    let cluster = home.up();
    let probes = "\
image: busybox
command: [sleep, '100000']
livenessProbe: {httpGet: {port: web}, periodSeconds: 1, failureThreshold: 1}
readinessProbe: {exec: {command: [nosuch]}, periodSeconds: 1}";
    apply(&home, &cluster, &pod(probes));
    let text = "Liveness probe errored and resulted in unknown state: port \"web\" is none of container \
                web's ports";
    event(&cluster, "Unhealthy", text);
    event(
        &cluster,
        "Unhealthy",
        "Readiness probe errored and resulted in unknown state: failed to exec",
    );
    assert_eq!(restarts(&cluster), "0");

    let wrong = pod("image: busybox\n\
         livenessProbe: {httpGet: {port: 80}, exec: {command: [a]}, successThreshold: 2}\n\
         readinessProbe: {tcpSocket: {port: 0}, terminationGracePeriodSeconds: 5}\n\
         startupProbe: {grpc: {port: 70000}, periodSeconds: -1}");
    let said = cluster.refused(&format!(
        "apply -f {}",
        home.file("wrong.yaml", wrong.replace("web}", "bad}").replace("name: web,", "name: bad,"))
    ));
    for text in [
        "livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type",
        "livenessProbe.successThreshold: Invalid value: 2: must be 1",
        "readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        "readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes",
        "startupProbe.grpc.port: Invalid value: 70000: must be between 1 and 65535, inclusive",
        "startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
    ] {
        assert!(said.contains(text), "no {text} in {said}");
    }
}

#[test]
fn a_deployment_rolls_no_further_than_its_pods_get_ready() {
    let home = Home::new();
    let cluster = home.up();
    let manifest = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: busybox
        command: [sh, -c, 'touch /tmp/ready; sleep 100000']
        readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 1}
";
    apply(&home, &cluster, manifest);
    cluster.kubectl("rollout status deployment web --timeout=30s");
    let broken = manifest.replace("touch /tmp/ready; ", "");
    apply(&home, &cluster, &broken);
    let stuck = cluster.run("rollout status deployment web --timeout=4s");
    assert!(stuck.code != 0 && stuck.stdout.contains("1 out of 2 new replicas"), "{}", stuck.all());
    cluster.wait_for("jsonpath={.status.readyReplicas}=2", "deployment/web");
    cluster.kubectl("rollout undo deployment web");
    cluster.kubectl("rollout status deployment web --timeout=30s");
}
