//! Names across namespaces, and those of Pods behind a headless Service.

use crate::support::{Cluster, Home};

/// Two peers with names of their own, one of which is never ready, and somebody in another namespace.
const PODS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: data}
---
apiVersion: v1
kind: Service
metadata: {name: peers, namespace: data}
spec:
  clusterIP: None
  selector: {app: peer}
  ports: [{name: talk, port: 7000}]
---
apiVersion: v1
kind: Service
metadata: {name: all-peers, namespace: data}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {app: peer}
  ports: [{name: talk, port: 7000}]
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: data}
spec:
  selector: {app: peer}
  ports: [{name: talk, port: 80, targetPort: 7000}, {name: ask, port: 80, targetPort: 7000, protocol: UDP}]
---
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: data, labels: {app: peer}}
spec:
  hostname: one
  subdomain: peers
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: busybox, command: [nc, -lk, -p, "7000", -e, hostname]}]
---
apiVersion: v1
kind: Pod
metadata: {name: two, namespace: data, labels: {app: peer}}
spec:
  hostname: two
  subdomain: peers
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: busybox, command: [nc, -lk, -p, "7000", -e, hostname]}]
---
apiVersion: v1
kind: Pod
metadata: {name: late, namespace: data, labels: {app: peer}}
spec:
  terminationGracePeriodSeconds: 0
  readinessGates: [{conditionType: example.org/never}]
  containers: [{name: main, image: busybox, command: [sleep, "100000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: busybox, command: [sleep, "100000"]}]
"#;

/// How often somebody asks for what is about to be there.
const TRIES_MAX: usize = 100;

/// What `nslookup` finds once it finds `text`.
#[track_caller]
fn lookup(cluster: &Cluster<'_>, what: &str, text: &str) -> String {
    let mut last = String::new();
    let is_found = (0..TRIES_MAX).any(|_| {
        last = cluster.run(&format!("exec client -- nslookup {what}")).all();
        last.contains(text)
    });
    assert!(is_found, "{what} has no {text}: {last}");
    last
}

#[test]
fn peers_find_each_other_by_names_and_others_find_them() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", home.file("peers.yaml", PODS)));
    cluster.wait_for("condition=Ready", "pod/client");
    for pod in ["one", "two"] {
        cluster.wait_for("condition=Ready", &format!("-n data pod/{pod}"));
    }
    cluster.wait_for("jsonpath={.status.podIP}", "-n data pod/late");
    let ip = |pod: &str| {
        cluster.kubectl(&format!("get pod -n data {pod} -o jsonpath={{.status.podIP}}"))
    };
    let (one, two, late) = (ip("one"), ip("two"), ip("late"));

    // A headless Service stands for its Pods that are ready, or for all if it says so.
    let domain = "data.svc.cluster.local";
    lookup(&cluster, &format!("-type=a peers.{domain}"), &one);
    let found = lookup(&cluster, &format!("-type=a peers.{domain}"), &two);
    assert!(found.contains(&one) && !found.contains(&late), "{found}");
    let found = lookup(&cluster, &format!("-type=a all-peers.{domain}"), &late);
    assert!(found.contains(&one) && found.contains(&two), "{found}");

    // Each of its Pods has a name of its own, by which it is asked for, looked up and reached.
    lookup(&cluster, &format!("-type=a one.peers.{domain}"), &format!("Address: {one}\n"));
    lookup(&cluster, &two, &format!("name = two.peers.{domain}"));
    // All are worth the same; together a hundred, as CoreDNS counts.
    let said = lookup(&cluster, &format!("-type=srv _talk._tcp.peers.{domain}"), "two.peers");
    for name in ["one", "two"] {
        assert!(said.contains(&format!("service = 0 50 7000 {name}.peers.{domain}\n")), "{said}");
        let heard = cluster.kubectl(&format!("exec client -- nc -w 20 {name}.peers.data 7000"));
        assert_eq!(heard.trim(), name);
        let heard = cluster.kubectl(&format!("exec -n data one -- nc -w 20 {name}.peers 7000"));
        assert_eq!(heard.trim(), name);
    }
    let heard = cluster.kubectl("exec client -- nc -w 20 peers.data 7000");
    assert!(["one", "two"].contains(&heard.trim()), "{heard}");

    // Other Services have one address, and a port for each name and protocol.
    let address = cluster.kubectl("get service -n data front -o jsonpath={.spec.clusterIP}");
    lookup(&cluster, &format!("-type=a front.{domain}"), &address);
    for service in ["_talk._tcp", "_ask._udp"] {
        let said = lookup(&cluster, &format!("-type=srv {service}.front.{domain}"), "service = ");
        assert!(said.contains(&format!("service = 0 100 80 front.{domain}\n")), "{said}");
    }
    let heard = cluster.kubectl("exec client -- nc -w 20 front.data.svc 80");
    assert!(["one", "two"].contains(&heard.trim()), "{heard}");

    // The short name is the namespace's own.
    assert_eq!(cluster.kubectl("exec -n data one -- nslookup front").matches(&address).count(), 1);
    for missing in ["front", "front.other", "three.peers.data", "_talk._udp.peers.data"] {
        let said = cluster.run(&format!("exec client -- nslookup {missing}"));
        assert!(said.code == 1 && said.all().contains("NXDOMAIN"), "{missing}: {}", said.all());
    }
}
