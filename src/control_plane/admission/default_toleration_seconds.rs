//! A Pod stays for five minutes on a node that is not ready or not reachable.
//!
//! Upstream: `plugin/pkg/admission/defaulttolerationseconds/admission.go`.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{PodSpec, Toleration};

use super::{Lookup, Operation, Plugin, Refusal, Request};

const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const NO_EXECUTE: &str = "NoExecute";
const SECONDS: i64 = 300;

pub(super) struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    async fn mutate(&self, request: &mut Request<'_>, _lookup: &dyn Lookup) -> Result<(), Refusal> {
        if !matches!(request.operation, Operation::Create | Operation::Update) {
            return Ok(());
        }
        if let Some(spec) = request.pod_mut().and_then(|pod| pod.spec.as_mut()) {
            add_tolerations(spec);
        }
        Ok(())
    }
}

fn add_tolerations(spec: &mut PodSpec) {
    for taint in TAINTS {
        let tolerations = spec.tolerations.get_or_insert_default();
        if !tolerations.iter().any(|toleration| tolerates(toleration, taint)) {
            tolerations.push(Toleration {
                key: Some(taint.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some(NO_EXECUTE.to_owned()),
                toleration_seconds: Some(SECONDS),
                value: None,
            });
        }
    }
}

/// An absent key or effect stands for every one.
fn tolerates(toleration: &Toleration, taint: &str) -> bool {
    let covers = |field: &Option<String>, value: &str| match field.as_deref() {
        None | Some("") => true,
        Some(field) => field == value,
    };
    covers(&toleration.key, taint) && covers(&toleration.effect, NO_EXECUTE)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::mutated;
    use super::*;

    async fn check(tolerations: Value, expect: Value) {
        let spec = json!({"containers": [], "tolerations": tolerations});
        let spec = mutated(&DefaultTolerationSeconds, Operation::Create, spec).await.unwrap();
        assert_eq!(spec["tolerations"], expect);
    }

    fn seconds(taint: &str) -> Value {
        json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    }

    #[tokio::test]
    async fn what_is_not_tolerated_yet_is_tolerated_for_a_while() {
        let [not_ready, unreachable] = TAINTS.map(seconds);
        check(json!([]), json!([not_ready, unreachable])).await;
        let own = json!({"key": TAINTS[0], "operator": "Exists"});
        check(json!([own]), json!([own, unreachable])).await;
        let other_effect = json!({"key": TAINTS[1], "effect": "NoSchedule"});
        check(json!([other_effect]), json!([other_effect, not_ready, unreachable])).await;
        let all = json!({"operator": "Exists"});
        check(json!([all]), json!([all])).await;
    }
}
