//! HorizontalPodAutoscalers as users work with them.

use crate::support::Home;

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: nginx, image: nginx, ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: load}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: load
    image: busybox
    command: [sh, -c, 'while :; do wget -qO /dev/null http://web; done']
";

/// Any load at all is more than one request in a hundred seconds for each Pod.
const SCALER: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 3
  metrics:
  - type: Object
    object:
      describedObject: {apiVersion: v1, kind: Service, name: web}
      metric: {name: requests_per_second}
      target: {type: AverageValue, averageValue: 10m}
";

#[test]
fn a_service_grows_by_its_requests_and_what_is_not_known_is_told() {
    let home = Home::new();
    let cluster = home.up();
    let web = home.file("web.yaml", WEB);
    cluster.kubectl(&format!("apply -f {web}"));
    cluster.kubectl("rollout status deployment/web --timeout=50s");
    let measured = "get --raw /apis/metrics.k8s.io/v1beta1/namespaces/default/pods";
    cluster.until(measured, |answer| {
        let requests = answer.split("\"requests_per_second\":\"").nth(1);
        requests.is_some_and(|rest| !rest.starts_with("0\""))
    });

    let scaler = home.file("scaler.yaml", SCALER);
    cluster.kubectl(&format!("apply -f {scaler}"));
    cluster.until("get deployment web --no-headers", |row| row.contains("3/3"));
    let row = cluster.until("get hpa web --no-headers", |row| row.contains("/10m (avg)"));
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((words[1], words[4], words[5]), ("Deployment/web", "1", "3"), "{row}");
    let told = cluster.kubectl("describe hpa web");
    for words in [
        "\"requests_per_second\" on Service/web",
        "AbleToScale     True    SucceededRescale",
        "ScalingActive   True    ValidMetricFound",
        "ScalingLimited  True    TooManyReplicas",
        "New size: 3; reason: Service metric requests_per_second above target",
    ] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }

    // Nobody asks for CPU, so nobody knows what a half of it is.
    let said = cluster.kubectl("autoscale deployment web --name=cpu --cpu-percent=50 --max=4");
    assert_eq!(said, "horizontalpodautoscaler.autoscaling/cpu autoscaled\n");
    let told = cluster.until("describe hpa cpu", |told| told.contains("AmbiguousSelector"));
    assert!(told.contains("are controlled by multiple HPAs: [default/cpu default/web]"), "{told}");
    cluster.kubectl("delete hpa web cpu");
    cluster.kubectl("create deployment idle --image=nginx");
    cluster.kubectl("rollout status deployment/idle --timeout=50s");
    cluster.kubectl("autoscale deployment idle --cpu-percent=50 --max=4");
    let told = cluster.until("describe hpa idle", |told| told.contains("FailedGetResourceMetric"));
    assert!(told.contains("failed to get cpu utilization:"), "{told}");
    assert!(cluster.kubectl("get hpa idle").contains("cpu: <unknown>/50%"));

    let refused = cluster.refused("autoscale deployment nobody --max=4");
    assert!(refused.contains("deployments.apps \"nobody\" not found"), "{refused}");
    let bad = home.file("bad.yaml", SCALER.replace("maxReplicas: 3", "maxReplicas: 0"));
    let refused = cluster.refused(&format!("apply -f {bad}"));
    assert!(
        refused.contains("spec.maxReplicas: Invalid value: 0: must be greater than 0"),
        "{refused}"
    );
}
