//! Deployments rolled out by their controllers; the test plays the node.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use crate::support::{Server, send, server, watch};
use crate::workloads::{DEPLOYMENTS, deployment};

pub(crate) const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const MERGE: &[&str] = &["Content-Type: application/merge-patch+json"];

pub(crate) fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}

/// Makes each new Pod ready, until it is dropped.
pub(crate) struct Node(tokio::task::JoinHandle<()>);

impl Node {
    pub(crate) fn start(server: &Server, accepts: fn(&Value) -> bool) -> Self {
        let client = server.client.clone();
        Self(TaskTracker::new().spawn(async move {
            let mut events = watch(&client, &format!("{PODS}?watch=1")).await;
            loop {
                let pod = events.next().await;
                if pod["type"] != "ADDED" || !accepts(&pod["object"]) {
                    continue;
                }
                let name = pod["object"]["metadata"]["name"].as_str().unwrap();
                let status = json!({"status": {"phase": "Running", "conditions": [
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T17:00:00Z"}]}});
                let line = format!("PATCH {PODS}/{name}/status");
                // It may have gone meanwhile.
                send(&client, &line, MERGE, status.to_string()).await;
            }
        }))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn change(server: &Server, name: &str, patch: &Value) {
    let line = format!("PATCH {DEPLOYMENTS}/{name}");
    server.send(&line, MERGE, patch.to_string()).await.expect(200);
}

fn image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}})
}

fn condition<'a>(deployment: &'a Value, type_: &str) -> &'a Value {
    let conditions = deployment["status"]["conditions"].as_array();
    conditions
        .and_then(|all| all.iter().find(|condition| condition["type"] == type_))
        .unwrap_or(&Value::Null)
}

/// As `kubectl rollout status` judges it.
fn is_rolled_out(deployment: &Value) -> bool {
    let status = &deployment["status"];
    let wanted = &deployment["spec"]["replicas"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && ["replicas", "updatedReplicas", "availableReplicas"]
            .iter()
            .all(|count| status[count] == *wanted)
}

pub(crate) async fn rolled_out(server: &Server) -> Value {
    let done = |list: &Value| is_rolled_out(&items(list)[0]);
    server.until(DEPLOYMENTS, done).await["items"][0].clone()
}

fn revision(set: &Value) -> &str {
    set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap()
}

#[tokio::test]
async fn a_template_is_rolled_out_and_back() {
    let server = server().await;
    let _node = Node::start(&server, |_| true);
    server.post(DEPLOYMENTS, &deployment("d", 3)).await.expect(201);
    let first = rolled_out(&server).await;
    assert_eq!(revision(&first), "1");
    assert_eq!(first["metadata"]["generation"], 1);
    let progressing = |list: &Value| {
        condition(&items(list)[0], "Progressing")["reason"] == "NewReplicaSetAvailable"
    };
    let list = server.until(DEPLOYMENTS, progressing).await;
    assert_eq!(condition(&items(&list)[0], "Available")["status"], "True");
    let pods = server.get(PODS).await.expect(200);
    let sets = server.get(SETS).await.expect(200);
    let hash = items(&sets)[0]["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    for pod in items(&pods) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with(&format!("d-{hash}-")), "{name}");
        assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], hash);
    }

    change(&server, "d", &image("other")).await;
    let second = rolled_out(&server).await;
    assert_eq!(revision(&second), "2");
    change(&server, "d", &image("busybox")).await;
    let third = rolled_out(&server).await;
    assert_eq!(revision(&third), "3");
    let sets = server.get(SETS).await.expect(200);
    assert_eq!(items(&sets).len(), 2);
    let current = items(&sets).iter().find(|set| set["spec"]["replicas"] == 3).unwrap();
    let history = &current["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"];
    assert_eq!((revision(current), history), ("3", &json!("1")));

    let events = "/api/v1/namespaces/default/events?fieldSelector=reason%3DScalingReplicaSet";
    let list = server.until(events, |list| items(list).len() >= 7).await;
    let messages: Vec<_> =
        items(&list).iter().map(|event| event["message"].as_str().unwrap()).collect();
    let first = format!("Scaled up replica set d-{hash} from 0 to 3");
    assert!(messages.contains(&first.as_str()), "{messages:#?}");
}

#[tokio::test]
async fn a_rollout_that_stands_still_is_told() {
    let server = server().await;
    let good = |pod: &Value| pod["spec"]["containers"][0]["image"] == "busybox";
    let _node = Node::start(&server, good);
    server.post(DEPLOYMENTS, &deployment("d", 3)).await.expect(201);
    rolled_out(&server).await;
    change(&server, "d", &image("missing")).await;
    let begun = |list: &Value| items(list)[0]["status"]["updatedReplicas"] == 1;
    let list = server.until(DEPLOYMENTS, begun).await;
    let status = &items(&list)[0]["status"];
    assert_eq!((&status["availableReplicas"], &status["replicas"]), (&json!(3), &json!(4)));
    let late = |list: &Value| {
        condition(&items(list)[0], "Progressing")["reason"] == "ProgressDeadlineExceeded"
    };
    server.clock.advance(Duration::from_secs(700));
    let list = server.until(DEPLOYMENTS, late).await;
    let deployment = &items(&list)[0];
    assert_eq!(condition(deployment, "Progressing")["status"], "False");
    assert_eq!(condition(deployment, "Available")["status"], "True");
    let message = condition(deployment, "Progressing")["message"].as_str().unwrap();
    assert!(message.ends_with("has timed out progressing."), "{message}");

    change(&server, "d", &image("busybox")).await;
    rolled_out(&server).await;
}

#[tokio::test]
async fn a_paused_deployment_scales_but_does_not_roll() {
    let server = server().await;
    let _node = Node::start(&server, |_| true);
    server.post(DEPLOYMENTS, &deployment("d", 2)).await.expect(201);
    rolled_out(&server).await;
    change(&server, "d", &json!({"spec": {"paused": true}})).await;
    change(&server, "d", &image("other")).await;
    change(&server, "d", &json!({"spec": {"replicas": 4}})).await;
    let scaled = |list: &Value| items(list)[0]["status"]["availableReplicas"] == 4;
    let list = server.until(DEPLOYMENTS, scaled).await;
    assert_eq!(condition(&items(&list)[0], "Progressing")["reason"], "DeploymentPaused");
    assert_eq!(items(&server.get(SETS).await.expect(200)).len(), 1);
    change(&server, "d", &json!({"spec": {"paused": false}})).await;
    rolled_out(&server).await;
    assert_eq!(items(&server.get(SETS).await.expect(200)).len(), 2);
}

#[tokio::test]
async fn recreate_ends_the_old_before_it_makes_the_new() {
    let server = server().await;
    let _node = Node::start(&server, |_| true);
    let mut object = deployment("d", 2);
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    object["spec"]["template"]["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(DEPLOYMENTS, &object).await.expect(201);
    rolled_out(&server).await;
    change(&server, "d", &image("other")).await;
    let going = |list: &Value| {
        items(list).iter().all(|pod| !pod["metadata"]["deletionTimestamp"].is_null())
    };
    let pods = server.until(PODS, going).await;
    assert_eq!(items(&server.get(SETS).await.expect(200)).len(), 1);
    for pod in items(&pods) {
        let line = format!("PATCH {PODS}/{}", pod["metadata"]["name"].as_str().unwrap());
        server.send(&line, MERGE, r#"{"metadata":{"finalizers":null}}"#).await.expect(200);
    }
    rolled_out(&server).await;
    assert_eq!(items(&server.get(SETS).await.expect(200)).len(), 2);
}

#[tokio::test]
async fn old_sets_beyond_the_history_are_forgotten() {
    let server = server().await;
    let _node = Node::start(&server, |_| true);
    let mut object = deployment("d", 1);
    object["spec"]["revisionHistoryLimit"] = json!(1);
    server.post(DEPLOYMENTS, &object).await.expect(201);
    for name in ["a", "b", "c"] {
        rolled_out(&server).await;
        change(&server, "d", &image(name)).await;
    }
    rolled_out(&server).await;
    server.until(SETS, |list| items(list).len() == 2).await;
}

#[tokio::test]
async fn a_name_that_somebody_else_has_is_passed_over() {
    let server = server().await;
    server.post(DEPLOYMENTS, &deployment("d", 0)).await.expect(201);
    let list = server.until(SETS, |list| items(list).len() == 1).await;
    let name = items(&list)[0]["metadata"]["name"].clone();
    server.delete(&format!("{DEPLOYMENTS}/d")).await.expect(200);
    server.until(SETS, |list| items(list).is_empty()).await;
    let mut other = crate::replica_sets::set("other", 0);
    other["metadata"]["name"] = name.clone();
    server.post(SETS, &other).await.expect(201);
    server.post(DEPLOYMENTS, &deployment("d", 0)).await.expect(201);
    let list = server.until(SETS, |list| items(list).len() == 2).await;
    let own = items(&list).iter().find(|set| set["metadata"]["name"] != name).unwrap();
    assert_eq!(own["metadata"]["ownerReferences"][0]["name"], "d");
    let counted = |list: &Value| items(list)[0]["status"]["collisionCount"] == 1;
    server.until(DEPLOYMENTS, counted).await;
}
