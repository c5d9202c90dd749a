//! Bodies as kubectl 1.32 sent them, in base64, each with the JSON that `--dry-run=client -o json`
//! prints for the same command (without `creationTimestamp: null`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::TokenRequest;
use serde_json::Value;

use super::*;
use crate::api::schema;

const NONE: Defaults<'_> = Defaults { group: "", version: "", kind: "" };

const RECORDED: &[(&str, &str)] = &[
    (
        "azhzAAoPCgJ2MRIJTmFtZXNwYWNlEhkKEQoBbhIAGgAiACoAMgA4AEIAEgAaAgoAGgAiAA==",
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"},"spec":{},"status":{}}"#,
    ),
    (
        "azhzAAoPCgJ2MRIJQ29uZmlnTWFwEiMKEgoCY20SABoAIgAqADIAOABCABIGCgFhEgFiEgUKAWUSABoAIgA=",
        r#"{"apiVersion":"v1","data":{"a":"b","e":""},"kind":"ConfigMap","metadata":{"name":"cm"}}"#,
    ),
    (
        "azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRIwChEKAXESABoAIgAqADIAOABCABIZCgoKA2NwdRIDCgExCgsK\
         BHBvZHMSAwoBMBoAGgAiAA==",
        r#"{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"cpu":"1","pods":"0"}},"status":{}}"#,
    ),
    (
        "azhzAAoNCgJ2MRIHU2VydmljZRJoCh8KA3N2YxIAGgAiACoAMgA4AEIAWgoKA2FwcBIDc3ZjEkEKGwoHODAt\
         ODA4MBIDVENQGFAiBwgAEJA/GgAoABIKCgNhcHASA3N2YxoAIghOb2RlUG9ydDoAQgBSAFoAYABoABoCCgAa\
         ACIA",
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"labels":{"app":"svc"},"name":"svc"},"spec":{"ports":[{"name":"80-8080","port":80,"protocol":"TCP","targetPort":8080}],"selector":{"app":"svc"},"type":"NodePort"},"status":{"loadBalancer":{}}}"#,
    ),
    (
        "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErgBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2Vi\
         EoYBCAASDAoKCgNhcHASA3dlYhpsChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEkwSLgoFbmdpbngS\
         BW5naW54KgAyCgoAEAAYUCIAKgBCAGoAcgCAAQCIAQCQAQCiAQAaADIAQgBKAFIAWABgAGgAggEAigEAmgEA\
         wgEAIgIKACgAOAAaDAgAEAAYACAAKAA4ABoAIgA=",
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"app":"web"},"name":"web"},"spec":{"replicas":0,"selector":{"matchLabels":{"app":"web"}},"strategy":{},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"nginx","name":"nginx","ports":[{"containerPort":80}],"resources":{}}]}}},"status":{}}"#,
    ),
    (
        "azhzAAoTCghiYXRjaC92MRIHQ3JvbkpvYhKZAQoRCgFjEgAaACIAKgAyADgAQgASgQEKCSogKiAqICogKhoA\
         KnIKEQoBYxIAGgAiACoAMgA4AEIAEl0yWwoQCgASABoAIgAqADIAOABCABJHEiAKAWMSB2J1c3lib3gqAEIA\
         agByAIABAIgBAJABAKIBABoJT25GYWlsdXJlMgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAaABoAIgA=",
        r#"{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"c"},"spec":{"jobTemplate":{"metadata":{"name":"c"},"spec":{"template":{"metadata":{},"spec":{"containers":[{"image":"busybox","name":"c","resources":{}}],"restartPolicy":"OnFailure"}}}},"schedule":"* * * * *"},"status":{}}"#,
    ),
    (
        "azhzAAofChRuZXR3b3JraW5nLms4cy5pby92MRIHSW5ncmVzcxJAChEKAWkSABoAIgAqADIAOABCABInGiUK\
         A2EuYhIeChwKGgoBLxINIgsKA3N2YxIECgAQUBoGUHJlZml4GgIKABoAIgA=",
        r#"{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"i"},"spec":{"rules":[{"host":"a.b","http":{"paths":[{"backend":{"service":{"name":"svc","port":{"number":80}}},"path":"/","pathType":"Prefix"}]}}]},"status":{"loadBalancer":{}}}"#,
    ),
    (
        "azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSMwoRCgFwEgAaACIAKgAyADgAQgASEgoG\
         CAAQABoAEggKBgoBYRIBYhoKCAAYACAAKAAwABoAIgA=",
        r#"{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"p"},"spec":{"minAvailable":0,"selector":{"matchLabels":{"a":"b"}}},"status":{"currentHealthy":0,"desiredHealthy":0,"disruptionsAllowed":0,"expectedPods":0}}"#,
    ),
    (
        "azhzAAolChRzY2hlZHVsaW5nLms4cy5pby92MRINUHJpb3JpdHlDbGFzcxIwChIKAnBjEgAaACIAKgAyADgA\
         QgAQABgAIgAqFFByZWVtcHRMb3dlclByaW9yaXR5GgAiAA==",
        r#"{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"pc"},"preemptionPolicy":"PreemptLowerPriority","value":0}"#,
    ),
    (
        "azhzAAooChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESDFRva2VuUmVxdWVzdBIdChAKABIAGgAiACoAMgA4\
         AEIAEgMgkBwaBAoAEgAaACIA",
        r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","metadata":{},"spec":{"expirationSeconds":3600},"status":{"token":""}}"#,
    ),
    (
        "azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSPwoQCgAS\
         ABoAIgAqADIAOABCABIhCh8KB2RlZmF1bHQSA2dldBoAIgAqBHBvZHMyADoDbG9nGggIABIAGgAgABoAIgA=",
        r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","metadata":{},"spec":{"resourceAttributes":{"name":"log","namespace":"default","resource":"pods","verb":"get"}},"status":{"allowed":false}}"#,
    ),
];

fn recorded() -> impl Iterator<Item = (Vec<u8>, Value)> {
    let body = |body: &str| STANDARD.decode(body).expect("base64");
    RECORDED
        .iter()
        .map(move |(bytes, json)| (body(bytes), serde_json::from_str(json).expect("JSON")))
}

#[test]
fn bodies_read_as_what_kubectl_prints() {
    for (body, expect) in recorded() {
        assert_eq!(decode(&body, NONE), Ok(expect));
    }
}

/// As every body does on its way to a typed object.
fn strictly(body: &[u8], json: &Value) -> Value {
    let mut value = decode(body, NONE).expect("a body");
    let api_version = json["apiVersion"].as_str().expect("a string");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = schema::of(group, version, json["kind"].as_str().expect("a string"));
    let found = schema::strict::decode(&mut value, kind.expect("a kind of the table"));
    assert_eq!(found, Ok(Vec::new()));
    value
}

#[test]
fn what_is_read_passes_the_strict_decoder_unchanged() {
    for (body, expect) in recorded().filter(|(_, json)| json["kind"] != "TokenRequest") {
        assert_eq!(strictly(&body, &expect), expect);
    }
}

/// The zero time of its status is not on the wire; the typed form has no default for it.
#[test]
fn token_requests_have_a_typed_form() {
    let (body, json) = recorded().find(|(_, json)| json["kind"] == "TokenRequest").expect("one");
    let request: TokenRequest = serde_json::from_value(strictly(&body, &json)).expect("typed");
    assert_eq!(request.spec.expiration_seconds, Some(3600));
}
