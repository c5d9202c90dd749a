//! StatefulSets, DaemonSets, ReplicationControllers, budgets and drains, as users work with them.

use crate::support::{Cluster, Home};

const STATEFUL_SET: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  clusterIP: None
  selector: {app: web}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: busybox:1.36
        command: [sleep, '100000']
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"#;

const OTHERS: &str = r#"
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: busybox:1.36, command: [sleep, '100000']}]
---
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: old}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: busybox:1.36, command: [sleep, '100000']}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: keep}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: old}}
"#;

/// The words of a row of `kubectl get`.
fn row(cluster: &Cluster<'_>, what: &str) -> Vec<String> {
    let row = cluster.kubectl(&format!("get {what} --no-headers"));
    words(&row).into_iter().map(str::to_owned).collect()
}

fn words(row: &str) -> Vec<&str> {
    row.split_whitespace().collect()
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
}

#[test]
fn a_stateful_set_keeps_names_and_data() {
    let home = Home::new();
    let cluster = home.up();
    let wrong = STATEFUL_SET.replace("name: data, mountPath", "name: date, mountPath");
    let refused = cluster.refused(&format!("apply -f {}", home.file("wrong.yaml", wrong)));
    has(&refused, &["spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"date\""]);
    let file = home.file("set.yaml", STATEFUL_SET);
    has(&cluster.kubectl(&format!("apply -f {file}")), &["statefulset.apps/web created\n"]);
    let status = cluster.kubectl("rollout status statefulset/web --timeout=50s");
    has(&status, &["partitioned roll out complete: 2 new pods have been updated...\n"]);
    assert_eq!(row(&cluster, "sts web")[..2], ["web", "2/2"]);
    let names = "get pods -l app=web -o name";
    assert_eq!(cluster.kubectl(names), "pod/web-0\npod/web-1\n");
    has(&cluster.kubectl("get pvc"), &["data-web-0   Bound", "data-web-1   Bound"]);
    let write = "hostname; cp /etc/hostname /data/mine";
    assert_eq!(cluster.run_words(&["exec", "web-1", "--", "sh", "-c", write]).stdout, "web-1\n");
    let ask = "nslookup web-0.db.default.svc.cluster.local";
    let found = (0..100).any(|_| {
        let answer = cluster.run(&format!("exec web-1 -- {ask}")).all();
        answer.contains("Name:\tweb-0.db.default.svc.cluster.local")
    });
    assert!(found, "web-0 has no name");

    cluster.kubectl("annotate statefulset/web kubernetes.io/change-cause=second");
    cluster.kubectl("set image statefulset/web c=busybox:1.37");
    cluster.kubectl("rollout status statefulset/web --timeout=50s");
    assert_eq!(cluster.kubectl("exec web-1 -- cat /data/mine"), "web-1\n");
    let history = cluster.kubectl("rollout history statefulset/web");
    has(&history, &["1         <none>", "2         second"]);
    let of_one = cluster.kubectl("rollout history statefulset/web --revision=1");
    has(&of_one, &["busybox:1.36"]);
    let undone = cluster.kubectl("rollout undo statefulset/web");
    assert_eq!(undone, "statefulset.apps/web rolled back\n");
    cluster.kubectl("rollout status statefulset/web --timeout=50s");
    let images = "get pods -l app=web -o jsonpath={.items[*].spec.containers[0].image}";
    assert_eq!(cluster.kubectl(images), "busybox:1.36 busybox:1.36");
    let uids = "get pods -l app=web -o jsonpath={.items[*].metadata.uid}";
    let before = cluster.kubectl(uids);
    cluster.kubectl("rollout restart statefulset/web");
    cluster.kubectl("rollout status statefulset/web --timeout=50s");
    assert_ne!(cluster.kubectl(uids), before);

    cluster.kubectl("scale statefulset/web --replicas=1");
    cluster.until(names, |names| names == "pod/web-0\n");
    has(&cluster.kubectl("get pvc data-web-1"), &["Bound"]);
    let told = cluster.kubectl("describe statefulset web");
    has(
        &told,
        &[
            "Pods Status:        1 Running / 0 Waiting / 0 Succeeded / 0 Failed",
            "create Claim data-web-0 Pod web-0 in StatefulSet web success",
            "delete Pod web-1 in StatefulSet web successful",
            "statefulset-controller",
        ],
    );
    cluster.kubectl("delete statefulset web");
    cluster.until(names, str::is_empty);
}

#[test]
fn a_node_is_drained_as_budgets_allow() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", home.file("others.yaml", OTHERS)));
    cluster.kubectl("rollout status daemonset/agent --timeout=50s");
    assert_eq!(row(&cluster, "ds agent")[..7], ["agent", "1", "1", "1", "1", "1", "<none>"]);
    let full = |row: &str| words(row)[1..4] == ["2", "2", "2"];
    cluster.until("get rc old --no-headers", full);
    cluster.until("get pdb keep --no-headers", |row| words(row)[1..4] == ["1", "N/A", "1"]);
    has(
        &cluster.kubectl("describe pdb keep"),
        &["Allowed disruptions:  1", "Current:              2"],
    );

    let unmanaged = cluster.refused("drain sampan --timeout=5s");
    has(&unmanaged, &["cannot delete DaemonSet-managed Pods", "default/agent-"]);
    let drain = "drain sampan --ignore-daemonsets --timeout=1s";
    let stopped = cluster.refused(drain);
    has(&stopped, &["Cannot evict pod as it would violate the pod's disruption budget."]);
    has(&cluster.kubectl("get nodes"), &["Ready,SchedulingDisabled"]);
    let waiting = "get pods -l app=old --field-selector=status.phase=Pending -o name";
    cluster.until(waiting, |names| names.lines().count() == 1);
    cluster.kubectl("delete pdb keep");
    let drained = cluster.kubectl("drain sampan --ignore-daemonsets --timeout=30s");
    has(&drained, &["node/sampan drained"]);
    cluster.until(waiting, |names| names.lines().count() == 2);
    // Who belongs to the node stays.
    assert_eq!(row(&cluster, "ds agent")[3], "1");
    assert_eq!(cluster.kubectl("uncordon sampan"), "node/sampan uncordoned\n");
    cluster.until("get rc old --no-headers", full);

    cluster.kubectl("set image daemonset/agent c=busybox:1.37");
    cluster.kubectl("rollout status daemonset/agent --timeout=50s");
    let image = "get pods -l app=agent -o jsonpath={.items[*].spec.containers[0].image}";
    assert_eq!(cluster.kubectl(image), "busybox:1.37");
    cluster.kubectl("rollout undo daemonset/agent");
    cluster.kubectl("rollout status daemonset/agent --timeout=50s");
    cluster.until(image, |image| image == "busybox:1.36");
    has(&cluster.kubectl("describe ds agent"), &["SuccessfulCreate", "daemonset-controller"]);
    cluster.kubectl("scale rc/old --replicas=1");
    cluster.until("get pods -l app=old -o name", |names| names.lines().count() == 1);
}
