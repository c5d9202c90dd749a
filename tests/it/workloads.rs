//! Sets of Pods as the server keeps them: faults, scale, columns.

use serde_json::{Value, json};

use crate::support::server;

pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

pub(crate) fn deployment(name: &str, replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "busybox"}]}}}})
}

#[tokio::test]
async fn faults_of_a_deployment_are_told_all_at_once() {
    let server = server().await;
    let mut object = deployment("a", -1);
    object["spec"]["selector"]["matchLabels"]["app"] = "b".into();
    object["spec"]["template"]["spec"]["containers"][0]["image"] = "".into();
    let status = server.post(DEPLOYMENTS, &object).await.expect(422);
    let causes = status["details"]["causes"].as_array().unwrap();
    let fields: Vec<_> = causes.iter().map(|cause| &cause["field"]).collect();
    assert_eq!(
        fields,
        [
            "spec.replicas",
            "spec.template.metadata.labels",
            "spec.template.spec.containers[0].image"
        ]
    );
}

#[tokio::test]
async fn a_selector_is_for_life() {
    let server = server().await;
    let path = format!("{DEPLOYMENTS}/a");
    server.post(DEPLOYMENTS, &deployment("a", 0)).await.expect(201);
    let mut object = deployment("a", 0);
    for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        object.pointer_mut(labels).unwrap()["b"] = "c".into();
    }
    assert_eq!(
        server.put(&path, &object).await.message(422),
        r#"Deployment.apps "a" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"a","b":"c"}}: field is immutable"#
    );
}

#[tokio::test]
async fn a_size_is_read_and_set_in_one_shape() {
    let server = server().await;
    let scale = format!("{DEPLOYMENTS}/a/scale");
    server.post(DEPLOYMENTS, &deployment("a", 0)).await.expect(201);
    let read = server.get(&scale).await.expect(200);
    assert_eq!((&read["kind"], &read["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
    assert_eq!(read["spec"], json!({"replicas": 0}));
    assert_eq!(read["status"]["selector"], "app=a");

    let merge = ["Content-Type: application/merge-patch+json"];
    let line = format!("PATCH {scale}");
    let patched = server.send(&line, &merge, r#"{"spec":{"replicas":2}}"#).await.expect(200);
    assert_eq!(patched["spec"], json!({"replicas": 2}));
    let whole = server.get(&format!("{DEPLOYMENTS}/a")).await.expect(200);
    assert_eq!(
        (&whole["spec"]["replicas"], &whole["metadata"]["generation"]),
        (&json!(2), &json!(2))
    );

    let stale = server.put(&scale, &read).await;
    assert!(stale.message(409).contains("the object has been modified"));
    let negative = server.send(&line, &merge, r#"{"spec":{"replicas":-1}}"#).await;
    assert_eq!(
        negative.message(422),
        "Scale.autoscaling \"a\" is invalid: spec.replicas: Invalid value: -1: must be greater \
         than or equal to 0"
    );
    server.get(&format!("{DEPLOYMENTS}/b/scale")).await.message(404);
}

#[tokio::test]
async fn discovery_lists_the_size_of_sets() {
    let server = server().await;
    let list = server.get("/apis/apps/v1").await.expect(200);
    let resources = list["resources"].as_array().unwrap();
    let scale = resources.iter().find(|one| one["name"] == "deployments/scale").unwrap();
    assert_eq!(
        scale,
        &json!({"name": "deployments/scale", "singularName": "", "namespaced": true,
            "group": "autoscaling", "version": "v1", "kind": "Scale",
            "verbs": ["get", "patch", "update"]})
    );
}
