//! Holds new Pods and claims to their namespace's LimitRanges, and fills in what containers leave out.
//! Several ranges hold all together; of two defaults the first range's counts, by name.
//!
//! Upstream: `plugin/pkg/admission/limitranger/admission.go`.

mod constraints;
mod defaults;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod};

use super::{Lookup, Operation, Plugin, Refusal, Request};

pub(super) struct LimitRanger;

#[async_trait]
impl Plugin for LimitRanger {
    fn name(&self) -> &'static str {
        "LimitRanger"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        // What a Pod's containers ask for does not change afterwards.
        if request.operation != Operation::Create {
            return Ok(());
        }
        let namespace = request.namespace;
        let Some(pod) = request.pod_mut() else { return Ok(()) };
        for range in lookup.limit_ranges(namespace).await? {
            defaults::fill_in(pod, items(&range));
        }
        Ok(())
    }

    async fn validate(&self, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        let Some(object) = request.object.as_deref().filter(|_| request.subresource.is_empty())
        else {
            return Ok(());
        };
        let pod = object.downcast_ref::<Pod>().filter(|_| request.operation == Operation::Create);
        let claim = object.downcast_ref::<PersistentVolumeClaim>();
        // What is on its way out may still lose its finalizers.
        let claim = claim.filter(|claim| claim.metadata.deletion_timestamp.is_none());
        if pod.is_none() && claim.is_none() {
            return Ok(());
        }
        let ranges = lookup.limit_ranges(request.namespace).await?;
        // The first range that is not kept is told of.
        for range in &ranges {
            let of_pod = pod.map(|pod| constraints::of_pod(pod, items(range)));
            let of_claim = claim.map(|claim| constraints::of_claim(claim, items(range)));
            let broken = of_pod.into_iter().chain(of_claim).flatten().collect::<Vec<_>>();
            if let Some(cause) = aggregate(broken) {
                return Err(Refusal::Forbidden { cause });
            }
        }
        Ok(())
    }
}

fn items(range: &Arc<LimitRange>) -> &[LimitRangeItem] {
    range.spec.as_ref().map(|spec| spec.limits.as_slice()).unwrap_or_default()
}

/// As Go prints an aggregate of errors, each once.
fn aggregate(mut broken: Vec<String>) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    broken.retain(|one| seen.insert(one.clone()));
    match broken.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{Store, pod, request, request_for};
    use super::*;

    /// The Store's namespace `ranged` has a range: containers 100m to 1 CPU, by default 500m; at
    /// most twice as much memory as requested; claims of 1Gi to 2Gi.
    async fn admitted(resources: Value) -> Result<Value, String> {
        let mut pod = pod(json!({"containers": [{"name": "c", "resources": resources}]}));
        let mut request = request(Operation::Create, &mut pod);
        request.namespace = "ranged";
        let refused = |refusal: Refusal| refusal.to_string();
        LimitRanger.mutate(&mut request, &Store).await.map_err(refused)?;
        LimitRanger.validate(&request, &Store).await.map_err(refused)?;
        Ok(serde_json::to_value(&pod).unwrap())
    }

    #[tokio::test]
    async fn who_asks_for_nothing_gets_the_defaults_and_is_told() {
        let pod = admitted(json!({"requests": {"memory": "1Mi"}, "limits": {"memory": "2Mi"}}));
        let pod = pod.await.unwrap();
        let resources = &pod["spec"]["containers"][0]["resources"];
        assert_eq!(resources["limits"], json!({"cpu": "500m", "memory": "2Mi"}));
        assert_eq!(resources["requests"], json!({"cpu": "250m", "memory": "1Mi"}));
        let note = "LimitRanger plugin set: cpu request for container c; cpu limit for container c";
        assert_eq!(pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"], note);
    }

    #[tokio::test]
    async fn bounds_are_told_in_upstreams_words() {
        let memory = ("memory", "1Mi");
        let refusal = |cpu: &'static str, limit: &'static str| async move {
            admitted(json!({"requests": {"cpu": cpu, memory.0: memory.1},
                "limits": {"cpu": limit, memory.0: limit_of(limit)}}))
            .await
            .unwrap_err()
        };
        fn limit_of(cpu: &str) -> &'static str {
            if cpu == "1" { "3Mi" } else { "1Mi" }
        }
        let text = "maximum cpu usage per Container is 1, but limit is 2";
        assert_eq!(refusal("1", "2").await, text);
        let text = "minimum cpu usage per Container is 100m, but request is 50m";
        assert_eq!(refusal("50m", "500m").await, text);
        let text =
            "memory max limit to request ratio per Container is 2, but provided ratio is 3.000000";
        assert_eq!(refusal("1", "1").await, text);
        assert_eq!(
            admitted(json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "2"}}))
                .await
                .unwrap_err(),
            "[minimum cpu usage per Container is 100m, but request is 50m, maximum cpu usage per \
             Container is 1, but limit is 2, memory max limit to request ratio per Container is 2, \
             but no request is specified or request is 0]"
        );
    }

    #[tokio::test]
    async fn claims_are_held_to_their_size_whenever_it_is_said() {
        let check = |size: &'static str, operation, expect: Option<&'static str>| async move {
            let claim = json!({"spec": {"resources": {"requests": {"storage": size}}}});
            let mut claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
            let mut request = request_for(operation, "persistentvolumeclaims", &mut claim);
            request.namespace = "ranged";
            let answer = LimitRanger.validate(&request, &Store).await;
            let told = answer.err().map(|refusal| refusal.to_string());
            assert_eq!(told.as_deref(), expect);
        };
        check("1Gi", Operation::Create, None).await;
        let small = "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi";
        check("1Mi", Operation::Create, Some(small)).await;
        let large = "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi";
        check("3Gi", Operation::Update, Some(large)).await;
    }
}
