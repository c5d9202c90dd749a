//! A Pod's priority follows from its class.
//!
//! PriorityClass is not a kind of ours yet: there are the two classes every cluster has, and none.
//!
//! Upstream: `plugin/pkg/admission/priority/admission.go`.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::{Lookup, Operation, Plugin, Refusal, Request};

/// Upstream: `pkg/apis/scheduling/v1/helpers.go`.
const CLASSES: &[(&str, i32)] =
    &[("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// Of a Pod without a class.
const PRIORITY_DEFAULT: i32 = 0;
const PREEMPTION_POLICY: &str = "PreemptLowerPriority";

pub(super) struct Priority;

#[async_trait]
impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    async fn mutate(&self, request: &mut Request<'_>, _lookup: &dyn Lookup) -> Result<(), Refusal> {
        let operation = request.operation;
        let old = request.old.and_then(|old| old.downcast_ref::<Pod>()).cloned();
        let Some(spec) = request.pod_mut().and_then(|pod| pod.spec.as_mut()) else {
            return Ok(());
        };
        match (operation, old.and_then(|old| old.spec)) {
            (Operation::Create, _) => set_priority(spec),
            (Operation::Update, Some(old)) => {
                keep_priority(spec, &old);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn set_priority(spec: &mut PodSpec) -> Result<(), Refusal> {
    let forbidden = |cause: String| Err(Refusal::Forbidden { cause });
    let computed = match spec.priority_class_name.as_deref().unwrap_or_default() {
        "" => PRIORITY_DEFAULT,
        name => match CLASSES.iter().find(|(class, _)| *class == name) {
            Some((_, priority)) => *priority,
            None => return forbidden(format!("no PriorityClass with name {name} was found")),
        },
    };
    if let Some(given) = spec.priority.filter(|given| *given != computed) {
        return forbidden(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; \
             priority admission controller computed {computed} from the given PriorityClass name"
        ));
    }
    let policy = spec.preemption_policy.as_deref();
    if let Some(given) = policy.filter(|given| *given != PREEMPTION_POLICY) {
        return forbidden(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; \
             priority admission controller computed {PREEMPTION_POLICY} from the given \
             PriorityClass name"
        ));
    }
    spec.priority = Some(computed);
    spec.preemption_policy = Some(PREEMPTION_POLICY.to_owned());
    Ok(())
}

/// An update that leaves them out does not mean to change them.
fn keep_priority(spec: &mut PodSpec, old: &PodSpec) {
    if spec.priority.is_none() {
        spec.priority = old.priority;
    }
    if spec.preemption_policy.is_none() {
        spec.preemption_policy.clone_from(&old.preemption_policy);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{Store, mutated, pod, request};
    use super::*;

    async fn check(spec: Value, expect: Result<i32, &str>) {
        let spec = mutated(&Priority, Operation::Create, spec).await;
        let outcome = spec.map(|spec| {
            assert_eq!(spec["preemptionPolicy"], "PreemptLowerPriority");
            spec["priority"].clone()
        });
        assert_eq!(outcome, expect.map(Value::from).map_err(str::to_owned));
    }

    #[tokio::test]
    async fn the_class_decides() {
        check(json!({"containers": []}), Ok(0)).await;
        check(json!({"containers": [], "priority": 0}), Ok(0)).await;
        let critical = json!({"containers": [], "priorityClassName": "system-node-critical"});
        check(critical, Ok(2_000_001_000)).await;
        let unknown = json!({"containers": [], "priorityClassName": "x"});
        check(unknown, Err("no PriorityClass with name x was found")).await;
        let refusal = "the integer value of priority (5) must not be provided in pod spec; \
                       priority admission controller computed 0 from the given PriorityClass name";
        check(json!({"containers": [], "priority": 5}), Err(refusal)).await;
    }

    #[tokio::test]
    async fn an_update_keeps_what_it_leaves_out() {
        let old = pod(json!({"containers": [], "priority": 7, "preemptionPolicy": "Never"}));
        let mut new = pod(json!({"containers": []}));
        let mut request = request(Operation::Update, &mut new);
        request.old = Some(&old);
        Priority.mutate(&mut request, &Store).await.unwrap();
        assert_eq!(new, old);
    }
}
