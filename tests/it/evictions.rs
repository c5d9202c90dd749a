//! Budgets and evictions; the test plays the node.

use serde_json::{Value, json};

use crate::deployments::{Node, PODS, items};
use crate::replica_sets::set;
use crate::support::{Answer, Server, server};

const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

fn budget(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "a"}});
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
        "spec": spec})
}

async fn evict(server: &Server, name: &str, options: Value) -> Answer {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": name, "namespace": "default"}, "deleteOptions": options});
    server.post(&format!("{PODS}/{name}/eviction"), &eviction).await
}

async fn until_allowed(server: &Server, allowed: i32) -> Value {
    let told = |list: &Value| {
        let budget = &items(list)[0];
        budget["status"]["disruptionsAllowed"] == allowed
            && budget["status"]["observedGeneration"] == budget["metadata"]["generation"]
    };
    server.until(BUDGETS, told).await["items"][0]["status"].clone()
}

#[tokio::test]
async fn an_eviction_needs_a_budget_that_allows_it() {
    let server = server().await;
    let _node = Node::start(&server, |_| true);
    let mut object = set("a", 3);
    // Who goes stays to be looked at.
    object["spec"]["template"]["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(SETS, &object).await.expect(201);
    server.post(BUDGETS, &budget("b", json!({"maxUnavailable": "34%"}))).await.expect(201);
    let status = until_allowed(&server, 2).await;
    assert_eq!(
        (&status["expectedPods"], &status["desiredHealthy"], &status["currentHealthy"]),
        (&json!(3), &json!(1), &json!(3))
    );
    assert_eq!(status["conditions"][0]["reason"], "SufficientPods");
    let list = server.get(PODS).await.expect(200);
    let names: Vec<&str> =
        items(&list).iter().map(|pod| pod["metadata"]["name"].as_str().unwrap()).collect();

    let dry = evict(&server, names[0], json!({"dryRun": ["All"]})).await.expect(201);
    assert_eq!(dry["status"], "Success");
    let pod = server.get(&format!("{PODS}/{}", names[0])).await.expect(200);
    assert_eq!(pod["metadata"].get("deletionTimestamp"), None);
    until_allowed(&server, 2).await;

    evict(&server, names[0], Value::Null).await.expect(201);
    let pod = server.get(&format!("{PODS}/{}", names[0])).await.expect(200);
    assert!(pod["metadata"]["deletionTimestamp"].is_string());
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let target = conditions.iter().find(|one| one["type"] == "DisruptionTarget").unwrap();
    assert_eq!(
        (&target["status"], &target["reason"], &target["message"]),
        (&json!("True"), &json!("EvictionByEvictionAPI"), &json!("Eviction API: evicting"))
    );
    // One that is going already may be evicted again.
    evict(&server, names[0], Value::Null).await.expect(201);
    evict(&server, "nobody", Value::Null).await.message(404);

    server.delete(&format!("{BUDGETS}/b")).await.expect(200);
    server.post(BUDGETS, &budget("all", json!({"minAvailable": 3}))).await.expect(201);
    until_allowed(&server, 0).await;
    let refused = evict(&server, names[1], Value::Null).await;
    let text = "Cannot evict pod as it would violate the pod's disruption budget.";
    assert_eq!(refused.message(429), text);
    let details = &refused.json()["details"];
    assert_eq!(details["causes"][0]["reason"], "DisruptionBudget");
    let cause = details["causes"][0]["message"].as_str().unwrap();
    assert!(
        cause.starts_with("The disruption budget all needs 3 healthy pods and has "),
        "{cause}"
    );

    server.post(BUDGETS, &budget("more", json!({"minAvailable": 0}))).await.expect(201);
    let several = evict(&server, names[1], Value::Null).await.expect(500);
    let text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does \
                not support.";
    assert_eq!(several["message"], text);
    assert_eq!((&several["reason"], &several["details"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_budget_without_a_scale_allows_nothing() {
    let server = server().await;
    let template = json!({"metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "busybox"}]}});
    let owner = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template}});
    let sets = "/apis/apps/v1/namespaces/default/daemonsets";
    let owner = server.post(sets, &owner).await.expect(201);
    let mut pod = crate::objects::pod("one");
    pod["metadata"]["labels"] = json!({"app": "a"});
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet",
        "name": "d", "uid": owner["metadata"]["uid"], "controller": true}]);
    server.post(BUDGETS, &budget("b", json!({"maxUnavailable": 1}))).await.expect(201);
    server.post(PODS, &pod).await.expect(201);
    let failed = |list: &Value| {
        let conditions = &items(list)[0]["status"]["conditions"];
        conditions[0]["reason"] == "SyncFailed"
    };
    let list = server.until(BUDGETS, failed).await;
    assert_eq!(
        items(&list)[0]["status"]["conditions"][0]["message"],
        "daemonsets.apps does not implement the scale subresource"
    );
}
