//! `pods/ephemeralcontainers`: how a running Pod gets a debugger.

use serde_json::{Value, json};

use crate::objects::pod;
use crate::support::{Answer, Server, server};

const PODS: &str = "/api/v1/namespaces/default/pods";
const SUBRESOURCE: &str = "/api/v1/namespaces/default/pods/a/ephemeralcontainers";

async fn with_pod() -> Server {
    let server = server().await;
    server.post(PODS, &pod("a")).await.expect(201);
    server
}

async fn patch(server: &Server, kind: &str, patch: &Value) -> Answer {
    let content_type = format!("Content-Type: application/{kind}+json");
    server.send(&format!("PATCH {SUBRESOURCE}"), &[&content_type], patch.to_string()).await
}

fn debugger(name: &str) -> Value {
    json!({"spec": {"ephemeralContainers": [{"name": name, "image": "busybox"}]}})
}

/// The names in `spec.ephemeralContainers`.
fn names(pod: &Value) -> Vec<&str> {
    let containers = pod["spec"]["ephemeralContainers"].as_array();
    containers.into_iter().flatten().filter_map(|one| one["name"].as_str()).collect()
}

#[tokio::test]
async fn a_debugger_is_added_as_kubectl_does_it() {
    let server = with_pod().await;
    let strategic = "strategic-merge-patch";
    let pod = patch(&server, strategic, &debugger("first")).await.expect(200);
    let expect = json!([{
        "name": "first", "image": "busybox", "imagePullPolicy": "Always", "resources": {},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    }]);
    assert_eq!(pod["spec"]["ephemeralContainers"], expect);
    assert_eq!(pod["metadata"]["generation"], 2);
    patch(&server, strategic, &debugger("second")).await.expect(200);
    let mut read = server.get(SUBRESOURCE).await.expect(200);
    let mut found = names(&read);
    found.sort_unstable();
    assert_eq!(found, ["first", "second"]);
    let third = json!({"name": "third", "image": "busybox"});
    let last = json!([{"op": "add", "path": "/spec/ephemeralContainers/-", "value": third}]);
    assert_eq!(names(&patch(&server, "json-patch", &last).await.expect(200)).len(), 3);
    read = server.get(SUBRESOURCE).await.expect(200);
    read["spec"]["ephemeralContainers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "fourth", "image": "busybox"}));
    assert_eq!(names(&server.put(SUBRESOURCE, &read).await.expect(200)).len(), 4);
    let stale = server.put(SUBRESOURCE, &read).await;
    assert!(stale.message(409).contains("the object has been modified"));
}

#[tokio::test]
async fn nothing_else_changes_on_this_path() {
    let server = with_pod().await;
    let mut change = debugger("d");
    change["metadata"] = json!({"labels": {"a": "b"}, "finalizers": ["example.com/x"]});
    change["spec"]["activeDeadlineSeconds"] = json!(5);
    change["status"] = json!({"phase": "Failed"});
    let pod = patch(&server, "merge-patch", &change).await.expect(200);
    assert_eq!(names(&pod), ["d"]);
    assert_eq!(pod["spec"].get("activeDeadlineSeconds"), None);
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!((pod["metadata"].get("labels"), pod["metadata"].get("finalizers")), (None, None));
}

#[tokio::test]
async fn what_is_there_stays_as_it_is() {
    let server = with_pod().await;
    patch(&server, "merge-patch", &debugger("d")).await.expect(200);
    let gone = patch(&server, "merge-patch", &json!({"spec": {"ephemeralContainers": null}})).await;
    assert_eq!(
        gone.message(422),
        "Pod \"a\" is invalid: spec.ephemeralContainers: Forbidden: existing ephemeral containers \
         \"d\" may not be removed\n"
    );
    let mut other = debugger("d");
    other["spec"]["ephemeralContainers"][0]["image"] = json!("other");
    let changed = patch(&server, "merge-patch", &other).await.message(422);
    assert!(
        changed.contains("existing ephemeral containers \"d\" may not be changed"),
        "{changed}"
    );
    let taken = patch(&server, "strategic-merge-patch", &debugger("c")).await;
    assert_eq!(
        taken.message(422),
        "Pod \"a\" is invalid: spec.ephemeralContainers[0].name: Duplicate value: \"c\""
    );
}

#[tokio::test]
async fn there_is_no_other_way_in() {
    let server = with_pod().await;
    let mut new = pod("b");
    new["spec"]["ephemeralContainers"] = debugger("d")["spec"]["ephemeralContainers"].clone();
    assert_eq!(
        server.post(PODS, &new).await.message(422),
        "Pod \"b\" is invalid: spec.ephemeralContainers: Forbidden: cannot be set on create"
    );
    let line = format!("PATCH {PODS}/a");
    let kind = "Content-Type: application/strategic-merge-patch+json";
    let refused = server.send(&line, &[kind], debugger("d").to_string()).await.message(422);
    assert!(refused.contains("pod updates may not change fields other than"), "{refused}");
    let absent = format!("PUT {PODS}/x/ephemeralcontainers");
    let mut pod = pod("x");
    pod["metadata"]["name"] = json!("x");
    let kind = "Content-Type: application/json";
    let missing = server.send(&absent, &[kind], pod.to_string()).await;
    assert_eq!(missing.message(404), "pods \"x\" not found");
}
