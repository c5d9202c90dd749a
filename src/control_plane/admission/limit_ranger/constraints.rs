//! What a LimitRange allows, and the words for what it does not.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, LimitRangeItem, PersistentVolumeClaim, Pod, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::api::quantity::Quantity;

type List = BTreeMap<String, Quantity>;

/// What something asks for.
#[derive(Debug, Default)]
struct Asked {
    requests: List,
    limits: List,
}

/// Upstream: `PodValidateLimitFunc`.
pub(super) fn of_pod(pod: &Pod, items: &[LimitRangeItem]) -> Vec<String> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mut broken = Vec::new();
    for item in items {
        match item.type_.as_str() {
            "Container" => {
                let init = spec.init_containers.iter().flatten();
                for container in spec.containers.iter().chain(init) {
                    broken.extend(check(item, &Asked::by(container)));
                }
            }
            "Pod" => {
                let all = (spec.containers.as_slice(), spec.init_containers.as_deref());
                broken.extend(check(item, &Asked::by_all(all.0, all.1.unwrap_or_default())));
            }
            _ => {}
        }
    }
    broken
}

/// Upstream: `PersistentVolumeClaimValidateLimitFunc`. A claim has requests only.
pub(super) fn of_claim(claim: &PersistentVolumeClaim, items: &[LimitRangeItem]) -> Vec<String> {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let requests = list(resources.and_then(|resources| resources.requests.as_ref()));
    let items = items.iter().filter(|item| item.type_ == "PersistentVolumeClaim");
    let check = |item: &LimitRangeItem| {
        let min = each(item.min.as_ref()).filter_map(|(name, least)| {
            minimum("PersistentVolumeClaim", name, least, requests.get(name), None)
        });
        let max = each(item.max.as_ref()).filter_map(|(name, most)| {
            maximum_request("PersistentVolumeClaim", name, most, requests.get(name))
        });
        min.chain(max).collect::<Vec<_>>()
    };
    items.flat_map(check).collect()
}

fn check(item: &LimitRangeItem, asked: &Asked) -> Vec<String> {
    let of = |name: &str| (asked.requests.get(name), asked.limits.get(name));
    let type_ = item.type_.as_str();
    let min = each(item.min.as_ref()).filter_map(|(name, least)| {
        let (request, limit) = of(name);
        minimum(type_, name, least, request, limit)
    });
    let max = each(item.max.as_ref()).filter_map(|(name, most)| {
        let (request, limit) = of(name);
        maximum(type_, name, most, request, limit)
    });
    let ratio = each(item.max_limit_request_ratio.as_ref()).filter_map(|(name, most)| {
        let (request, limit) = of(name);
        ratio(type_, name, most, request, limit)
    });
    min.chain(max).chain(ratio).collect()
}

/// Upstream: `minConstraint`.
fn minimum(
    type_: &str,
    name: &str,
    least: Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Option<String> {
    let rule = format!("minimum {name} usage per {type_} is {least}");
    match (request, limit) {
        (None, _) => Some(format!("{rule}.  No request is specified")),
        (Some(request), _) if *request < least => Some(format!("{rule}, but request is {request}")),
        (_, Some(limit)) if *limit < least => Some(format!("{rule}, but limit is {limit}")),
        _ => None,
    }
}

/// Upstream: `maxConstraint`.
fn maximum(
    type_: &str,
    name: &str,
    most: Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Option<String> {
    let rule = format!("maximum {name} usage per {type_} is {most}");
    match (request, limit) {
        (_, None) => Some(format!("{rule}.  No limit is specified")),
        (_, Some(limit)) if *limit > most => Some(format!("{rule}, but limit is {limit}")),
        (Some(request), _) if *request > most => Some(format!("{rule}, but request is {request}")),
        _ => None,
    }
}

/// Upstream: `maxRequestConstraint`.
fn maximum_request(
    type_: &str,
    name: &str,
    most: Quantity,
    request: Option<&Quantity>,
) -> Option<String> {
    let rule = format!("maximum {name} usage per {type_} is {most}");
    match request {
        None => Some(format!("{rule}.  No request is specified")),
        Some(request) if *request > most => Some(format!("{rule}, but request is {request}")),
        Some(_) => None,
    }
}

/// Upstream: `limitRequestRatioConstraint`.
fn ratio(
    type_: &str,
    name: &str,
    most: Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Option<String> {
    let rule = format!("{name} max limit to request ratio per {type_} is {most}");
    let is_some = |amount: &&Quantity| !amount.is_zero();
    let Some(request) = request.filter(is_some) else {
        return Some(format!("{rule}, but no request is specified or request is 0"));
    };
    let Some(limit) = limit.filter(is_some) else {
        return Some(format!("{rule}, but no limit is specified or limit is 0"));
    };
    let ratio = limit.millis() as f64 / request.millis() as f64;
    (ratio * 1000.0 > most.millis() as f64)
        .then(|| format!("{rule}, but provided ratio is {ratio:.6}"))
}

impl Asked {
    fn by(container: &Container) -> Self {
        let empty = ResourceRequirements::default();
        let resources = container.resources.as_ref().unwrap_or(&empty);
        Self {
            requests: list(resources.requests.as_ref()),
            limits: list(resources.limits.as_ref()),
        }
    }

    /// The most that a Pod asks for at any one time: its containers together, or an init container
    /// beside the sidecars started before it. Upstream: `podRequests`, `podLimits`.
    fn by_all(containers: &[Container], init: &[Container]) -> Self {
        let mut sidecars = Self::default();
        let mut starting = Self::default();
        for container in init {
            let mut needed = Self::by(container);
            if container.restart_policy.as_deref() == Some("Always") {
                sidecars.add(&needed);
                starting.raise_to(&sidecars);
            } else {
                needed.add(&sidecars);
                starting.raise_to(&needed);
            }
        }
        let mut all = sidecars;
        containers.iter().for_each(|container| all.add(&Self::by(container)));
        all.raise_to(&starting);
        all
    }

    fn add(&mut self, other: &Self) {
        self.merge(other, |sum, amount| sum + amount);
    }

    fn raise_to(&mut self, other: &Self) {
        self.merge(other, |most, amount| if amount > most { amount } else { most });
    }

    fn merge(&mut self, other: &Self, merge: fn(Quantity, Quantity) -> Quantity) {
        let lists = [(&mut self.requests, &other.requests), (&mut self.limits, &other.limits)];
        for (own, other) in lists {
            for (name, amount) in other {
                let slot = own.entry(name.clone()).or_insert(Quantity::ZERO);
                *slot = merge(*slot, *amount);
            }
        }
    }
}

fn list(list: Option<&BTreeMap<String, ApiQuantity>>) -> List {
    each(list).map(|(name, amount)| (name.to_owned(), amount)).collect()
}

/// Validation let only well-formed quantities in.
fn each(list: Option<&BTreeMap<String, ApiQuantity>>) -> impl Iterator<Item = (&str, Quantity)> {
    let list = list.into_iter().flatten();
    list.filter_map(|(name, amount)| Some((name.as_str(), Quantity::of(amount).ok()?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_its_containers_together_or_its_largest_start() {
        let container = |cpu: &str| json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
        let mut sidecar = container("1");
        sidecar["restartPolicy"] = json!("Always");
        let pod = json!({"spec": {"containers": [container("1"), container("1")],
            "initContainers": [sidecar, container("3")]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let item = |least: &str| -> Vec<LimitRangeItem> {
            serde_json::from_value(json!([{"type": "Pod", "min": {"cpu": least}}])).unwrap()
        };
        assert_eq!(of_pod(&pod, &item("4")), Vec::<String>::new());
        let expect = "minimum cpu usage per Pod is 5, but request is 4";
        assert_eq!(of_pod(&pod, &item("5")), [expect]);
    }

    #[test]
    fn what_is_bounded_must_be_said() {
        let pod = json!({"spec": {"containers": [{"name": "c"}]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let items = json!([{"type": "Container", "min": {"cpu": "1"}, "max": {"memory": "1Gi"}}]);
        let items: Vec<LimitRangeItem> = serde_json::from_value(items).unwrap();
        let expect = [
            "minimum cpu usage per Container is 1.  No request is specified",
            "maximum memory usage per Container is 1Gi.  No limit is specified",
        ];
        assert_eq!(of_pod(&pod, &items), expect);
    }
}
