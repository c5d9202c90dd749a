//! What survives a stop, in order and not.

use crate::support::{Home, tutorial};

#[test]
fn a_killed_cluster_takes_up_its_pods_again() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", tutorial("pod.yaml")));
    cluster.kubectl("create configmap kept --from-literal=a=b");
    cluster.wait_for("condition=Ready", "pod/counter");
    let uid = cluster.kubectl("get pod counter -o jsonpath={.metadata.uid}");
    cluster.kill();

    let cluster = home.up();
    assert_eq!(cluster.kubectl("get configmap kept -o jsonpath={.data.a}"), "b");
    assert_eq!(cluster.kubectl("get pod counter -o jsonpath={.metadata.uid}"), uid);
    cluster.wait_for("jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/counter");
    cluster.wait_for("condition=Ready", "pod/counter");
    let last = "get pod counter -o jsonpath={.status.containerStatuses[0].lastState.terminated";
    assert_eq!(cluster.kubectl(&format!("{last}.reason}}")), "ContainerStatusUnknown");
    assert_eq!(cluster.kubectl(&format!("{last}.exitCode}}")), "137");
}

#[cfg(unix)]
#[test]
fn stopping_in_order_fails_no_pod() {
    let home = Home::new();
    let cluster = home.up();
    for policy in ["OnFailure", "Never"] {
        let name = policy.to_lowercase();
        let manifest = home.file(
            "once.yaml",
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: {policy}\n  containers:\n  - {{name: c, image: busybox, command: [sleep, '1000']}}\n"),
        );
        cluster.kubectl(&format!("apply -f {manifest}"));
        cluster.wait_for("condition=Ready", &format!("pod/{name}"));
    }
    let said = cluster.stop();
    assert!(said.iter().any(|line| line.contains("stopping")), "{said:#?}");
    let cluster = home.up();
    for name in ["onfailure", "never"] {
        cluster.wait_for("condition=Ready", &format!("pod/{name}"));
        let phase = format!("get pod {name} -o jsonpath={{.status.phase}}");
        assert_eq!(cluster.kubectl(&phase), "Running");
    }
}
