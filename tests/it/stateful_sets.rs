//! StatefulSets kept by their controller; the test plays the node.

use serde_json::{Value, json};

use crate::deployments::{MERGE, Node, PODS, items};
use crate::support::{Server, server};

const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const REVISIONS: &str = "/apis/apps/v1/namespaces/default/controllerrevisions";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";

fn set(replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "serviceName": "svc",
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "one"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}}}}]}})
}

async fn change(server: &Server, patch: Value) {
    let line = format!("PATCH {SETS}/web");
    server.send(&line, MERGE, patch.to_string()).await.expect(200);
}

fn names(list: &Value) -> Vec<&str> {
    items(list).iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

async fn until_names(server: &Server, path: &str, expect: &[&str]) -> Value {
    server.until(path, |list| names(list) == expect).await
}

/// As `kubectl rollout status` judges it.
async fn rolled_out(server: &Server) -> Value {
    let done = |list: &Value| {
        let (set, status) = (&items(list)[0], &items(list)[0]["status"]);
        status["observedGeneration"] == set["metadata"]["generation"]
            && status["updateRevision"] == status["currentRevision"]
            && status["readyReplicas"] == set["spec"]["replicas"]
            && status["replicas"] == set["spec"]["replicas"]
    };
    server.until(SETS, done).await["items"][0].clone()
}

fn image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}})
}

fn images(pods: &Value) -> Vec<&str> {
    items(pods).iter().map(|pod| pod["spec"]["containers"][0]["image"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pods_have_names_and_claims_of_their_own() {
    let server = server().await;
    server.post(SETS, &set(3)).await.expect(201);
    // The first is not ready: the second waits.
    until_names(&server, PODS, &["web-0"]).await;
    let _node = Node::start(&server, |_| true);
    let whole = rolled_out(&server).await;
    let status = &whole["status"];
    let revision = status["currentRevision"].as_str().unwrap();
    assert_eq!(
        (&status["availableReplicas"], &status["updatedReplicas"], &status["collisionCount"]),
        (&json!(3), &json!(3), &json!(0))
    );
    let pods = until_names(&server, PODS, &["web-0", "web-1", "web-2"]).await;
    let second = &items(&pods)[1];
    assert_eq!(
        second["metadata"]["labels"],
        json!({"app": "web", "apps.kubernetes.io/pod-index": "1",
            "statefulset.kubernetes.io/pod-name": "web-1", "controller-revision-hash": revision})
    );
    assert_eq!(
        (&second["spec"]["hostname"], &second["spec"]["subdomain"]),
        (&json!("web-1"), &json!("svc"))
    );
    until_names(&server, CLAIMS, &["data-web-0", "data-web-1", "data-web-2"]).await;
    until_names(&server, REVISIONS, &[revision]).await;

    let events = "/api/v1/namespaces/default/events?fieldSelector=reason%3DSuccessfulCreate";
    let list = server.until(events, |list| items(list).len() >= 6).await;
    let told: Vec<&str> =
        items(&list).iter().map(|event| event["message"].as_str().unwrap()).collect();
    for text in [
        "create Pod web-0 in StatefulSet web successful",
        "create Claim data-web-0 Pod web-0 in StatefulSet web success",
    ] {
        assert!(told.contains(&text), "{told:#?}");
    }

    change(&server, json!({"spec": {"replicas": 1}})).await;
    until_names(&server, PODS, &["web-0"]).await;
    assert_eq!(items(&server.get(CLAIMS).await.expect(200)).len(), 3);
    let policy = json!({"whenDeleted": "Delete", "whenScaled": "Delete"});
    let more = json!({"replicas": 2, "persistentVolumeClaimRetentionPolicy": policy});
    change(&server, json!({"spec": more})).await;
    until_names(&server, PODS, &["web-0", "web-1"]).await;
    let owned = |list: &Value| {
        let owner = |at: usize| &items(list)[at]["metadata"]["ownerReferences"][0]["kind"];
        owner(0) == "StatefulSet" && owner(1) == "StatefulSet"
    };
    server.until(CLAIMS, owned).await;
    change(&server, json!({"spec": {"replicas": 1}})).await;
    // What nobody owned stays.
    until_names(&server, CLAIMS, &["data-web-0", "data-web-2"]).await;
}

#[tokio::test]
async fn a_template_is_rolled_out_from_the_end_and_back() {
    let server = server().await;
    let _node = Node::start(&server, |pod| pod["spec"]["containers"][0]["image"] != "bad");
    let mut object = set(3);
    object["metadata"]["annotations"] = json!({"kubernetes.io/change-cause": "first"});
    object["spec"]["updateStrategy"] = json!({"rollingUpdate": {"partition": 2}});
    server.post(SETS, &object).await.expect(201);
    rolled_out(&server).await;
    change(&server, image("two")).await;
    let updated = |list: &Value| images(list) == ["one", "one", "two"];
    server.until(PODS, updated).await;
    let settled = |list: &Value| {
        let status = &items(list)[0]["status"];
        status["readyReplicas"] == 3 && status["updatedReplicas"] == 1
    };
    let list = server.until(SETS, settled).await;
    let status = &items(&list)[0]["status"];
    assert_eq!(status["currentReplicas"], 2);
    assert_ne!(status["currentRevision"], status["updateRevision"]);
    // One that is lost below the partition comes back as it was.
    server.delete(&format!("{PODS}/web-1")).await.expect(200);
    server.until(PODS, |list| names(list).len() == 3 && updated(list)).await;
    change(&server, json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})).await;
    server.until(PODS, |list| images(list) == ["two", "two", "two"]).await;
    rolled_out(&server).await;

    let list = server.get(REVISIONS).await.expect(200);
    let revisions = items(&list);
    assert_eq!(revisions.len(), 2);
    let first = revisions.iter().find(|revision| revision["revision"] == 1).unwrap();
    assert_eq!(first["metadata"]["annotations"]["kubernetes.io/change-cause"], "first");
    // What `kubectl rollout undo` sends.
    let line = format!("PATCH {SETS}/web");
    let strategic = ["Content-Type: application/strategic-merge-patch+json"];
    server.send(&line, &strategic, first["data"].to_string()).await.expect(200);
    server.until(PODS, |list| images(list) == ["one", "one", "one"]).await;
    rolled_out(&server).await;
    let list = server.get(REVISIONS).await.expect(200);
    let mut numbers: Vec<i64> =
        items(&list).iter().map(|revision| revision["revision"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3]);

    change(&server, json!({"spec": {"revisionHistoryLimit": 0}})).await;
    server.until(REVISIONS, |list| items(list).len() == 1).await;
    // A Pod that never gets ready stops the update; the others stay.
    change(&server, image("bad")).await;
    server.until(PODS, |list| images(list) == ["one", "one", "bad"]).await;
}

#[tokio::test]
async fn only_some_fields_of_a_set_change() {
    let server = server().await;
    server.post(SETS, &set(0)).await.expect(201);
    let line = format!("PATCH {SETS}/web");
    let refused = server.send(&line, MERGE, r#"{"spec":{"serviceName":"other"}}"#).await;
    assert_eq!(
        refused.message(422),
        "StatefulSet.apps \"web\" is invalid: spec: Forbidden: updates to statefulset spec for \
         fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
         'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are \
         forbidden"
    );
    let mut named = set(1);
    named["metadata"]["name"] = json!("a.b");
    assert!(server.post(SETS, &named).await.message(422).contains("metadata.name: Invalid value"));
}

#[tokio::test]
async fn a_name_that_another_revision_has_is_passed_over() {
    let server = server().await;
    server.post(SETS, &set(0)).await.expect(201);
    let list = server.until(REVISIONS, |list| items(list).len() == 1).await;
    let name = items(&list)[0]["metadata"]["name"].clone();
    server.delete(&format!("{SETS}/web")).await.expect(200);
    server.until(REVISIONS, |list| items(list).is_empty()).await;
    let other = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {"name": name}, "data": {"else": true}, "revision": 1});
    server.post(REVISIONS, &other).await.expect(201);
    server.post(SETS, &set(0)).await.expect(201);
    let counted = |list: &Value| items(list)[0]["status"]["collisionCount"] == 1;
    let list = server.until(SETS, counted).await;
    assert_ne!(items(&list)[0]["status"]["updateRevision"], name);
    assert_eq!(items(&server.get(REVISIONS).await.expect(200)).len(), 2);
}
