//! Every Pod runs as a ServiceAccount that exists, and its containers find a token of that account,
//! the API server's CA and the Pod's namespace in [`MOUNT_PATH`], unless account or Pod say no.
//!
//! Upstream: `plugin/pkg/admission/serviceaccount/admission.go`.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, Container, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath,
    ObjectFieldSelector, Pod, PodSpec, ProjectedVolumeSource, ServiceAccount,
    ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

use super::{Lookup, Operation, Plugin, Refusal, Request};

const DEFAULT: &str = "default";

/// Marks a Pod that a kubelet shows but the API server does not own.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// Where client libraries look for a token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How the volume's name begins.
const VOLUME_PREFIX: &str = "kube-api-access-";
/// Upstream: an odd number, by which such tokens are told from those asked for by hand.
const TOKEN_SECONDS: i64 = 60 * 60 + 7;
/// `rw-r--r--`
const FILE_MODE: i32 = 0o644;
/// Made in every namespace by the controller `root-ca-cert-publisher`.
const ROOT_CA: &str = "kube-root-ca.crt";

pub(super) struct ServiceAccounts;

#[async_trait]
impl Plugin for ServiceAccounts {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        let (operation, namespace) = (request.operation, request.namespace.to_owned());
        let Some(pod) = request.pod_mut().filter(|_| operation == Operation::Create) else {
            return Ok(());
        };
        if is_mirror(pod) {
            return check_mirror(pod);
        }
        let spec = pod.spec.get_or_insert_default();
        let name = set_name(spec);
        let account = lookup.service_account(&namespace, &name).await?;
        let account = account.ok_or_else(|| {
            let cause = format!(
                "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
            );
            Refusal::Forbidden { cause }
        })?;
        take_pull_secrets(spec, &account);
        if wants_token(spec, &account) {
            mount_token(spec, || lookup.suffix());
        }
        Ok(())
    }
}

fn is_mirror(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.is_some_and(|annotations| annotations.contains_key(MIRROR_ANNOTATION))
}

fn check_mirror(pod: &Pod) -> Result<(), Refusal> {
    let name = pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref());
    if name.is_some_and(|name| !name.is_empty()) {
        let cause = "a mirror pod may not reference service accounts".to_owned();
        return Err(Refusal::Forbidden { cause });
    }
    Ok(())
}

/// The account's name, filled in where it was left out, under its old field too.
fn set_name(spec: &mut PodSpec) -> String {
    let name = spec.service_account_name.clone().filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| DEFAULT.to_owned());
    spec.service_account_name = Some(name.clone());
    spec.service_account = Some(name.clone());
    name
}

fn take_pull_secrets(spec: &mut PodSpec, account: &ServiceAccount) {
    if spec.image_pull_secrets.as_ref().is_none_or(Vec::is_empty) {
        spec.image_pull_secrets.clone_from(&account.image_pull_secrets);
    }
}

fn wants_token(spec: &PodSpec, account: &ServiceAccount) -> bool {
    let said = spec.automount_service_account_token.or(account.automount_service_account_token);
    said.unwrap_or(true)
}

/// Ephemeral containers get none, as upstream.
fn mount_token(spec: &mut PodSpec, suffix: impl FnOnce() -> String) {
    let volumes = spec.volumes.iter().flatten();
    let there = volumes.map(|volume| &volume.name).find(|name| name.starts_with(VOLUME_PREFIX));
    let (name, is_there) = match there {
        Some(name) => (name.clone(), true),
        None => (format!("{VOLUME_PREFIX}{}", suffix()), false),
    };
    let init = spec.init_containers.iter_mut().flatten();
    let mut is_needed = false;
    for container in init.chain(&mut spec.containers) {
        if !has_own(container) {
            container.volume_mounts.get_or_insert_default().push(VolumeMount {
                name: name.clone(),
                mount_path: MOUNT_PATH.to_owned(),
                read_only: Some(true),
                ..VolumeMount::default()
            });
            is_needed = true;
        }
    }
    if is_needed && !is_there {
        spec.volumes.get_or_insert_default().push(token_volume(name));
    }
}

/// What a container mounts at that path itself is left alone.
fn has_own(container: &Container) -> bool {
    container.volume_mounts.iter().flatten().any(|mount| mount.mount_path == MOUNT_PATH)
}

fn token_volume(name: String) -> Volume {
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            audience: None,
            expiration_seconds: Some(TOKEN_SECONDS),
            path: "token".to_owned(),
        }),
        ..VolumeProjection::default()
    };
    let ca = KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None };
    let ca = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: ROOT_CA.to_owned(),
            items: Some(vec![ca]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let namespace = DownwardAPIVolumeFile {
        path: "namespace".to_owned(),
        field_ref: Some(ObjectFieldSelector {
            api_version: Some("v1".to_owned()),
            field_path: "metadata.namespace".to_owned(),
        }),
        ..DownwardAPIVolumeFile::default()
    };
    let namespace = VolumeProjection {
        downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace]) }),
        ..VolumeProjection::default()
    };
    let sources = Some(vec![token, ca, namespace]);
    let projected = ProjectedVolumeSource { default_mode: Some(FILE_MODE), sources };
    Volume { name, projected: Some(projected), ..Volume::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{Store, mutated, pod, request};
    use super::*;

    async fn names(spec: Value) -> Result<[Value; 2], String> {
        let mut spec = mutated(&ServiceAccounts, Operation::Create, spec).await?;
        Ok([spec["serviceAccountName"].take(), spec["serviceAccount"].take()])
    }

    #[tokio::test]
    async fn the_default_account_is_filled_in() {
        let names = names(json!({"containers": []})).await;
        assert_eq!(names, Ok([json!("default"), json!("default")]));
    }

    #[tokio::test]
    async fn an_account_that_is_not_there_is_named() {
        let names = names(json!({"containers": [], "serviceAccountName": "foo"})).await;
        let expect =
            r#"error looking up service account default/foo: serviceaccount "foo" not found"#;
        assert_eq!(names, Err(expect.to_owned()));
    }

    #[tokio::test]
    async fn pull_secrets_come_from_the_account_unless_given() {
        let spec = mutated(&ServiceAccounts, Operation::Create, json!({"containers": []})).await;
        assert_eq!(spec.unwrap()["imagePullSecrets"], json!([{"name": "pull"}]));
        let own = json!({"containers": [], "imagePullSecrets": [{"name": "own"}]});
        let spec = mutated(&ServiceAccounts, Operation::Create, own).await;
        assert_eq!(spec.unwrap()["imagePullSecrets"], json!([{"name": "own"}]));
    }

    fn mounted(container: &Value) -> Vec<&str> {
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        mounts.map(|mount| mount["name"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn every_container_finds_a_token() {
        let spec = json!({"initContainers": [{"name": "i"}], "containers": [{"name": "c"}]});
        let spec = mutated(&ServiceAccounts, Operation::Create, spec).await.unwrap();
        assert_eq!(
            spec["volumes"],
            json!([{"name": "kube-api-access-abcde", "projected": {
                "defaultMode": 420,
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }},
                    {"downwardAPI": {"items": [{
                        "path": "namespace",
                        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                    }]}},
                ],
            }}])
        );
        assert_eq!(
            spec["containers"][0]["volumeMounts"],
            json!([{
                "name": "kube-api-access-abcde",
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                "readOnly": true,
            }])
        );
        assert_eq!(mounted(&spec["initContainers"][0]), ["kube-api-access-abcde"]);
        let again = mutated(&ServiceAccounts, Operation::Create, spec.clone()).await;
        assert_eq!(again, Ok(spec));
    }

    #[tokio::test]
    async fn a_container_keeps_what_it_mounts_there_itself() {
        let own = json!({"name": "own", "mountPath": MOUNT_PATH});
        let spec = json!({
            "containers": [{"name": "a", "volumeMounts": [own]}],
            "volumes": [{"name": "own", "emptyDir": {}}],
        });
        let spec = mutated(&ServiceAccounts, Operation::Create, spec).await.unwrap();
        assert_eq!(mounted(&spec["containers"][0]), ["own"]);
        assert_eq!(spec["volumes"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn who_wants_no_token_gets_none() {
        let spec = json!({"containers": [{"name": "c"}], "automountServiceAccountToken": false});
        let spec = mutated(&ServiceAccounts, Operation::Create, spec).await.unwrap();
        assert_eq!(spec["volumes"], Value::Null);
        let wants = |pod: Value, account: Value| {
            let pod = serde_json::from_value(pod).unwrap();
            wants_token(&pod, &serde_json::from_value(account).unwrap())
        };
        let no = json!({"automountServiceAccountToken": false});
        assert!(!wants(json!({"containers": []}), no.clone()));
        assert!(wants(json!({"containers": [], "automountServiceAccountToken": true}), no));
    }

    #[tokio::test]
    async fn a_mirror_pod_has_no_account() {
        let mirror = |name: &str| {
            let mut pod = pod(json!({"containers": [], "serviceAccountName": name}));
            let annotation = (MIRROR_ANNOTATION.to_owned(), "hash".to_owned());
            pod.metadata.annotations = Some([annotation].into());
            pod
        };
        let (mut without, mut with) = (mirror(""), mirror("default"));
        let outcome =
            ServiceAccounts.mutate(&mut request(Operation::Create, &mut without), &Store).await;
        assert_eq!(outcome, Ok(()));
        let outcome =
            ServiceAccounts.mutate(&mut request(Operation::Create, &mut with), &Store).await;
        let cause = "a mirror pod may not reference service accounts".to_owned();
        assert_eq!(outcome, Err(Refusal::Forbidden { cause }));
    }
}
