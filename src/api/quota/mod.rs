//! What objects count for in ResourceQuotas, by the names that quotas use; and which of them a quota is about.
//!
//! The API server holds new objects to it, the controller tells how much is used: both count by this.
//!
//! Upstream: `pkg/quota/v1/evaluator`.

mod scopes;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, Pod, ResourceQuota, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::claim;
use super::quantity::{Format, Quantity};
use super::requests::{self, Resources};

pub use scopes::covers;

/// Amounts by the names of quotas.
pub type Usage = BTreeMap<String, Quantity>;

/// Kinds that quotas count by their bare name, as they did before `count/…`.
const BARE: &[&str] = &["configmaps", "replicationcontrollers", "resourcequotas", "secrets"];

/// Of these every container must say how much, if a quota is about them.
const MUST_BE_SAID: &[&str] =
    &["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// What an object of that resource counts for.
pub fn of(group: &str, plural: &str, object: &dyn Any, now: Timestamp) -> Usage {
    let mut usage = Usage::new();
    let dotted = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    usage.insert(format!("count/{dotted}"), one());
    if let Some(pod) = object.downcast_ref::<Pod>() {
        of_pod(pod, now, &mut usage);
    } else if let Some(service) = object.downcast_ref::<Service>() {
        of_service(service, &mut usage);
    } else if let Some(claim) = object.downcast_ref::<PersistentVolumeClaim>() {
        of_claim(claim, &mut usage);
    } else if group.is_empty() && BARE.contains(&plural) {
        usage.insert(plural.to_owned(), one());
    }
    usage
}

/// The resource that a name of a quota counts objects of: its group and plural.
pub fn counted_by(name: &str) -> (&str, &str) {
    if let Some(counted) = name.strip_prefix("count/") {
        return counted.split_once('.').map_or(("", counted), |(plural, group)| (group, plural));
    }
    match name {
        name if BARE.contains(&name) => ("", name),
        name if name.starts_with("services") => ("", "services"),
        name if name == "persistentvolumeclaims"
            || name == "requests.storage"
            || name.contains(".storageclass.storage.k8s.io/") =>
        {
            ("", "persistentvolumeclaims")
        }
        _ => ("", "pods"),
    }
}

/// What a quota allows.
pub fn hard(quota: &ResourceQuota) -> Usage {
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
    let amount =
        |(name, amount): (&String, &ApiQuantity)| Some((name.clone(), Quantity::of(amount).ok()?));
    hard.into_iter().flatten().filter_map(amount).collect()
}

/// The amounts that a quota is about, all of them, those that nobody uses too.
pub fn within(hard: &Usage, usage: &Usage) -> Usage {
    let amount = |name: &String| usage.get(name).copied();
    hard.keys().filter_map(|name| Some((name.clone(), amount(name)?))).collect()
}

pub fn add(sum: &mut Usage, usage: &Usage) {
    for (name, amount) in usage {
        let entry = sum.entry(name.clone()).or_insert_with(|| Quantity::new(0, amount.format()));
        *entry = *entry + *amount;
    }
}

/// What containers of the Pod leave out that a quota is about: in upstream's words.
///
/// Upstream: `podEvaluator.Constraints`.
pub fn left_out(hard: &Usage, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let mut missing = Vec::new();
    for name in MUST_BE_SAID.iter().filter(|name| hard.contains_key(**name)) {
        let silent = containers().filter(|container| !says(container, name));
        let silent: BTreeSet<&str> = silent.map(|container| container.name.as_str()).collect();
        if !silent.is_empty() {
            let names = silent.into_iter().collect::<Vec<_>>().join(",");
            missing.push(format!("{name} for: {names}"));
        }
    }
    (!missing.is_empty()).then(|| format!("must specify {}", missing.join("; ")))
}

fn says(container: &Container, name: &str) -> bool {
    let resources = container.resources.as_ref();
    let (list, name) = match name.split_once('.') {
        Some(("limits", name)) => (resources.and_then(|it| it.limits.as_ref()), name),
        Some((_, name)) => (resources.and_then(|it| it.requests.as_ref()), name),
        None => (resources.and_then(|it| it.requests.as_ref()), name),
    };
    list.is_some_and(|list| list.contains_key(name))
}

/// As messages list amounts: `a=1,b=2`.
pub fn listed(usage: &Usage) -> String {
    let pairs: Vec<String> = usage.iter().map(|(name, it)| format!("{name}={it}")).collect();
    pairs.join(",")
}

fn one() -> Quantity {
    Quantity::new(1, Format::DecimalSi)
}

/// Nothing but its own existence, once it has ended or should have gone.
fn of_pod(pod: &Pod, now: Timestamp, usage: &mut Usage) {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    let gone = pod.metadata.deletion_timestamp.as_ref();
    let is_late = gone.is_some_and(|at| at.0 + SignedDuration::from_secs(grace) < now);
    if matches!(phase, Some("Succeeded" | "Failed")) || is_late {
        return;
    }
    usage.insert("pods".to_owned(), one());
    insert_all(usage, &requests::of_pod(pod), "requests.", true);
    insert_all(usage, &requests::limits_of_pod(pod), "limits.", false);
}

fn insert_all(usage: &mut Usage, amounts: &Resources, prefix: &str, bare: bool) {
    for (name, amount) in amounts.iter() {
        let amount = match name {
            "cpu" => Quantity::from_millis(amount),
            "memory" | "ephemeral-storage" => Quantity::new(amount, Format::BinarySi),
            _ => Quantity::new(amount, Format::DecimalSi),
        };
        usage.insert(format!("{prefix}{name}"), amount);
        if bare && !name.contains('/') {
            usage.insert(name.to_owned(), amount);
        }
    }
}

fn of_service(service: &Service, usage: &mut Usage) {
    usage.insert("services".to_owned(), one());
    let Some(spec) = &service.spec else { return };
    let ports = spec.ports.as_deref().unwrap_or_default();
    let count = |ports: usize| Quantity::new(i64::try_from(ports).unwrap_or(0), Format::DecimalSi);
    match spec.type_.as_deref() {
        Some("NodePort") => {
            usage.insert("services.nodeports".to_owned(), count(ports.len()));
        }
        Some("LoadBalancer") => {
            usage.insert("services.loadbalancers".to_owned(), one());
            let chosen = ports.iter().filter(|port| port.node_port.unwrap_or(0) != 0).count();
            let all = spec.allocate_load_balancer_node_ports != Some(false);
            let ports = if all { ports.len() } else { chosen };
            usage.insert("services.nodeports".to_owned(), count(ports));
        }
        _ => {}
    }
}

fn of_claim(claim: &PersistentVolumeClaim, usage: &mut Usage) {
    let class = claim::class_of_claim(claim).to_owned();
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let storage = resources.and_then(|it| it.requests.as_ref()?.get("storage"));
    let storage = storage.and_then(|amount| Quantity::of(amount).ok());
    let mut amounts = vec![("persistentvolumeclaims", one())];
    amounts.extend(storage.map(|amount| ("requests.storage", amount)));
    for (name, amount) in amounts {
        usage.insert(name.to_owned(), amount);
        if !class.is_empty() {
            usage.insert(format!("{class}.storageclass.storage.k8s.io/{name}"), amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check(group: &str, plural: &str, object: &dyn Any, expect: &str) {
        assert_eq!(listed(&of(group, plural, object, Timestamp::UNIX_EPOCH)), expect);
    }

    #[test]
    fn a_pod_counts_for_what_it_asks_for_while_it_lives() {
        let containers = json!([{"name": "c", "resources": {
            "requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": "1"}}}]);
        let alive = pod(json!({"spec": {"containers": containers}}));
        let expect = "count/pods=1,cpu=250m,limits.cpu=1,memory=64Mi,pods=1,requests.cpu=250m,\
                      requests.memory=64Mi";
        check("", "pods", &alive, expect);
        let over =
            pod(json!({"spec": {"containers": containers}, "status": {"phase": "Succeeded"}}));
        check("", "pods", &over, "count/pods=1");
    }

    #[test]
    fn services_and_claims_count_for_what_they_draw() {
        let service =
            |spec: Value| -> Service { serde_json::from_value(json!({"spec": spec})).unwrap() };
        let two = json!([{"port": 80}, {"port": 81}]);
        let node_ports = service(json!({"type": "NodePort", "ports": two}));
        check("", "services", &node_ports, "count/services=1,services=1,services.nodeports=2");
        let balancer = service(json!({"type": "LoadBalancer", "ports": two,
            "allocateLoadBalancerNodePorts": false}));
        let expect = "count/services=1,services=1,services.loadbalancers=1,services.nodeports=0";
        check("", "services", &balancer, expect);
        let claim: PersistentVolumeClaim = serde_json::from_value(json!({"spec": {
            "storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}}))
        .unwrap();
        let expect = "count/persistentvolumeclaims=1,\
                      fast.storageclass.storage.k8s.io/persistentvolumeclaims=1,\
                      fast.storageclass.storage.k8s.io/requests.storage=2Gi,\
                      persistentvolumeclaims=1,requests.storage=2Gi";
        check("", "persistentvolumeclaims", &claim, expect);
    }

    #[test]
    fn names_say_what_they_count() {
        check("apps", "deployments", &(), "count/deployments.apps=1");
        check("", "secrets", &(), "count/secrets=1,secrets=1");
        assert_eq!(counted_by("count/deployments.apps"), ("apps", "deployments"));
        assert_eq!(counted_by("count/secrets"), ("", "secrets"));
        assert_eq!(counted_by("services.nodeports"), ("", "services"));
        assert_eq!(counted_by("requests.storage"), ("", "persistentvolumeclaims"));
        assert_eq!(counted_by("limits.cpu"), ("", "pods"));
    }

    #[test]
    fn containers_must_say_what_a_quota_is_about() {
        let hard: Usage =
            ["limits.cpu", "requests.memory", "pods"].map(|name| (name.to_owned(), one())).into();
        let silent = json!({"name": "c", "resources": {"requests": {"memory": "1"}}});
        let pod = pod(json!({"spec": {"containers": [silent, {"name": "d"}]}}));
        let told = "must specify limits.cpu for: c,d; requests.memory for: d";
        assert_eq!(left_out(&hard, &pod).as_deref(), Some(told));
    }
}
