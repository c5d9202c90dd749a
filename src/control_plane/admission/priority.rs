//! A Pod's priority follows from its class; one without a class gets the default one, if there is one.
//!
//! Upstream: `plugin/pkg/admission/priority/admission.go`.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::api::scheduling::v1::PriorityClass;

use super::{Lookup, Operation, Plugin, Refusal, Request};

/// Of a Pod without a class.
const PRIORITY_DEFAULT: i32 = 0;
const PREEMPTION_POLICY: &str = "PreemptLowerPriority";

pub(super) struct Priority;

#[async_trait]
impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        let operation = request.operation;
        let old = request.old.and_then(|old| old.downcast_ref::<Pod>());
        let Some(spec) = request.pod_mut().and_then(|pod| pod.spec.as_mut()) else {
            return Ok(());
        };
        match (operation, old.and_then(|old| old.spec.as_ref())) {
            (Operation::Create, _) => {
                let class = class_of(spec, lookup).await?;
                set_priority(spec, class.as_deref())
            }
            (Operation::Update, Some(old)) => {
                keep_priority(spec, old);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn validate(&self, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        let object = request.object.as_deref().and_then(|it| it.downcast_ref::<PriorityClass>());
        let Some(class) = object.filter(|class| class.global_default == Some(true)) else {
            return Ok(());
        };
        let default = lookup.default_priority_class().await?;
        let other = default.and_then(|it| it.metadata.name.clone());
        match other.filter(|name| class.metadata.name.as_ref() != Some(name)) {
            None => Ok(()),
            Some(name) => Err(Refusal::Forbidden {
                cause: format!(
                    "PriorityClass {name} is already marked as default. Only one default can exist"
                ),
            }),
        }
    }
}

/// The class that the Pod names, or the default one.
async fn class_of(
    spec: &PodSpec,
    lookup: &dyn Lookup,
) -> Result<Option<Arc<PriorityClass>>, Refusal> {
    match spec.priority_class_name.as_deref().unwrap_or_default() {
        "" => Ok(lookup.default_priority_class().await?),
        name => match lookup.priority_class(name).await? {
            Some(class) => Ok(Some(class)),
            None => {
                let cause = format!("no PriorityClass with name {name} was found");
                Err(Refusal::Forbidden { cause })
            }
        },
    }
}

fn set_priority(spec: &mut PodSpec, class: Option<&PriorityClass>) -> Result<(), Refusal> {
    let forbidden = |cause: String| Err(Refusal::Forbidden { cause });
    let computed = class.map_or(PRIORITY_DEFAULT, |class| class.value);
    let computed_policy = class.and_then(|class| class.preemption_policy.as_deref());
    let computed_policy = computed_policy.unwrap_or(PREEMPTION_POLICY);
    if let Some(given) = spec.priority.filter(|given| *given != computed) {
        return forbidden(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; \
             priority admission controller computed {computed} from the given PriorityClass name"
        ));
    }
    let policy = spec.preemption_policy.as_deref();
    if let Some(given) = policy.filter(|given| *given != computed_policy) {
        return forbidden(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; \
             priority admission controller computed {computed_policy} from the given \
             PriorityClass name"
        ));
    }
    spec.priority = Some(computed);
    spec.preemption_policy = Some(computed_policy.to_owned());
    if let Some(class) = class {
        spec.priority_class_name.clone_from(&class.metadata.name);
    }
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
        let high = json!({"containers": [], "priorityClassName": "high", "priority": 1000});
        check(high, Ok(1000)).await;
        let unknown = json!({"containers": [], "priorityClassName": "x"});
        check(unknown, Err("no PriorityClass with name x was found")).await;
        let refusal = "the integer value of priority (5) must not be provided in pod spec; \
                       priority admission controller computed 0 from the given PriorityClass name";
        check(json!({"containers": [], "priority": 5}), Err(refusal)).await;
    }

    #[tokio::test]
    async fn a_class_says_whether_others_are_sent_away() {
        let meek = json!({"containers": [], "priorityClassName": "meek"});
        let spec = mutated(&Priority, Operation::Create, meek).await.unwrap();
        assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(7), &json!("Never")));
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
