//! What `log`, `exec`, `attach` and `portforward` have in common: a Pod, one of its containers, and its
//! node.
//!
//! Upstream: `pkg/registry/core/pod/strategy.go` (`validateContainer`, `streamLocation`).

use std::any::Any;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::api::status;
use crate::client::node_api::{ContainerRef, NodeApi, NodeError};
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::status::{Failure, Outcome};

/// The Pod that the path names.
///
/// # Errors
/// 404 if it is not there.
pub(super) async fn read(call: &Call) -> Outcome<Pod> {
    let stored = call.server.storage().get(&call.key()).await?.ok_or_else(|| call.not_found())?;
    let decoded = call.resource.decoded(&stored)?;
    let any: &dyn Any = &*decoded;
    any.downcast_ref::<Pod>().cloned().ok_or_else(|| call.not_found())
}

/// The container that the query names, or the only one.
///
/// # Errors
/// 400 if there is no such container, or it must be named.
pub(super) fn container(call: &Call, pod: &Pod) -> Outcome<ContainerRef> {
    let spec = pod.spec.clone().unwrap_or_default();
    let container = choose(call.query.text("container"), call.name(), &spec);
    Ok(ContainerRef {
        namespace: call.namespace().to_owned(),
        pod: call.name().to_owned(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        container: container.map_err(Failure::bad_request)?,
    })
}

/// Upstream: `validateContainer`; ephemeral containers can be asked for, but are not proposed.
fn choose(asked: Option<&str>, pod: &str, spec: &PodSpec) -> Result<String, String> {
    let names: Vec<&str> = spec.containers.iter().map(|it| it.name.as_str()).collect();
    let init: Vec<&str> =
        spec.init_containers.iter().flatten().map(|it| it.name.as_str()).collect();
    let mut ephemeral = spec.ephemeral_containers.iter().flatten().map(|it| it.name.as_str());
    match (asked, &*names) {
        (Some(asked), _)
            if names.contains(&asked)
                || init.contains(&asked)
                || ephemeral.any(|name| name == asked) =>
        {
            Ok(asked.to_owned())
        }
        (Some(asked), _) => Err(format!("container {asked} is not valid for pod {pod}")),
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => {
            let mut text = format!("a container name must be specified for pod {pod}");
            if !names.is_empty() {
                text += &format!(", choose one of: [{}]", names.join(" "));
            }
            if !init.is_empty() {
                text += &format!(" or one of the init containers: [{}]", init.join(" "));
            }
            Err(text)
        }
    }
}

/// Whether the Pod has a node yet.
pub(super) fn is_assigned(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.node_name.as_ref()).is_some_and(|name| !name.is_empty())
}

/// # Errors
/// 400 if the Pod has no node yet.
pub(super) fn must_be_assigned(call: &Call, pod: &Pod) -> Outcome<()> {
    if is_assigned(pod) {
        return Ok(());
    }
    let text = format!("pod {} does not have a host assigned", call.name());
    Err(Failure::bad_request(text))
}

/// The way to the Pod's node.
///
/// # Errors
/// 503 while the node starts or stops.
pub(super) fn node(call: &Call) -> Outcome<Arc<dyn NodeApi>> {
    let away = || status::service_unavailable("the node is not there yet; try again").into();
    call.server.node().ok_or_else(away)
}

impl From<NodeError> for Failure {
    fn from(err: NodeError) -> Self {
        match err {
            NodeError::BadRequest(text) => Self::bad_request(text),
            NodeError::NotFound(text) => {
                let mut answer = status::bad_request(text);
                answer.reason = Some("NotFound".to_owned());
                answer.code = Some(404);
                answer.into()
            }
            NodeError::Internal(text) => status::internal_error(text).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(asked: Option<&str>, names: &[&str], init: &[&str], expect: Result<&str, &str>) {
        let named =
            |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        let spec = json!({"containers": named(names), "initContainers": named(init),
            "ephemeralContainers": named(&["debugger"])});
        let answer = choose(asked, "p", &serde_json::from_value(spec).unwrap());
        assert_eq!(answer.as_deref().map_err(String::as_str), expect);
    }

    #[test]
    fn a_container_is_chosen_in_upstreams_words() {
        check(None, &["a"], &[], Ok("a"));
        check(Some("i"), &["a", "b"], &["i"], Ok("i"));
        check(Some("debugger"), &["a"], &[], Ok("debugger"));
        check(Some("x"), &["a"], &[], Err("container x is not valid for pod p"));
        let text = "a container name must be specified for pod p, choose one of: [a b]";
        check(None, &["a", "b"], &[], Err(text));
        let text = format!("{text} or one of the init containers: [i]");
        check(None, &["a", "b"], &["i"], Err(&text));
    }
}
