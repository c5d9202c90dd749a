//! ReplicationControllers as ReplicaSets: to their controller they are the same.
//!
//! Upstream: `pkg/controller/replication/conversion.go`, which does it likewise.

use std::borrow::Cow;

use k8s_openapi::api::apps::v1::{
    ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus,
};
use k8s_openapi::api::core::v1::{
    ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::selector::Labels;
use crate::client::cache::Cache;
use crate::control_plane::controllers::Caches;
use crate::control_plane::controllers::ownership::Object;

/// A kind that keeps so many Pods of a template.
pub(super) trait Keeper: Object {
    fn cache(caches: &Caches) -> &Cache<Self>;

    fn as_set(&self) -> Cow<'_, ReplicaSet>;

    fn set_status(&mut self, status: ReplicaSetStatus);

    fn selector(&self) -> Labels;
}

impl Keeper for ReplicaSet {
    fn cache(caches: &Caches) -> &Cache<Self> {
        &caches.replica_sets
    }

    fn as_set(&self) -> Cow<'_, ReplicaSet> {
        Cow::Borrowed(self)
    }

    fn set_status(&mut self, status: ReplicaSetStatus) {
        self.status = Some(status);
    }

    fn selector(&self) -> Labels {
        // One that cannot be read was refused when it came; it picks nothing.
        let selector = self.spec.as_ref().map(|spec| &spec.selector);
        Labels::from_typed(selector).unwrap_or_else(|_| Labels::nothing())
    }
}

impl Keeper for ReplicationController {
    fn cache(caches: &Caches) -> &Cache<Self> {
        &caches.replication_controllers
    }

    fn as_set(&self) -> Cow<'_, ReplicaSet> {
        let spec = self.spec.clone().map(|spec| ReplicaSetSpec {
            min_ready_seconds: spec.min_ready_seconds,
            replicas: spec.replicas,
            selector: LabelSelector { match_labels: spec.selector, match_expressions: None },
            template: spec.template,
        });
        let status = self.status.clone().map(|status| ReplicaSetStatus {
            available_replicas: status.available_replicas,
            conditions: status.conditions.map(|all| all.into_iter().map(as_of_set).collect()),
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
            terminating_replicas: None,
        });
        Cow::Owned(ReplicaSet { metadata: self.metadata.clone(), spec, status })
    }

    fn set_status(&mut self, status: ReplicaSetStatus) {
        self.status = Some(ReplicationControllerStatus {
            available_replicas: status.available_replicas,
            conditions: status.conditions.map(|all| all.into_iter().map(from_set).collect()),
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
        });
    }

    fn selector(&self) -> Labels {
        let labels = self.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let labels = labels.filter(|labels| !labels.is_empty());
        labels.map_or_else(Labels::nothing, Labels::from_labels)
    }
}

fn as_of_set(condition: ReplicationControllerCondition) -> ReplicaSetCondition {
    let ReplicationControllerCondition { last_transition_time, message, reason, status, type_ } =
        condition;
    ReplicaSetCondition { last_transition_time, message, reason, status, type_ }
}

fn from_set(condition: ReplicaSetCondition) -> ReplicationControllerCondition {
    let ReplicaSetCondition { last_transition_time, message, reason, status, type_ } = condition;
    ReplicationControllerCondition { last_transition_time, message, reason, status, type_ }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_controller_is_a_set_and_its_status_comes_back() {
        let controller: ReplicationController = serde_json::from_value(json!({
            "metadata": {"name": "r"},
            "spec": {"replicas": 2, "minReadySeconds": 5, "selector": {"app": "a"},
                "template": {"spec": {"containers": []}}},
            "status": {"replicas": 2, "readyReplicas": 1, "conditions": [
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}]},
        }))
        .unwrap();
        let set = controller.as_set().into_owned();
        let value = serde_json::to_value(&set).unwrap();
        assert_eq!(value["kind"], "ReplicaSet");
        assert_eq!(value["spec"]["selector"], json!({"matchLabels": {"app": "a"}}));
        let mut again = controller.clone();
        again.set_status(set.status.unwrap());
        assert_eq!(again, controller);
        let everything = ReplicationController::default().selector();
        assert!(!everything.matches(&[("a".to_owned(), "b".to_owned())].into()));
    }
}
