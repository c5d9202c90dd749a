//! Every Pod runs as a ServiceAccount that exists.
//!
//! The volume `kube-api-access-…` is not added yet: projected volumes come first.
//!
//! Upstream: `plugin/pkg/admission/serviceaccount/admission.go`.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Pod, PodSpec, ServiceAccount};

use super::{Lookup, Operation, Plugin, Refusal, Request};

const DEFAULT: &str = "default";

/// Marks a Pod that a kubelet shows but the API server does not own.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

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
