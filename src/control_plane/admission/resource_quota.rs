//! Holds what is created, or grows, to the namespace's ResourceQuotas.
//!
//! What is used is counted from the objects that are stored, with nobody else of the namespace writing until
//! this one is written (`apiserver/admission`): so no two get the last place, and no tally can go wrong.
//!
//! Upstream: `plugin/pkg/admission/resourcequota`.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};

use super::{Lookup, Operation, Plugin, Refusal, Request};
use crate::api::quota::{self, Usage};

pub(super) struct ResourceQuotas;

#[async_trait]
impl Plugin for ResourceQuotas {
    fn name(&self) -> &'static str {
        "ResourceQuota"
    }

    async fn validate(&self, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        let Some(object) = request.object.as_deref().filter(|_| request.subresource.is_empty())
        else {
            return Ok(());
        };
        if request.namespace.is_empty() || request.resource == "events" {
            return Ok(());
        }
        let quotas = lookup.resource_quotas(request.namespace).await?;
        if quotas.is_empty() {
            return Ok(());
        }
        let now = lookup.now();
        let (group, resource) = (request.group, request.resource);
        let mut asked = quota::of(group, resource, object, now);
        if let Some(old) = request.old {
            let had = quota::of(group, resource, old, now);
            for (name, amount) in &mut asked {
                if let Some(had) = had.get(name) {
                    *amount = *amount - *had;
                }
            }
        }
        asked.retain(|_, amount| !amount.is_zero() && !amount.is_negative());
        let about = |quota: &&std::sync::Arc<ResourceQuota>| quota::covers(quota, object);
        for one in quotas.iter().filter(about) {
            let hard = quota::hard(one);
            let name = one.metadata.name.as_deref().unwrap_or_default();
            let pod = object.downcast_ref::<Pod>();
            let pod = pod.filter(|_| request.operation == Operation::Create);
            if let Some(what) = pod.and_then(|pod| quota::left_out(&hard, pod)) {
                return Err(Refusal::Forbidden { cause: format!("failed quota: {name}: {what}") });
            }
            let asked = quota::within(&hard, &asked);
            if asked.is_empty() {
                continue;
            }
            let mut used = Usage::new();
            for other in lookup.objects(group, resource, request.namespace).await? {
                if quota::covers(one, &*other) {
                    let of_other = quota::of(group, resource, &*other, now);
                    quota::add(&mut used, &quota::within(&hard, &of_other));
                }
            }
            if let Some(cause) = exceeded(name, &hard, &used, &asked) {
                return Err(Refusal::Forbidden { cause });
            }
        }
        Ok(())
    }
}

fn exceeded(name: &str, hard: &Usage, used: &Usage, asked: &Usage) -> Option<String> {
    let mut sum = asked.clone();
    quota::add(&mut sum, used);
    let over: Vec<&String> = asked.keys().filter(|name| sum.get(*name) > hard.get(*name)).collect();
    if over.is_empty() {
        return None;
    }
    let of = |usage: &Usage| -> String {
        let zero = crate::api::quantity::Quantity::ZERO;
        let amount = |name: &&String| {
            let amount = usage.get(*name).copied().unwrap_or(zero);
            ((*name).clone(), amount)
        };
        quota::listed(&over.iter().map(amount).collect())
    };
    Some(format!(
        "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
        of(asked),
        of(used),
        of(hard)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{Store, pod, request};
    use super::*;

    /// The Store's namespace `rationed` may have 2 Pods and 1 CPU; it has one Pod, of 600m.
    async fn check(spec: Value, expect: Result<(), &str>) {
        let mut pod = pod(spec);
        let mut request = request(Operation::Create, &mut pod);
        request.namespace = "rationed";
        let told = ResourceQuotas.validate(&request, &Store).await;
        assert_eq!(told.map_err(|it| it.to_string()), expect.map_err(str::to_owned));
    }

    fn asking(cpu: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]})
    }

    #[tokio::test]
    async fn what_would_be_too_much_is_told_in_upstreams_words() {
        check(asking("400m"), Ok(())).await;
        let told = "exceeded quota: ration, requested: requests.cpu=401m, used: requests.cpu=600m, \
                    limited: requests.cpu=1";
        check(asking("401m"), Err(told)).await;
        let told = "failed quota: ration: must specify requests.cpu for: c";
        check(json!({"containers": [{"name": "c"}]}), Err(told)).await;
    }

    #[test]
    fn only_what_is_exceeded_is_listed() {
        let usage = |pairs: &[(&str, i64)]| -> Usage {
            let amount = |millis| crate::api::quantity::Quantity::from_millis(millis);
            pairs.iter().map(|(name, it)| ((*name).to_owned(), amount(*it))).collect()
        };
        let hard = usage(&[("pods", 2_000), ("requests.cpu", 1_000)]);
        let used = usage(&[("pods", 2_000), ("requests.cpu", 100)]);
        let asked = usage(&[("pods", 1_000), ("requests.cpu", 100)]);
        let told = "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2";
        assert_eq!(exceeded("q", &hard, &used, &asked).as_deref(), Some(told));
    }
}
