//! Services as kubectl makes, shows and changes them; their endpoints as Pods come and go.

use crate::support::{Cluster, Home};

/// One line of `kubectl get`, its columns apart.
fn row(table: &str, name: &str) -> Vec<String> {
    let is_it = |line: &&str| line.split_whitespace().next() == Some(name);
    let line = table.lines().find(is_it).unwrap_or_else(|| panic!("no {name} in\n{table}"));
    line.split_whitespace().map(str::to_owned).collect()
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

/// What `describe` says of a field.
#[track_caller]
fn field<'a>(told: &'a str, name: &str) -> &'a str {
    let value = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {name} in\n{told}")).trim()
}

#[test]
fn expose_takes_what_it_is_not_told_from_the_object() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("run web --image=busybox --port=8080 --labels=app=web -- sleep 100000");
    cluster
        .kubectl("create deployment many --image=busybox --replicas=2 --port=7000 -- sleep 100000");
    cluster.wait_for("condition=Ready", "pod/web");
    let ip = cluster.kubectl("get pod web -o jsonpath={.status.podIP}");
    for (what, told) in [
        ("pod web", "service/web exposed\n"),
        (
            "pod web --name=odd --port=53 --target-port=5353 --protocol=UDP --type=NodePort \
             --session-affinity=ClientIP --labels=x=y --external-ip=192.0.2.9",
            "service/odd exposed\n",
        ),
        ("service odd --name=again --port=54", "service/again exposed\n"),
        ("deployment many --type=LoadBalancer", "service/many exposed\n"),
        ("deployment many --name=bare --cluster-ip=None", "service/bare exposed\n"),
    ] {
        assert_eq!(cluster.kubectl(&format!("expose {what}")), told);
    }
    let table = cluster.kubectl("get services -o wide");
    assert_eq!(row(&table, "web")[4..], ["8080/TCP", &row(&table, "web")[5], "app=web"]);
    let odd = row(&table, "odd");
    assert!(odd[3] == "192.0.2.9" && odd[4].starts_with("53:3") && odd[4].ends_with("/UDP"));
    // A port that the other Service does not have is TCP's, says kubectl.
    assert_eq!(row(&table, "again")[4], "54/TCP");
    assert!(row(&table, "many")[4].starts_with("7000:3"), "{table}");
    assert_eq!(row(&table, "bare")[2], "None");

    cluster.until("get endpoints odd", |text| text.contains(&format!("{ip}:5353")));
    let told = cluster.kubectl("describe service odd");
    let ports = row(&table, "odd")[4].clone();
    let node_port = ports.trim_start_matches("53:");
    for (name, value) in [
        ("Labels", "x=y"),
        ("Selector", "app=web"),
        ("Type", "NodePort"),
        ("IP Family Policy", "SingleStack"),
        ("IP Families", "IPv4"),
        ("IP", odd[2].as_str()),
        ("External IPs", "192.0.2.9"),
        ("Port", "<unset>  53/UDP"),
        ("TargetPort", "5353/UDP"),
        ("NodePort", format!("<unset>  {node_port}").as_str()),
        ("Endpoints", format!("{ip}:5353").as_str()),
        ("Session Affinity", "ClientIP"),
        ("External Traffic Policy", "Cluster"),
        ("Internal Traffic Policy", "Cluster"),
        ("Events", "<none>"),
    ] {
        assert_eq!(field(&told, name), value, "{told}");
    }
    cluster.until("get service many", |text| text.contains("127.0.0.1"));
    let told = cluster.kubectl("describe service many");
    assert_eq!(field(&told, "LoadBalancer Ingress"), "127.0.0.1 (VIP)");
    assert!(
        told.contains("EnsuredLoadBalancer") && told.contains("Ensured load balancer"),
        "{told}"
    );

    // A Service can be led elsewhere.
    assert_eq!(
        cluster.kubectl("set selector service bare app=web"),
        "service/bare selector updated\n"
    );
    cluster.until("get endpoints bare", |text| text.contains(&format!("{ip}:7000")));
    cluster.until(
        "get endpointslices -l kubernetes.io/service-name=bare -o wide --no-headers",
        |text| text.contains(&format!("IPv4   7000   {ip}")),
    );

    refused(&cluster, "expose pod web", "services \"web\" already exists");
    refused(&cluster, "expose deployment none --port=1", "deployments.apps \"none\" not found");
    refused(&cluster, "expose node sampan --port=1", "cannot expose a Node");
    cluster.kubectl("run mute --image=busybox -- sleep 100000");
    refused(&cluster, "expose pod mute", "couldn't find port via --port flag or introspection");
    let missing = "expose pod web --name=x --port=70000";
    refused(&cluster, missing, "must be between 1 and 65535, inclusive");
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
    cluster.until("get endpoints web -o jsonpath=<{.subsets[0].addresses}>", |text| {
        text.contains("<>")
    });
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
    cluster.until("get endpointslices -l kubernetes.io/service-name=db", |text| {
        text.contains("192.0.2.1")
    });
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
