//! POST of `pods/binding`: the scheduler's decision where a Pod runs.
//!
//! Upstream: `BindingREST` in `pkg/registry/core/pod/storage/storage.go`.

use std::any::Any;

use http::{Response, StatusCode};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Binding, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, Time};

use crate::api::object::GroupResource;
use crate::api::schema::strict::FieldValidation;
use crate::api::status;
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::decode;
use crate::control_plane::apiserver::render;
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::apiserver::verbs::{Part, modify};
use crate::control_plane::registry::{AnyObject, Decoded};
use crate::control_plane::storage::Stored;

pub(super) async fn run(mut call: Call) -> Outcome<Response<Body>> {
    let dry = call.dry_run("CreateOptions")?;
    let binding = read(&mut call)?;
    let propose = |call: &mut Call, _: &Stored, old: &Decoded| bound(call, old, &binding);
    modify(&mut call, Part::Decided, dry, propose).await?;
    let done = Status {
        status: Some("Success".to_owned()),
        code: Some(i32::from(StatusCode::CREATED.as_u16())),
        ..Status::default()
    };
    Ok(render::response(StatusCode::CREATED, call.output.encoding, render::json(&done)?))
}

fn read(call: &mut Call) -> Outcome<Binding> {
    let resource = call
        .server
        .resource("", "v1", "bindings")
        .ok_or_else(|| Failure::internal(&"the kind Binding is missing"))?;
    let object = decode::object_of(call, resource, FieldValidation::Ignore)?;
    let faults = resource.validate(&*object);
    if !faults.is_empty() {
        let kind = crate::api::object::GroupKind::new("", "Binding");
        return Err(status::invalid(&kind, call.name(), &faults).into());
    }
    let any: Box<dyn Any> = object;
    let binding = any.downcast::<Binding>().map_err(|_| Failure::internal(&"not a Binding"))?;
    Ok(*binding)
}

fn bound(call: &Call, old: &Decoded, binding: &Binding) -> Outcome<Box<dyn AnyObject>> {
    let any: &dyn Any = &**old;
    let pod = any.downcast_ref::<Pod>().ok_or_else(|| call.not_found())?;
    let mut pod = pod.clone();
    assign(&mut pod, binding, call.now).map_err(|why| {
        let resource = GroupResource::new("", "pods/binding");
        Failure::from(status::conflict(&resource, call.name(), why))
    })?;
    pod.metadata.uid.clone_from(&binding.metadata.uid);
    Ok(Box::new(pod))
}

/// Puts the Pod on the binding's node; answers why it cannot be.
fn assign(pod: &mut Pod, binding: &Binding, now: Timestamp) -> Result<(), String> {
    let name = pod.metadata.name.clone().unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() {
        return Err(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let spec = pod.spec.get_or_insert_default();
    if let Some(node) = spec.node_name.as_deref().filter(|node| !node.is_empty()) {
        return Err(format!("pod {name} is already assigned to node {node:?}"));
    }
    if spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        return Err(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    spec.node_name.clone_from(&binding.target.name);
    if let Some(annotations) = &binding.metadata.annotations {
        let own = pod.metadata.annotations.get_or_insert_default();
        own.extend(annotations.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "PodScheduled");
    conditions.push(PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "True".to_owned(),
        last_transition_time: Some(Time(now)),
        ..PodCondition::default()
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(pod: serde_json::Value, expect: Result<(), &str>) {
        let mut pod: Pod = serde_json::from_value(pod).unwrap();
        let binding = serde_json::from_value(json!({"target": {"name": "n"}})).unwrap();
        let found = assign(&mut pod, &binding, Timestamp::UNIX_EPOCH);
        assert_eq!(found, expect.map_err(str::to_owned));
        if expect.is_ok() {
            assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("n"));
        }
    }

    #[test]
    fn a_pod_is_bound_once_and_not_while_it_goes() {
        let spec = json!({"containers": []});
        check(json!({"metadata": {"name": "p"}, "spec": spec}), Ok(()));
        check(
            json!({"metadata": {"name": "p"}, "spec": {"containers": [], "nodeName": "m"}}),
            Err("pod p is already assigned to node \"m\""),
        );
        check(
            json!({"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}),
            Err("pod p is being deleted, cannot be assigned to a host"),
        );
    }
}
