//! Bodies are encoded by the generated messages of `k8s-pb`, decoded by ours, and compared with the
//! JSON that Go writes for the same object.

use std::collections::BTreeMap;

use k8s_pb::api::apps::v1 as apps;
use k8s_pb::api::authentication::v1 as authentication;
use k8s_pb::api::authorization::v1 as authorization;
use k8s_pb::api::autoscaling::v1 as autoscaling;
use k8s_pb::api::batch::v1 as batch;
use k8s_pb::api::coordination::v1 as coordination;
use k8s_pb::api::core::v1 as core;
use k8s_pb::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_pb::apimachinery::pkg::api::resource::Quantity;
use k8s_pb::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_pb::apimachinery::pkg::runtime::{TypeMeta, Unknown};
use k8s_pb::apimachinery::pkg::util::intstr::IntOrString;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::*;

const NONE: Defaults<'_> = Defaults { group: "", version: "", kind: "" };

fn body(api_version: &str, kind: &str, message: &impl Message) -> Vec<u8> {
    let unknown = Unknown {
        type_meta: Some(TypeMeta { api_version: some(api_version), kind: some(kind) }),
        raw: Some(message.encode_to_vec()),
        content_encoding: some(""),
        content_type: some(""),
    };
    [b"k8s\0".as_slice(), &unknown.encode_to_vec()].concat()
}

#[track_caller]
fn check(api_version: &str, kind: &str, message: &impl Message, mut expect: Value) {
    expect["apiVersion"] = json!(api_version);
    expect["kind"] = json!(kind);
    let found = decode(&body(api_version, kind, message), NONE);
    assert_eq!(found, Ok(expect));
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// As Go writes metadata: every scalar that is not a pointer is there, empty or not.
fn metadata(name: &str) -> Option<meta::ObjectMeta> {
    Some(meta::ObjectMeta {
        name: some(name),
        generate_name: some(""),
        namespace: some(""),
        self_link: some(""),
        uid: some(""),
        resource_version: some(""),
        generation: Some(0),
        creation_timestamp: Some(meta::Time::default()),
        ..Default::default()
    })
}

fn container(name: &str, image: &str, port: i32) -> core::Container {
    core::Container {
        name: some(name),
        image: some(image),
        ports: vec![core::ContainerPort {
            name: some(""),
            host_port: Some(0),
            container_port: Some(port),
            protocol: some("TCP"),
            host_ip: some(""),
        }],
        resources: Some(core::ResourceRequirements {
            limits: BTreeMap::from([("cpu".to_owned(), Quantity { string: some("100m") })]),
            ..Default::default()
        }),
        liveness_probe: Some(core::Probe {
            handler: Some(core::ProbeHandler {
                http_get: Some(core::HttpGetAction {
                    path: some("/"),
                    port: Some(IntOrString {
                        r#type: Some(1),
                        int_val: Some(0),
                        str_val: some("web"),
                    }),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            initial_delay_seconds: Some(0),
            period_seconds: Some(7),
            ..Default::default()
        }),
        stdin: Some(false),
        ..Default::default()
    }
}

fn container_json(name: &str, image: &str, port: i32) -> Value {
    json!({
        "name": name, "image": image,
        "ports": [{"containerPort": port, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "100m"}},
        "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 7},
    })
}

fn pod_template(container: core::Container) -> Option<core::PodTemplateSpec> {
    let volumes = vec![core::Volume {
        name: some("scratch"),
        volume_source: Some(core::VolumeSource {
            empty_dir: Some(core::EmptyDirVolumeSource {
                medium: some(""),
                size_limit: Some(Quantity { string: some("10Mi") }),
            }),
            ..Default::default()
        }),
    }];
    let spec = core::PodSpec {
        containers: vec![container],
        volumes,
        restart_policy: some(""),
        host_network: Some(false),
        termination_grace_period_seconds: Some(0),
        ..Default::default()
    };
    Some(core::PodTemplateSpec { metadata: metadata(""), spec: Some(spec) })
}

fn pod_template_json(container: Value) -> Value {
    json!({"metadata": {}, "spec": {
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "10Mi"}}],
        "terminationGracePeriodSeconds": 0,
    }})
}

fn name() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-z][a-z0-9-]{0,12}").expect("a regular expression")
}

proptest! {
    #[test]
    fn deployments_read_as_their_json(
        (app, tag) in (name(), name()), replicas in proptest::option::of(0..1000), port: u16,
    ) {
        let selector = BTreeMap::from([("app".to_owned(), app.clone())]);
        let deployment = apps::Deployment {
            metadata: metadata(&app),
            spec: Some(apps::DeploymentSpec {
                replicas,
                selector: Some(meta::LabelSelector { match_labels: selector, ..Default::default() }),
                template: pod_template(container(&app, &tag, port.into())),
                strategy: Some(apps::DeploymentStrategy {
                    r#type: some(""),
                    rolling_update: Some(apps::RollingUpdateDeployment {
                        max_surge: Some(IntOrString { r#type: Some(0), int_val: Some(0), str_val: some("") }),
                        max_unavailable: None,
                    }),
                }),
                min_ready_seconds: Some(0),
                paused: Some(false),
                ..Default::default()
            }),
            status: Some(apps::DeploymentStatus { replicas: Some(0), ..Default::default() }),
        };
        let mut expect = json!({
            "metadata": {"name": app},
            "spec": {
                "selector": {"matchLabels": {"app": app}},
                "template": pod_template_json(container_json(&app, &tag, port.into())),
                "strategy": {"rollingUpdate": {"maxSurge": 0}},
            },
            "status": {},
        });
        if let Some(replicas) = replicas {
            expect["spec"]["replicas"] = json!(replicas);
        }
        check("apps/v1", "Deployment", &deployment, expect);
    }

    #[test]
    fn secrets_read_as_their_json(key in name(), bytes: Vec<u8>, immutable: Option<bool>) {
        use base64::Engine as _;
        let secret = core::Secret {
            metadata: metadata("s"),
            data: BTreeMap::from([(key.clone(), bytes.clone())]),
            immutable,
            r#type: some("Opaque"),
            ..Default::default()
        };
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        let mut expect = json!({"metadata": {"name": "s"}, "data": {key: text}, "type": "Opaque"});
        if let Some(immutable) = immutable {
            expect["immutable"] = json!(immutable);
        }
        check("v1", "Secret", &secret, expect);
    }

    #[test]
    fn times_keep_their_precision(seconds in -1_000_000_000..4_000_000_000_i64, micros in 0..1_000_000_i32) {
        let lease = coordination::Lease {
            metadata: metadata("l"),
            spec: Some(coordination::LeaseSpec {
                holder_identity: some(""),
                renew_time: Some(meta::MicroTime { seconds: Some(seconds), nanos: Some(micros * 1000) }),
                ..Default::default()
            }),
        };
        let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(micros) * 1000;
        let time = jiff::Timestamp::from_nanosecond(nanos).expect("in range");
        let found = decode(&body("coordination.k8s.io/v1", "Lease", &lease), NONE).expect("well formed");
        let text = found["spec"]["renewTime"].as_str().expect("a string").to_owned();
        prop_assert_eq!(text.len(), "2006-01-02T15:04:05.000000Z".len());
        prop_assert_eq!(text.parse::<jiff::Timestamp>().expect("RFC 3339"), time);
        prop_assert_eq!(&found["spec"]["holderIdentity"], "");
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 0..400_usize, at in 0..400_usize, with: u8) {
        let kinds = [("v1", "Pod"), ("apps/v1", "Deployment"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")];
        for (api_version, kind) in kinds {
            let unknown = Unknown {
                type_meta: Some(TypeMeta { api_version: some(api_version), kind: some(kind) }),
                raw: Some(bytes.clone()),
                ..Default::default()
            };
            let _ = decode(&[b"k8s\0".as_slice(), &unknown.encode_to_vec()].concat(), NONE);
        }
        let _ = decode(&bytes, NONE);
        let pod = core::Pod {
            metadata: metadata("p"),
            spec: pod_template(container("c", "i", 80)).and_then(|template| template.spec),
            status: None,
        };
        let mut broken = body("v1", "Pod", &pod);
        broken.truncate(broken.len().saturating_sub(cut));
        if let Some(byte) = broken.get_mut(at) {
            *byte = with;
        }
        let _ = decode(&broken, NONE);
    }
}

#[test]
fn what_kubectl_create_sends_is_read() {
    let ready = meta::Time { seconds: Some(1_700_000_000), nanos: Some(0) };
    check(
        "v1",
        "ConfigMap",
        &core::ConfigMap {
            metadata: metadata("c"),
            data: BTreeMap::from([("a".to_owned(), String::new())]),
            ..Default::default()
        },
        json!({"metadata": {"name": "c"}, "data": {"a": ""}}),
    );
    check(
        "v1",
        "Namespace",
        &core::Namespace {
            metadata: metadata("n"),
            spec: Some(core::NamespaceSpec::default()),
            status: Some(core::NamespaceStatus { phase: some(""), ..Default::default() }),
        },
        json!({"metadata": {"name": "n"}, "spec": {}, "status": {}}),
    );
    check(
        "authentication.k8s.io/v1",
        "TokenRequest",
        &authentication::TokenRequest {
            metadata: metadata(""),
            spec: Some(authentication::TokenRequestSpec {
                audiences: vec!["a".to_owned()],
                expiration_seconds: Some(3600),
                bound_object_ref: None,
            }),
            status: Some(authentication::TokenRequestStatus {
                token: some(""),
                expiration_timestamp: Some(ready),
            }),
        },
        json!({
            "metadata": {},
            "spec": {"audiences": ["a"], "expirationSeconds": 3600},
            "status": {"token": "", "expirationTimestamp": "2023-11-14T22:13:20Z"},
        }),
    );
    check(
        "batch/v1",
        "Job",
        &batch::Job {
            metadata: metadata("j"),
            spec: Some(batch::JobSpec {
                backoff_limit: Some(0),
                suspend: Some(false),
                template: pod_template(container("c", "i", 1)),
                ..Default::default()
            }),
            status: Some(batch::JobStatus::default()),
        },
        json!({
            "metadata": {"name": "j"},
            "spec": {
                "backoffLimit": 0, "suspend": false,
                "template": pod_template_json(container_json("c", "i", 1)),
            },
            "status": {},
        }),
    );
}

#[test]
fn reviews_and_autoscalers_are_read() {
    check(
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
        &authorization::SelfSubjectAccessReview {
            metadata: metadata(""),
            spec: Some(authorization::SelfSubjectAccessReviewSpec {
                resource_attributes: Some(authorization::ResourceAttributes {
                    namespace: some("default"),
                    verb: some("get"),
                    resource: some("pods"),
                    group: some(""),
                    ..Default::default()
                }),
                non_resource_attributes: None,
            }),
            status: Some(authorization::SubjectAccessReviewStatus {
                allowed: Some(false),
                reason: some(""),
                ..Default::default()
            }),
        },
        json!({
            "metadata": {},
            "spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}},
            "status": {"allowed": false},
        }),
    );
    let extra = authentication::ExtraValue { items: vec!["a".to_owned(), String::new()] };
    check(
        "authentication.k8s.io/v1",
        "SelfSubjectReview",
        &authentication::SelfSubjectReview {
            metadata: metadata(""),
            status: Some(authentication::SelfSubjectReviewStatus {
                user_info: Some(authentication::UserInfo {
                    username: some("me"),
                    extra: BTreeMap::from([("scopes".to_owned(), extra)]),
                    ..Default::default()
                }),
            }),
        },
        json!({"metadata": {}, "status": {"userInfo": {"username": "me", "extra": {"scopes": ["a", ""]}}}}),
    );
    check(
        "autoscaling/v1",
        "HorizontalPodAutoscaler",
        &autoscaling::HorizontalPodAutoscaler {
            metadata: metadata("h"),
            spec: Some(autoscaling::HorizontalPodAutoscalerSpec {
                scale_target_ref: Some(autoscaling::CrossVersionObjectReference {
                    kind: some("Deployment"),
                    name: some("d"),
                    api_version: some("apps/v1"),
                }),
                min_replicas: Some(1),
                max_replicas: Some(3),
                target_cpu_utilization_percentage: Some(50),
            }),
            status: None,
        },
        json!({
            "metadata": {"name": "h"},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
                "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50,
            },
        }),
    );
}

#[test]
fn delete_options_and_schemas_are_read() {
    check(
        "v1",
        "DeleteOptions",
        &meta::DeleteOptions {
            grace_period_seconds: Some(0),
            preconditions: Some(meta::Preconditions { uid: some("u"), resource_version: None }),
            propagation_policy: some("Background"),
            ..Default::default()
        },
        json!({"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}, "propagationPolicy": "Background"}),
    );
    let props = apiextensions::JsonSchemaProps {
        r#type: some("array"),
        minimum: Some(0.0),
        items: Some(Box::new(apiextensions::JsonSchemaPropsOrArray {
            schema: Some(Box::new(apiextensions::JsonSchemaProps {
                r#type: some("string"),
                r#enum: vec![apiextensions::Json { raw: Some(br#""a""#.to_vec()) }],
                ..Default::default()
            })),
            ..Default::default()
        })),
        ..Default::default()
    };
    let definition = apiextensions::CustomResourceDefinition {
        metadata: metadata("d"),
        spec: Some(apiextensions::CustomResourceDefinitionSpec {
            versions: vec![apiextensions::CustomResourceDefinitionVersion {
                name: some("v1"),
                schema: Some(apiextensions::CustomResourceValidation {
                    open_apiv3_schema: Some(props),
                }),
                ..Default::default()
            }],
            ..Default::default()
        }),
        status: None,
    };
    let found =
        decode(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &definition), NONE);
    let found = found.expect("well formed");
    assert_eq!(
        found["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
        json!({"type": "array", "minimum": 0.0, "items": {"type": "string", "enum": ["a"]}}),
    );
}

#[test]
fn the_envelope_is_checked() {
    assert_eq!(decode(b"{}", NONE), Err(Error::NoMagic));
    let pod = core::Pod { metadata: metadata("p"), ..Default::default() };
    let unknown = body("v1", "Unheard", &pod);
    assert_eq!(
        decode(&unknown, NONE).expect_err("no such kind").to_string(),
        r#"no kind "Unheard" is registered for version "v1""#
    );
    let bare = Unknown { raw: Some(pod.encode_to_vec()), ..Default::default() };
    let bare = [b"k8s\0".as_slice(), &bare.encode_to_vec()].concat();
    let defaults = Defaults { group: "", version: "v1", kind: "Pod" };
    assert_eq!(
        decode(&bare, defaults),
        Ok(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}))
    );
    let json = Unknown { content_type: some("application/json"), ..Default::default() };
    let json = [b"k8s\0".as_slice(), &json.encode_to_vec()].concat();
    let refused = decode(&json, defaults).expect_err("not protobuf inside");
    assert_eq!(
        refused.to_string(),
        r#"unsupported content type "application/json" inside a protobuf body"#
    );
}

#[test]
fn nesting_is_bounded() {
    let mut schema = apiextensions::JsonSchemaProps::default();
    for _ in 0..60 {
        schema =
            apiextensions::JsonSchemaProps { not: Some(Box::new(schema)), ..Default::default() };
    }
    let wrap = |schema: apiextensions::JsonSchemaProps| apiextensions::CustomResourceDefinition {
        spec: Some(apiextensions::CustomResourceDefinitionSpec {
            versions: vec![apiextensions::CustomResourceDefinitionVersion {
                schema: Some(apiextensions::CustomResourceValidation {
                    open_apiv3_schema: Some(schema),
                }),
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let kind = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    assert!(decode(&body(kind.0, kind.1, &wrap(schema.clone())), NONE).is_ok());
    for _ in 0..60 {
        schema =
            apiextensions::JsonSchemaProps { not: Some(Box::new(schema)), ..Default::default() };
    }
    let deep = decode(&body(kind.0, kind.1, &wrap(schema)), NONE);
    assert_eq!(deep, Err(Error::Malformed(Malformed::TooDeep(100))));
}
