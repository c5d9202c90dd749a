//! `kubectl top`: what nodes, Pods and containers use.

use serde_json::json;

use crate::support::{Cluster, Home};

/// Asks until there is an answer: what has just started is not known yet.
#[track_caller]
fn top(cluster: &Cluster<'_>, line: &str, about: &str) -> String {
    for _ in 0..100 {
        let answer = cluster.run(line);
        if answer.code == 0 && answer.stdout.contains(about) {
            return answer.stdout;
        }
        // Each asks the server twice, which takes a while.
    }
    panic!("{line}: {}", cluster.run(line).all());
}

/// `12m` of a column.
#[track_caller]
fn amount(table: &str, row: &str, column: usize, unit: &str) -> u64 {
    let line = table.lines().find(|line| line.contains(row)).unwrap_or_else(|| panic!("{table}"));
    let cell = line.split_whitespace().nth(column).unwrap();
    cell.strip_suffix(unit).unwrap_or_else(|| panic!("{line}")).parse().unwrap()
}

fn with_pods(home: &Home) -> Cluster<'_> {
    let cluster = home.up();
    let pod = |name: &str, containers: serde_json::Value| {
        let metadata = json!({"name": name, "labels": {"app": name}});
        let spec = json!({"terminationGracePeriodSeconds": 1, "containers": containers});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
        pod.to_string()
    };
    let sleeps =
        |name: &str| json!({"name": name, "image": "busybox", "command": ["sleep", "1000"]});
    let spins = json!({"name": "spins", "image": "busybox",
        "command": ["sh", "-c", "while :; do :; done"],
        "resources": {"limits": {"cpu": "200m"}}});
    let pods =
        [pod("busy", json!([spins, sleeps("sleeps")])), pod("idle", json!([sleeps("idle")]))];
    let pods = home.file("pods.yaml", pods.join("\n---\n"));
    cluster.kubectl(&format!("apply -f {pods}"));
    cluster.wait_for("condition=Ready", "pod/busy");
    cluster.wait_for("condition=Ready", "pod/idle");
    cluster
}

#[test]
fn top_shows_who_computes() {
    let home = Home::new();
    let cluster = with_pods(&home);
    top(&cluster, "top pod --no-headers", "idle");
    let pods = top(&cluster, "top pod --sort-by=cpu --no-headers", "busy");
    assert!(pods.starts_with("busy"), "{pods}");
    let (busy, idle) = (amount(&pods, "busy", 1, "m"), amount(&pods, "idle", 1, "m"));
    // Of its 200m it gets what a loaded machine has to give.
    assert!(busy > 20 && busy <= 230, "{pods}");
    assert!(idle < busy / 2, "{pods}");
    assert!(amount(&pods, "idle", 2, "Mi") >= 1, "{pods}");
    let containers = top(&cluster, "top pod busy --containers --no-headers", "sleeps");
    assert!(amount(&containers, "spins", 2, "m") > amount(&containers, "sleeps", 2, "m"));
    let chosen = top(&cluster, "top pod -l app=busy -A --no-headers", "busy");
    assert!(!chosen.contains("idle"), "{chosen}");
    let node = top(&cluster, "top node --no-headers", "sampan");
    assert!(amount(&node, "sampan", 1, "m") >= busy / 2, "{node}");
    assert!(amount(&node, "sampan", 3, "Mi") >= 8, "{node}");
    let table = cluster.kubectl("get pods.metrics.k8s.io");
    assert!(
        table.starts_with("NAME") && table.contains("CPU") && table.contains("WINDOW"),
        "{table}"
    );
}

#[test]
fn what_is_not_known_is_told_in_upstreams_words() {
    let home = Home::new();
    let cluster = home.up();
    let refusal = cluster.refused("top pod nobody");
    assert_eq!(refusal, "Error from server (NotFound): pods \"nobody\" not found\n");
    cluster.kubectl("run ended --image=busybox --restart=Never -- true");
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/ended");
    let refusal = cluster.refused("get pods.metrics.k8s.io ended");
    let expect = "podmetrics.metrics.k8s.io \"default/ended\" not found";
    assert_eq!(refusal, format!("Error from server (NotFound): {expect}\n"));
    let refusal = cluster.refused("delete pods.metrics.k8s.io ended");
    assert!(refusal.contains("MethodNotAllowed"), "{refusal}");
    let resources =
        cluster.kubectl("api-resources --api-group=metrics.k8s.io -o wide --no-headers");
    assert!(resources.contains("NodeMetrics") && resources.contains("get,list"), "{resources}");
    // The plain names stay the core group's.
    assert!(cluster.kubectl("explain pods").contains("VERSION:    v1\n"));
}
