//! Every refusal of volumes and mounts, as upstream words it.

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};
use serde_json::{Value, json};

use super::volumes::{validate, validate_mounts, validate_token_sources};
use crate::api::fields::{FieldError, Path};

#[track_caller]
fn compare(faults: &[FieldError], expect: &[&str]) {
    assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
}

/// Faults of one volume, `v[0]`, which is called `v`.
#[track_caller]
fn check(source: Value, expect: &[&str]) {
    let mut volume = source;
    volume["name"] = json!("v");
    let volume: Volume = serde_json::from_value(volume).unwrap();
    compare(&validate(&[volume], &Path::new("v")), expect);
}

/// Faults of one mount of the volume `v`, which this is.
#[track_caller]
fn check_mount(volume: Value, mount: Value, expect: &[&str]) {
    let (mut volume, mut mount) = (volume, mount);
    volume["name"] = json!("v");
    mount["name"] = json!("v");
    mount["mountPath"] = json!("/v");
    let container: Container =
        serde_json::from_value(json!({"name": "c", "volumeMounts": [mount]})).unwrap();
    let spec: PodSpec =
        serde_json::from_value(json!({"containers": [], "volumes": [volume]})).unwrap();
    compare(&validate_mounts(&container, &spec, &Path::new("c")), expect);
}

#[test]
fn a_volume_is_of_one_type_and_has_a_name() {
    check(json!({}), &["v[0]: Required value: must specify a volume type"]);
    check(
        json!({"emptyDir": {}, "image": {"reference": "i"}, "ephemeral": {}}),
        &[
            "v[0].ephemeral: Forbidden: may not specify more than 1 volume type",
            "v[0].image: Forbidden: may not specify more than 1 volume type",
        ],
    );
    let unnamed: Volume = serde_json::from_value(json!({"name": "", "emptyDir": {}})).unwrap();
    compare(&validate(&[unnamed], &Path::new("v")), &["v[0].name: Required value"]);
}

#[test]
fn what_a_volume_is_made_of_is_said() {
    check(json!({"configMap": {}}), &["v[0].configMap.name: Required value"]);
    check(json!({"secret": {}}), &["v[0].secret.secretName: Required value"]);
    check(json!({"hostPath": {"path": ""}}), &["v[0].hostPath.path: Required value"]);
    check(
        json!({"image": {"pullPolicy": "Sometimes"}}),
        &[
            "v[0].image.reference: Required value",
            "v[0].image.pullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ],
    );
    check(
        json!({"hostPath": {"path": "/a/../b", "type": "Folder"}}),
        &[
            "v[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            "v[0].hostPath.type: Unsupported value: \"Folder\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
        ],
    );
    check(
        json!({"emptyDir": {"sizeLimit": "-1"}}),
        &["v[0].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"],
    );
}

#[test]
fn items_stay_in_their_volume() {
    let item =
        |path: &str| json!({"configMap": {"name": "m", "items": [{"key": "k", "path": path}]}});
    let at = |path: &str, why: &str| {
        format!("v[0].configMap.items[0].path: Invalid value: \"{path}\": {why}")
    };
    check(item("a/b..c"), &[]);
    check(item("/a"), &[&at("/a", "must be a relative path")]);
    check(item("a/../b"), &[&at("a/../b", "must not contain '..'")]);
    check(item("..data"), &[&at("..data", "must not start with '..'")]);
    check(item(".."), &[&at("..", "must not contain '..'"), &at("..", "must not start with '..'")]);
    check(
        json!({"configMap": {"name": "m", "defaultMode": -1, "items": [{"key": "", "path": ""}]}}),
        &[
            "v[0].configMap.defaultMode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive",
            "v[0].configMap.items[0].key: Required value",
            "v[0].configMap.items[0].path: Required value",
        ],
    );
}

#[test]
fn a_downward_file_shows_one_thing() {
    let of = |item: Value| json!({"downwardAPI": {"items": [item]}});
    check(
        of(json!({"path": "p"})),
        &["v[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required"],
    );
    check(
        of(json!({"path": "", "fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}})),
        &[
            "v[0].downwardAPI.path: Required value",
            "v[0].downwardAPI.fieldRef.fieldPath: Unsupported value: \"spec.nodeName\": supported values: \"metadata.annotations\", \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", \"metadata.uid\"",
        ],
    );
    check(
        of(json!({"path": "p", "resourceFieldRef": {"resource": "limits.cpu"}})),
        &["v[0].downwardAPI.resourceFieldRef.containerName: Required value"],
    );
    check(
        of(json!({"path": "p",
            "resourceFieldRef": {"resource": "limits.memory", "containerName": "c", "divisor": "2Mi"}})),
        &[
            "v[0].downwardAPI.resourceFieldRef.divisor: Invalid value: \"limits.memory\": only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource",
        ],
    );
}

#[test]
fn projected_sources_are_of_one_type_each_and_do_not_collide() {
    let of = |sources: Value| json!({"projected": {"sources": sources}});
    check(
        of(json!([{"configMap": {"name": "m"}, "secret": {"name": ""}}])),
        &[
            "v[0].projected.sources[0].secret.name: Required value",
            "v[0].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source",
        ],
    );
    let item =
        |name: &str| json!({"configMap": {"name": name, "items": [{"key": "k", "path": "p"}]}});
    check(
        of(json!([item("a"), item("b")])),
        &["v[0].projected: Invalid value: \"p\": conflicting duplicate paths"],
    );
    check(
        of(json!([{"serviceAccountToken": {"path": "", "expirationSeconds": 599}}])),
        &[
            "v[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
            "v[0].projected.path: Required value",
        ],
    );
    let token = json!({"name": "v", "projected":
        {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}]}});
    let spec: PodSpec =
        serde_json::from_value(json!({"containers": [], "volumes": [token]})).unwrap();
    compare(
        &validate_token_sources(&spec, &Path::new("spec")),
        &[
            "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
        ],
    );
}

#[test]
fn a_part_of_a_volume_is_named_one_way() {
    let dir = || json!({"emptyDir": {}});
    check_mount(dir(), json!({"subPath": "a/b"}), &[]);
    check_mount(
        dir(),
        json!({"subPath": "a", "subPathExpr": "../$(B)"}),
        &[
            "c.volumeMounts[0].subPathExpr: Invalid value: \"../$(B)\": subPathExpr and subPath are mutually exclusive",
            "c.volumeMounts.subPathExpr: Invalid value: \"../$(B)\": must not contain '..'",
        ],
    );
    check_mount(
        json!({"image": {"reference": "i"}}),
        json!({"subPath": "a"}),
        &["c.volumeMounts[0].subPath: Invalid value: \"a\": not allowed in image volume sources"],
    );
}

#[test]
fn mounts_are_read_only_to_their_depth_where_nothing_is_propagated() {
    let check = |mount: Value, expect: &[&str]| check_mount(json!({"emptyDir": {}}), mount, expect);
    check(
        json!({"readOnly": true, "recursiveReadOnly": "Enabled", "mountPropagation": "None"}),
        &[],
    );
    check(
        json!({"recursiveReadOnly": "IfPossible", "mountPropagation": "HostToContainer"}),
        &[
            "c.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
            "c.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified",
        ],
    );
    check(
        json!({"recursiveReadOnly": "Deep", "mountPropagation": "Bidirectional"}),
        &[
            "c.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
            "c.volumeMounts.recursiveReadOnly: Unsupported value: \"Deep\": supported values: \"Disabled\", \"Enabled\", \"IfPossible\"",
        ],
    );
}
