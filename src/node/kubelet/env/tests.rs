use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Value, json};

use super::*;
use crate::api::downward::Facts;

fn facts() -> Facts {
    Facts {
        node: "sampan".to_owned(),
        host_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        pod_ip: Ipv4Addr::new(10, 42, 0, 2),
        allocatable: BTreeMap::from([("cpu".to_owned(), Quantity("2".to_owned()))]),
    }
}

fn sources() -> Sources {
    let mut sources = Sources::default();
    let config_map = json!({ "metadata": {}, "data": { "color": "blue", "size": "10" } });
    let config_map = serde_json::from_value(config_map).unwrap();
    sources.config_maps.insert("settings".to_owned(), Arc::new(config_map));
    let secret = json!({ "metadata": {}, "data": { "password": "aHVudGVyMg==" } });
    sources.secrets.insert("login".to_owned(), Arc::new(serde_json::from_value(secret).unwrap()));
    sources
}

fn container(container: Value) -> Container {
    let mut container = container;
    container["name"] = json!("c");
    serde_json::from_value(container).unwrap()
}

/// The variables but for the runtime's own, or the error.
fn env(spec: Value) -> Result<Vec<String>, String> {
    let container = container(spec);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {
            "name": "counter", "namespace": "default", "uid": "u",
            "labels": { "app": "x", "tier": "back" },
        },
        "spec": { "containers": [], "serviceAccountName": "default" },
    }))
    .unwrap();
    let env = environment(&pod, &container, &[], "counter", &facts(), &sources())?;
    Ok(env.iter().skip(3).map(|(name, value)| format!("{name}={value}")).collect())
}

#[track_caller]
fn check(spec: Value, expect: &[&str]) {
    assert_eq!(env(spec).unwrap(), expect);
}

#[track_caller]
fn check_error(spec: Value, expect: &str) {
    assert_eq!(env(spec).unwrap_err(), expect);
}

#[test]
fn values_may_use_what_was_set_before() {
    check(
        json!({ "env": [
            { "name": "A", "value": "1" },
            { "name": "B", "value": "$(A)-$(C)-$$(A)" },
            { "name": "C", "value": "3" },
            { "name": "A", "value": "2" },
        ] }),
        &["A=2", "B=1-$(C)-$(A)", "C=3"],
    );
}

#[test]
fn fields_of_the_pod_are_text() {
    let field = |path: &str| json!({ "env": [{ "name": "F", "valueFrom": { "fieldRef": { "fieldPath": path } } }] });
    for (path, value) in [
        ("metadata.name", "counter"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "x"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", "app=\"x\"\ntier=\"back\""),
        ("spec.nodeName", "sampan"),
        ("spec.serviceAccountName", "default"),
        ("status.podIP", "10.42.0.2"),
        ("status.hostIP", "127.0.0.1"),
    ] {
        check(field(path), &[format!("F={value}").as_str()]);
    }
    check_error(field("spec.priority"), "unsupported fieldPath: spec.priority");
}

#[test]
fn resources_are_divided_and_rounded_up() {
    let resource = |resource: &str, divisor: &str| {
        json!({
            "resources": { "limits": { "memory": "100Mi" }, "requests": { "cpu": "250m" } },
            "env": [{ "name": "R", "valueFrom": { "resourceFieldRef": { "resource": resource, "divisor": divisor } } }],
        })
    };
    check(resource("limits.memory", "1Mi"), &["R=100"]);
    check(resource("limits.memory", "0"), &["R=104857600"]);
    check(resource("requests.cpu", "1"), &["R=1"]);
    check(resource("requests.cpu", "1m"), &["R=250"]);
    check(resource("limits.cpu", "1"), &["R=2"]);
}

#[test]
fn config_maps_and_secrets_give_values() {
    check(
        json!({
            "envFrom": [{ "prefix": "S_", "configMapRef": { "name": "settings" } }, { "secretRef": { "name": "login" } }],
            "env": [
                { "name": "COLOR", "valueFrom": { "configMapKeyRef": { "name": "settings", "key": "color" } } },
                { "name": "P", "valueFrom": { "secretKeyRef": { "name": "login", "key": "password" } } },
                { "name": "NONE", "valueFrom": { "secretKeyRef": { "name": "none", "key": "k", "optional": true } } },
            ],
        }),
        &["S_color=blue", "S_size=10", "password=hunter2", "COLOR=blue", "P=hunter2"],
    );
}

#[test]
fn what_is_missing_is_named_as_upstream_names_it() {
    check_error(
        json!({ "envFrom": [{ "configMapRef": { "name": "none" } }] }),
        "configmap \"none\" not found",
    );
    check_error(
        json!({ "envFrom": [{ "secretRef": { "name": "none" } }] }),
        "secret \"none\" not found",
    );
    let key = |kind: &str, name: &str| json!({ "env": [{ "name": "X", "valueFrom": { kind: { "name": name, "key": "k" } } }] });
    check_error(
        key("configMapKeyRef", "settings"),
        "couldn't find key k in ConfigMap default/settings",
    );
    check_error(key("secretKeyRef", "login"), "couldn't find key k in Secret default/login");
    check_error(key("secretKeyRef", "none"), "secret \"none\" not found");
}

#[test]
fn needed_names_what_is_referred_to() {
    let container = container(json!({
        "envFrom": [{ "configMapRef": { "name": "a" } }],
        "env": [
            { "name": "X", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } },
            { "name": "Y", "valueFrom": { "configMapKeyRef": { "name": "b", "key": "k" } } },
        ],
    }));
    let needed = Needed::by(&container);
    assert_eq!(needed.config_maps.iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(needed.secrets.iter().collect::<Vec<_>>(), ["s"]);
}

#[test]
fn command_replaces_entrypoint_and_cmd_and_args_replaces_cmd() {
    let text = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let env = [("A".to_owned(), "1".to_owned())];
    for (spec, expect) in [
        (json!({}), ["/entry", "default"].as_slice()),
        (json!({ "args": ["x", "$(A)"] }), &["/entry", "x", "1"]),
        (json!({ "command": ["/run", "$(B)"] }), &["/run", "$(B)"]),
        (json!({ "command": ["/run"], "args": ["x"] }), &["/run", "x"]),
    ] {
        let argv = argv(&container(spec), &text(&["/entry"]), &text(&["default"]), &env);
        assert_eq!(argv, expect);
    }
}
