//! Who gets a place: priorities, affinity, spread, taints.

use crate::support::Home;

/// A Pod that asks for so much CPU; `more` goes into its spec.
fn pod(name: &str, cpu: &str, more: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 0
{more}
  containers:
  - name: c
    image: busybox
    command: [sleep, '100000']
    resources: {{requests: {{cpu: {cpu}}}}}
"
    )
}

const CLASSES: &str = "
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: meek}
value: 900
preemptionPolicy: Never
";

#[test]
fn the_more_important_send_others_away() {
    let home = Home::new();
    let cluster = home.up_with(&["--capacity", "cpu=2"]);
    let classes = home.file("classes.yaml", CLASSES);
    cluster.kubectl(&format!("apply -f {classes}"));
    let table = cluster.kubectl("get pc");
    for words in ["PREEMPTIONPOLICY", "2000001000", "system-cluster-critical", "Never"] {
        assert!(table.contains(words), "no {words} in {table}");
    }
    let low = home.file("low.yaml", pod("low", "1500m", "") + &pod("small", "200m", ""));
    cluster.kubectl(&format!("apply -f {low}"));
    cluster.wait_for("condition=Ready", "pod/low");
    cluster.wait_for("condition=Ready", "pod/small");

    let meek = home.file("meek.yaml", pod("meek", "1", "  priorityClassName: meek"));
    cluster.kubectl(&format!("apply -f {meek}"));
    let told = cluster.until("describe pod meek", |told| told.contains("FailedScheduling"));
    let why = "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to \
               preemptionPolicy=Never.";
    assert!(told.contains(why), "{told}");
    cluster.kubectl("delete pod meek");

    let high = home.file("high.yaml", pod("high", "1", "  priorityClassName: high"));
    cluster.kubectl(&format!("apply -f {high}"));
    cluster.wait_for("condition=Ready", "pod/high");
    // The one that did not have to go is still there.
    assert_eq!(cluster.kubectl("get pods -o name"), "pod/high\npod/small\n");
    let events = cluster.until("get events", |events| events.contains("Preempted"));
    assert!(events.contains("on node sampan"), "{events}");

    let refused = cluster.refused("create priorityclass system-mine --value=1");
    assert!(refused.contains("reserved for system use only"), "{refused}");
    let odd = home.file("odd.yaml", pod("odd", "1m", "  priorityClassName: none"));
    let refused = cluster.refused(&format!("apply -f {odd}"));
    assert!(refused.contains("no PriorityClass with name none was found"), "{refused}");
}

#[test]
fn terms_and_taints_are_kept() {
    let home = Home::new();
    let cluster = home.up();
    let far = "  affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
    {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: a}}}]}}";
    let tolerant = "  tolerations: [{key: fire, operator: Exists}]";
    let both = pod("a", "1m", tolerant) + &pod("b", "1m", far);
    let both = home.file("both.yaml", both);
    cluster.kubectl(&format!("apply -f {both}"));
    cluster.wait_for("condition=Ready", "pod/a");
    let why = "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules. preemption: \
               0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    cluster.until("describe pod b", |told| told.contains(why));
    cluster.kubectl("label pod a app=c --overwrite");
    cluster.wait_for("condition=Ready", "pod/b");

    assert_eq!(cluster.kubectl("taint nodes sampan fire=now:NoExecute"), "node/sampan tainted\n");
    cluster.until("get pods -o name", |names| names == "pod/a\n");
    let events = cluster.until("get events", |events| events.contains("TaintManagerEviction"));
    assert!(events.contains("Marking for deletion Pod default/b"), "{events}");
    let late = home.file("late.yaml", pod("late", "1m", ""));
    cluster.kubectl(&format!("apply -f {late}"));
    let why = "1 node(s) had untolerated taint {fire: now}";
    cluster.until("describe pod late", |told| told.contains(why));
    cluster.kubectl("taint nodes sampan fire-");
    cluster.wait_for("condition=Ready", "pod/late");
    cluster.kubectl("cordon sampan");
    let taints = "get node sampan -o jsonpath={.spec.taints[*].key}";
    cluster.until(taints, |keys| keys == "node.kubernetes.io/unschedulable");
}
