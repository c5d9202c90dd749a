//! ResourceQuotas: what a namespace may use, and what kubectl says of it.

use crate::support::Home;

fn pod(name: &str, requests: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: c, image: busybox, command: [sleep, '100000'], resources: {{requests: {{{requests}}}}}}}
"
    )
}

#[test]
fn a_namespace_gets_what_its_quota_allows() {
    let home = Home::new();
    let cluster = home.up();
    let hard = "pods=2,requests.cpu=500m,services.nodeports=1,count/deployments.apps=1";
    let made = cluster.kubectl(&format!("create quota q --hard={hard}"));
    assert_eq!(made, "resourcequota/q created\n");
    let first = home.file("first.yaml", pod("first", "cpu: 300m"));
    cluster.kubectl(&format!("apply -f {first}"));
    let row = cluster.until("get quota q --no-headers", |row| row.contains("pods: 1/2"));
    assert!(row.contains("requests.cpu: 300m/500m"), "{row}");

    let second = home.file("second.yaml", pod("second", "cpu: 201m"));
    let refused = cluster.refused(&format!("apply -f {second}"));
    let why = "pods \"second\" is forbidden: exceeded quota: q, requested: requests.cpu=201m, used: \
               requests.cpu=300m, limited: requests.cpu=500m";
    assert!(refused.contains(why), "{refused}");
    let refused = cluster.refused("run silent --image=busybox");
    let why = "failed quota: q: must specify requests.cpu for: silent";
    assert!(refused.contains(why), "{refused}");

    cluster.kubectl("create deployment web --image=nginx");
    let refused = cluster.refused("create deployment more --image=nginx");
    let why = "exceeded quota: q, requested: count/deployments.apps=1, used: \
               count/deployments.apps=1, limited: count/deployments.apps=1";
    assert!(refused.contains(why), "{refused}");
    cluster.until("get events", |events| events.contains("failed quota: q: must specify"));
    cluster.kubectl("create service nodeport one --tcp=80");
    let refused = cluster.refused("create service nodeport two --tcp=80");
    assert!(refused.contains("exceeded quota: q, requested: services.nodeports=1"), "{refused}");

    let told = cluster.until("describe quota q", |told| told.contains("services.nodeports"));
    let of_cpu = told.lines().find(|line| line.starts_with("requests.cpu")).unwrap();
    let words: Vec<&str> = of_cpu.split_whitespace().collect();
    assert_eq!(words, ["requests.cpu", "300m", "500m"], "{told}");
    cluster.kubectl("delete pod first");
    cluster.until("get quota q --no-headers", |row| row.contains("pods: 0/2"));
    let refused = cluster.refused("create quota bad --hard=pods=-1");
    assert!(refused.contains("must be greater than or equal to 0"), "{refused}");
}
