//! Services as kubectl makes, shows and changes them; their endpoints as Pods come and go.

use crate::support::{Cluster, Home};

/// One line of `kubectl get`, its columns apart.
fn row(table: &str, name: &str) -> Vec<String> {
    let is_it = |line: &&str| line.split_whitespace().next() == Some(name);
    let line = table.lines().find(is_it).unwrap_or_else(|| panic!("no {name} in\n{table}"));
    line.split_whitespace().map(str::to_owned).collect()
}

/// What kubectl says, once it contains `text`. Bound: a kubectl takes some 50 ms, so this is some
/// seconds.
#[track_caller]
fn until(cluster: &Cluster<'_>, command: &str, text: &str) -> String {
    const ASKED_MAX: usize = 100;
    let mut last = String::new();
    for _ in 0..ASKED_MAX {
        last = cluster.run(command).all();
        if last.contains(text) {
            return last;
        }
    }
    panic!("kubectl {command} never said {text}:\n{last}")
}

#[track_caller]
fn refused(cluster: &Cluster<'_>, command: &str, text: &str) {
    let output = cluster.run(command);
    assert_eq!(output.code, 1, "{}", output.all());
    assert!(output.stderr.contains(text), "{command}: {}", output.all());
}

#[test]
fn every_cluster_has_its_own_services() {
    let home = Home::new();
    let cluster = home.up();
    let all = cluster.kubectl("get services -A");
    assert_eq!(
        row(&all, "default")[1..6],
        ["kubernetes", "ClusterIP", "10.43.0.1", "<none>", "443/TCP"]
    );
    assert_eq!(
        row(&all, "kube-system")[1..6],
        ["kube-dns", "ClusterIP", "10.43.0.10", "<none>", "53/UDP,53/TCP"]
    );
    assert!(cluster.kubectl("cluster-info").contains("CoreDNS is running at"));
    assert!(cluster.kubectl("describe service kubernetes").contains("10.42.0.1:6443"));
}

#[test]
fn each_type_is_made_and_shown() {
    let home = Home::new();
    let cluster = home.up();
    for command in [
        "create service clusterip a --tcp=80:8080",
        "create service nodeport b --tcp=80 --node-port=30100",
        "create service loadbalancer c --tcp=5678:8080",
        "create service externalname d --external-name=example.org",
        "create service clusterip e --clusterip=None",
    ] {
        cluster.kubectl(command);
    }
    let table = cluster.kubectl("get services");
    let a = row(&table, "a");
    assert_eq!((a[1].as_str(), a[3].as_str(), a[4].as_str()), ("ClusterIP", "<none>", "80/TCP"));
    assert!(a[2].starts_with("10.43."), "{table}");
    assert_eq!(row(&table, "b")[4], "80:30100/TCP");
    let c = row(&table, "c");
    assert_eq!(c[1], "LoadBalancer");
    assert!(c[4].starts_with("5678:3") && c[4].ends_with("/TCP"), "{table}");
    assert_eq!(row(&table, "d")[1..5], ["ExternalName", "<none>", "example.org", "<none>"]);
    assert_eq!(row(&table, "e")[1..5], ["ClusterIP", "None", "<none>", "<none>"]);
    assert!(cluster.kubectl("get all").contains("service/b"));
    let wide = cluster.kubectl("get svc a -o wide");
    assert_eq!(row(&wide, "a")[6], "app=a");
}

#[test]
fn mistakes_are_refused_as_upstream_words_it() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("create service nodeport b --tcp=80 --node-port=30100");
    refused(
        &cluster,
        "create service nodeport x --tcp=80 --node-port=30100",
        "spec.ports[0].nodePort: Invalid value: 30100: provided port is already allocated",
    );
    refused(
        &cluster,
        "create service nodeport x --tcp=80 --node-port=80",
        "provided port is not in the valid range. The range of valid ports is 30000-32767",
    );
    refused(
        &cluster,
        "create service clusterip x --tcp=80 --clusterip=10.43.0.10",
        "failed to allocate IP 10.43.0.10: provided IP is already allocated",
    );
    refused(
        &cluster,
        r#"patch service b -p {"spec":{"clusterIP":"10.43.0.99"}}"#,
        "may not change once set",
    );
    refused(
        &cluster,
        r#"patch service b -p {"spec":{"ports":[{"port":0,"name":"x"}]}}"#,
        "must be between 1 and 65535, inclusive",
    );
    refused(&cluster, "create service clusterip Web --tcp=80", "a DNS-1035 label must consist of");
    refused(&cluster, "create service clusterip y", "at least one tcp port specifier");
}

#[test]
fn a_change_of_type_keeps_the_address_and_lets_the_node_port_go() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("create service nodeport web --tcp=80");
    let show = "get service web -o jsonpath={.spec.clusterIP}/{.spec.ports[0].nodePort}";
    let before = cluster.kubectl(show);
    cluster.kubectl(r#"patch service web -p {"spec":{"type":"ClusterIP"}}"#);
    let (ip, port) = before.split_once('/').unwrap();
    assert_eq!(cluster.kubectl(show), format!("{ip}/"));
    cluster.kubectl(&format!("create service nodeport other --tcp=80 --node-port={port}"));
    // What is given out is known after a restart, too.
    drop(cluster);
    let cluster = home.up();
    refused(
        &cluster,
        &format!("create service nodeport third --tcp=80 --node-port={port}"),
        "provided port is already allocated",
    );
    assert_eq!(cluster.kubectl(show), format!("{ip}/"));
}

#[test]
fn endpoints_follow_pods_and_their_readiness() {
    let home = Home::new();
    let cluster = home.up();
    let pods = home.file(
        "pods.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: good, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: busybox, command: [sleep, "1000"], ports: [{name: http, containerPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bad, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  readinessGates: [{conditionType: example.org/never}]
  containers:
  - {name: c, image: busybox, command: [sleep, "1000"], ports: [{name: http, containerPort: 8080}]}
"#,
    );
    cluster.kubectl(&format!("apply -f {pods}"));
    cluster.kubectl("expose pod good --name=web --port=80 --target-port=http --selector=app=web");
    cluster.kubectl("wait --for=condition=Ready pod/good --timeout=30s");
    let ip = |name: &str| cluster.kubectl(&format!("get pod {name} -o jsonpath={{.status.podIP}}"));
    cluster.kubectl("wait --for=jsonpath={.status.podIP} pod/bad --timeout=30s");
    let (good, bad) = (ip("good"), ip("bad"));
    let ready = "jsonpath={.subsets[0].addresses[0].ip}";
    cluster.kubectl(&format!("wait --for={ready}={good} endpoints/web --timeout=30s"));
    let not_ready = "jsonpath={.subsets[0].notReadyAddresses[0].ip}";
    cluster.kubectl(&format!("wait --for={not_ready}={bad} endpoints/web --timeout=30s"));
    assert_eq!(row(&cluster.kubectl("get endpoints"), "web")[1], format!("{good}:8080"));
    let slices =
        cluster.kubectl("get endpointslices -l kubernetes.io/service-name=web --no-headers");
    let slice: Vec<&str> = slices.split_whitespace().collect();
    assert!(slice[0].starts_with("web-") && slice[1..3] == ["IPv4", "8080"], "{slices}");
    assert!(slice[3].contains(&good) && slice[3].contains(&bad), "{slices}");
    assert!(cluster.kubectl("describe service web").contains(&format!("{good}:8080")));
    cluster.kubectl("delete pod good");
    until(&cluster, "get endpoints web -o jsonpath=<{.subsets[0].addresses}>", "<>");
    let left = cluster.kubectl("get endpoints web --no-headers");
    assert!(!left.contains(&good), "{left}");
    cluster.kubectl("delete service web");
    cluster.kubectl("wait --for=delete endpoints/web --timeout=30s");
    cluster.kubectl(&format!("wait --for=delete endpointslice/{} --timeout=30s", slice[0]));
}

#[test]
fn hand_written_endpoints_lead_somewhere_else() {
    let home = Home::new();
    let cluster = home.up();
    let manifest = home.file(
        "db.yaml",
        r"
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {ports: [{port: 5432}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{port: 5432}]}]
",
    );
    cluster.kubectl(&format!("apply -f {manifest}"));
    until(&cluster, "get endpointslices -l kubernetes.io/service-name=db", "192.0.2.1");
    let bad = home.file(
        "bad.yaml",
        "apiVersion: v1\nkind: Endpoints\nmetadata: {name: bad}\nsubsets: [{addresses: [{ip: 127.0.0.1}]}]\n",
    );
    refused(&cluster, &format!("apply -f {bad}"), "may not be in the loopback range");
}

#[test]
fn networks_are_chosen_at_the_start() {
    let home = Home::new();
    let cluster = home.up_with(&["--pod-cidr=10.60.0.0/16", "--service-cidr=10.61.0.0/20"]);
    assert_eq!(row(&cluster.kubectl("get services"), "kubernetes")[2], "10.61.0.1");
    cluster.kubectl("create service clusterip a --tcp=80");
    assert!(row(&cluster.kubectl("get services"), "a")[2].starts_with("10.61."));
    assert!(cluster.kubectl("get endpointslice kubernetes").contains("10.60.0.1"));
    drop(cluster);
    let refusal = crate::support::run(home.sampan(&[
        "up",
        "--pod-cidr=10.61.1.0/24",
        "--service-cidr=10.61.0.0/16",
    ]));
    assert_eq!(refusal.code, 1, "{}", refusal.all());
    assert!(refusal.stderr.contains("they overlap"), "{}", refusal.all());
}
