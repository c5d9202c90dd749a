//! Nothing is made in a namespace that is not there or is going; some namespaces never go.
//!
//! Upstream: `k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go`.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;

use super::{Lookup, Operation, Plugin, Refusal, Request};

/// A cluster without them does not work; ours reports node leases in the last.
const IMMORTAL: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];

pub(super) struct NamespaceLifecycle;

#[async_trait]
impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        if (request.group, request.resource) == ("", "namespaces") {
            return check_deletion(request);
        }
        if !concerns_namespace(request) {
            return Ok(());
        }
        let namespace = lookup.namespace(request.namespace).await?;
        check_namespace(request, namespace.as_deref())
    }
}

fn check_deletion(request: &Request<'_>) -> Result<(), Refusal> {
    if request.operation == Operation::Delete && IMMORTAL.contains(&request.name) {
        let cause = "this namespace may not be deleted".to_owned();
        return Err(Refusal::Forbidden { cause });
    }
    Ok(())
}

/// Deletions are always welcome, and a review must not tell which namespaces there are.
fn concerns_namespace(request: &Request<'_>) -> bool {
    let writes = matches!(request.operation, Operation::Create | Operation::Update);
    let review = request.group == "authorization.k8s.io";
    writes && !request.namespace.is_empty() && !review
}

fn check_namespace(request: &Request<'_>, namespace: Option<&Namespace>) -> Result<(), Refusal> {
    let name = request.namespace.to_owned();
    let Some(namespace) = namespace else {
        return Err(Refusal::NamespaceNotFound { namespace: name });
    };
    let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
    let going = phase == Some("Terminating") || namespace.metadata.deletion_timestamp.is_some();
    if going && request.operation == Operation::Create {
        return Err(Refusal::NamespaceTerminating { namespace: name });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Store, pod, request};
    use super::*;

    #[track_caller]
    fn check(outcome: Result<(), Refusal>, expect: Result<(), &str>) {
        let outcome = outcome.map_err(|refusal| refusal.to_string());
        assert_eq!(outcome.as_ref().map_err(String::as_str).copied(), expect);
    }

    async fn in_namespace(operation: Operation, namespace: &str) -> Result<(), Refusal> {
        let mut pod = pod(json!({"containers": []}));
        let mut request = request(operation, &mut pod);
        request.namespace = namespace;
        NamespaceLifecycle.mutate(&mut request, &Store).await
    }

    async fn delete_namespace(name: &str) -> Result<(), Refusal> {
        let mut pod = pod(json!({"containers": []}));
        let mut request = request(Operation::Delete, &mut pod);
        (request.resource, request.namespace, request.name) = ("namespaces", "", name);
        NamespaceLifecycle.mutate(&mut request, &Store).await
    }

    #[tokio::test]
    async fn objects_need_a_namespace_that_stays() {
        use Operation::{Create, Delete, Update};
        let missing = r#"namespaces "nowhere" not found"#;
        let going =
            "unable to create new content in namespace going because it is being terminated";
        check(in_namespace(Create, "default").await, Ok(()));
        check(in_namespace(Create, "nowhere").await, Err(missing));
        check(in_namespace(Update, "nowhere").await, Err(missing));
        check(in_namespace(Delete, "nowhere").await, Ok(()));
        check(in_namespace(Create, "going").await, Err(going));
        check(in_namespace(Update, "going").await, Ok(()));
        check(in_namespace(Create, "").await, Ok(()));
    }

    #[tokio::test]
    async fn some_namespaces_never_go() {
        for name in IMMORTAL {
            check(delete_namespace(name).await, Err("this namespace may not be deleted"));
        }
        check(delete_namespace("shop").await, Ok(()));
    }
}
