//! What a Pod's failure means, by the Job's `podFailurePolicy`.
//!
//! Upstream: `pkg/controller/job/pod_failure_policy.go`.

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement as Requirement,
    PodFailurePolicyOnPodConditionsPattern as Pattern,
};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

/// What comes of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// One more towards the limit.
    Count,
    /// As if it had not been.
    Ignore,
    /// No further Pod for its index.
    FailIndex,
    /// The Job fails; the message says for what.
    FailJob(String),
}

impl Outcome {
    pub(super) fn counts(&self) -> bool {
        *self != Self::Ignore
    }
}

/// By the first rule that fits the Pod, which has failed.
pub(super) fn judge(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Outcome {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    for (at, rule) in policy.iter().flat_map(|policy| &policy.rules).enumerate() {
        let cause = if let Some(requirement) = &rule.on_exit_codes {
            matching_container(pod, requirement).map(|(container, end)| {
                let code = end.exit_code;
                format!(
                    "Container {container} for pod {namespace}/{name} failed with exit code {code}"
                )
            })
        } else {
            let patterns = rule.on_pod_conditions.as_deref().unwrap_or_default();
            matching_condition(pod, patterns)
                .map(|type_| format!("Pod {namespace}/{name} has condition {type_}"))
        };
        let Some(cause) = cause else { continue };
        match rule.action.as_str() {
            "Count" => return Outcome::Count,
            "Ignore" => return Outcome::Ignore,
            "FailIndex" => return Outcome::FailIndex,
            "FailJob" => {
                return Outcome::FailJob(format!("{cause} matching FailJob rule at index {at}"));
            }
            // One of a later version: passed over.
            _ => {}
        }
    }
    Outcome::Count
}

/// App containers first, then init containers; only those that have ended, and not with 0.
fn matching_container<'a>(
    pod: &'a Pod,
    requirement: &Requirement,
) -> Option<(&'a str, &'a ContainerStateTerminated)> {
    let status = pod.status.as_ref()?;
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let mut ended = lists.into_iter().flatten().flatten().filter_map(|status| {
        Some((status.name.as_str(), status.state.as_ref()?.terminated.as_ref()?))
    });
    ended.find(|(name, end)| {
        let is_meant = requirement.container_name.as_ref().is_none_or(|wanted| wanted == name);
        is_meant && end.exit_code != 0 && fits(end.exit_code, requirement)
    })
}

fn fits(code: i32, requirement: &Requirement) -> bool {
    let listed = requirement.values.contains(&code);
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        _ => false,
    }
}

fn matching_condition<'a>(pod: &'a Pod, patterns: &[Pattern]) -> Option<&'a str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let fits = |type_: &str, status: &str| {
        patterns.iter().any(|pattern| pattern.type_ == type_ && pattern.status == status)
    };
    let fitting = conditions.iter().find(|one| fits(&one.type_, &one.status))?;
    Some(&fitting.type_)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(code: i32, condition: &str) -> Pod {
        let end = |name: &str, code: i32| {
            json!({"name": name, "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": code}}})
        };
        serde_json::from_value(json!({
            "metadata": {"namespace": "n", "name": "p"},
            "status": {"phase": "Failed", "containerStatuses": [end("side", 0), end("main", code)],
                "initContainerStatuses": [end("first", 0)],
                "conditions": [{"type": condition, "status": "True"}]},
        }))
        .unwrap()
    }

    #[track_caller]
    fn check(rules: Value, pod: &Pod, expect: Outcome) {
        let policy = serde_json::from_value(json!({"rules": rules})).unwrap();
        assert_eq!(judge(Some(&policy), pod), expect);
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let codes = |action: &str, operator: &str, values: &[i32]| json!({"action": action, "onExitCodes": {"operator": operator, "values": values}});
        let disrupted = json!({"action": "Ignore",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]});
        let rules = json!([
            disrupted,
            codes("FailJob", "In", &[42]),
            codes("FailIndex", "NotIn", &[1, 42])
        ]);
        check(rules.clone(), &pod(42, "DisruptionTarget"), Outcome::Ignore);
        let text =
            "Container main for pod n/p failed with exit code 42 matching FailJob rule at index 1";
        check(rules.clone(), &pod(42, "Ready"), Outcome::FailJob(text.to_owned()));
        check(rules.clone(), &pod(2, "Ready"), Outcome::FailIndex);
        check(rules, &pod(1, "Ready"), Outcome::Count);
        let other = json!([{"action": "Ignore", "onExitCodes":
            {"containerName": "side", "operator": "NotIn", "values": [7]}}]);
        check(other, &pod(1, "Ready"), Outcome::Count);
        let text = "Pod n/p has condition Bad matching FailJob rule at index 0";
        let bad =
            json!([{"action": "FailJob", "onPodConditions": [{"type": "Bad", "status": "True"}]}]);
        check(bad, &pod(1, "Bad"), Outcome::FailJob(text.to_owned()));
        assert_eq!(judge(None, &pod(1, "Ready")), Outcome::Count);
    }
}
