//! What to say to the API server so that a Pod's status becomes another.
//!
//! A strategic merge patch: conditions are named one by one, so that those of others, and those that somebody
//! writes at this moment, stay as they are.
//!
//! Upstream: `PatchPodStatus` in `pkg/util/pod/pod.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::api::object::ObjectKey;
use crate::client::cache::key_of;

/// Which Pod it is.
pub(super) struct Identity {
    pub(super) key: ObjectKey,
    /// A Pod of the same name that came later refuses it.
    uid: Option<String>,
}

impl Identity {
    pub(super) fn of(pod: &Pod) -> Self {
        Self { key: key_of(pod), uid: pod.metadata.uid.clone() }
    }
}

/// The body of a PATCH of `pods/status`. Both have the kubelet's own conditions only.
///
/// # Errors
/// If a status cannot be encoded.
pub(super) fn between(
    from: &PodStatus,
    to: &PodStatus,
    of: &Identity,
) -> serde_json::Result<Box<RawValue>> {
    let (before, after) = (serde_json::to_vec(from)?, serde_json::to_vec(to)?);
    let (before, after) = (fields(&before)?, fields(&after)?);
    let mut status: BTreeMap<&str, Change<'_>> = BTreeMap::new();
    for (name, value) in &after {
        let old = before.get(name);
        if old.is_some_and(|old| old.get() == value.get()) {
            continue;
        }
        match *name {
            "conditions" => {
                let (list, order) = changed(from, to);
                status.insert(name, Change::Conditions(list));
                status.insert("$setElementOrder/conditions", Change::Order(order));
            }
            // Lists that would be merged by address.
            "hostIPs" | "podIPs" if old.is_some() => {
                let items: Vec<&RawValue> = serde_json::from_str(value.get())?;
                let directive = Item::Directive { patch: "replace" };
                let items = [directive].into_iter().chain(items.into_iter().map(Item::Value));
                status.insert(name, Change::List(items.collect()));
            }
            _ => {
                status.insert(name, Change::Value(value));
            }
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    status.extend(gone.map(|name| (*name, Change::Gone)));
    to_raw_value(&Body { metadata: Metadata { uid: of.uid.as_deref() }, status })
}

/// Field names need no escapes.
fn fields(json: &[u8]) -> serde_json::Result<BTreeMap<&str, &RawValue>> {
    serde_json::from_slice(json)
}

/// The conditions that are to change, and the order of all.
fn changed<'a>(
    from: &PodStatus,
    to: &'a PodStatus,
) -> (Vec<ConditionChange<'a>>, Vec<ConditionName<'a>>) {
    let known = from.conditions.as_deref().unwrap_or_default();
    let all = || to.conditions.iter().flatten();
    let list = all().filter(|one| !known.contains(one)).map(ConditionChange::of);
    let order = all().map(|one| ConditionName { type_: &one.type_ });
    (list.collect(), order.collect())
}

#[derive(Serialize)]
struct Body<'a> {
    metadata: Metadata<'a>,
    status: BTreeMap<&'a str, Change<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Change<'a> {
    Value(&'a RawValue),
    /// `null`
    Gone,
    List(Vec<Item<'a>>),
    Conditions(Vec<ConditionChange<'a>>),
    Order(Vec<ConditionName<'a>>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Directive {
        #[serde(rename = "$patch")]
        patch: &'static str,
    },
    Value(&'a RawValue),
}

/// What is `None` goes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConditionChange<'a> {
    #[serde(rename = "type")]
    type_: &'a str,
    status: &'a str,
    last_transition_time: Option<&'a Time>,
    reason: Option<&'a str>,
    message: Option<&'a str>,
}

impl<'a> ConditionChange<'a> {
    fn of(condition: &'a PodCondition) -> Self {
        Self {
            type_: &condition.type_,
            status: &condition.status,
            last_transition_time: condition.last_transition_time.as_ref(),
            reason: condition.reason.as_deref(),
            message: condition.message.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct ConditionName<'a> {
    #[serde(rename = "type")]
    type_: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(from: Value, to: Value, expect: Value) {
        let status = |value| serde_json::from_value::<PodStatus>(value).unwrap();
        let of = Identity { key: ObjectKey::new("", ""), uid: None };
        let patch = between(&status(from), &status(to), &of).unwrap();
        let patch: Value = serde_json::from_str(patch.get()).unwrap();
        assert_eq!(patch, json!({ "metadata": {}, "status": expect }));
    }

    #[test]
    fn what_changed_and_what_went_is_named() {
        let from = json!({ "phase": "Pending", "reason": "x", "hostIP": "10.0.0.1" });
        let to = json!({ "phase": "Running", "message": "new", "hostIP": "10.0.0.1" });
        check(from, to, json!({ "phase": "Running", "message": "new", "reason": null }));
    }

    #[test]
    fn addresses_are_replaced_not_added() {
        let (none, one) = (json!({}), json!({ "podIPs": [{ "ip": "10.42.0.2" }] }));
        check(none, one.clone(), one.clone());
        let other = json!({ "podIPs": [{ "ip": "10.42.0.3" }] });
        check(one, other, json!({ "podIPs": [{ "$patch": "replace" }, { "ip": "10.42.0.3" }] }));
    }

    #[test]
    fn only_conditions_that_change_are_written() {
        let condition = |type_: &str, status: &str, reason: Option<&str>| json!({ "type": type_, "status": status, "reason": reason });
        let before = json!({ "conditions": [
            condition("Initialized", "True", None),
            condition("Ready", "False", Some("ContainersNotReady")),
        ] });
        let after = json!({ "conditions": [
            condition("Initialized", "True", None),
            condition("Ready", "True", None),
        ] });
        let ready = json!({
            "type": "Ready", "status": "True", "lastTransitionTime": null, "reason": null,
            "message": null,
        });
        let expect = json!({
            "conditions": [ready],
            "$setElementOrder/conditions": [{ "type": "Initialized" }, { "type": "Ready" }],
        });
        check(before, after, expect);
    }
}
