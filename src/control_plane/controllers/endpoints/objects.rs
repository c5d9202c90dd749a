//! Endpoints objects of Services that select Pods: what EndpointSlices say, for those who have not
//! moved to them.
//!
//! Upstream: `pkg/controller/endpoint/endpoints_controller.go`, `pkg/api/v1/endpoints/util.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, PostParams, Preconditions};
use parking_lot::Mutex;

use super::selection::Selection;
use super::slices::{follow, pods_of, trigger_time};
use super::{HEADLESS, Labels, TRIGGER_TIME, address, is_headless, revision_of, selector};
use crate::api::object::ObjectKey;
use crate::client::cache::key_of;
use crate::control_plane::controllers::Context;
use crate::control_plane::controllers::reconcile::{self, is_gone};

const NAME: &str = "endpoint-controller";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
/// The object holds less than there is; the word says how.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// Bound: addresses of one object. Upstream: `maxCapacity`.
const ADDRESSES_MAX: usize = 1000;

/// Services that have been there: their Endpoints go when they are gone, hand-written ones too.
/// Bound: one key per Service, and those of the last ones deleted until they are looked at.
type Known = Mutex<BTreeSet<ObjectKey>>;

pub(in super::super) async fn run(ctx: Context) {
    let endpoints = ctx.caches.endpoints.changes_as(|endpoints| Some(key_of(endpoints)));
    let (selection, keys) = follow(&ctx).await;
    let known = Arc::new(Known::default());
    let (noting, services) = (Arc::clone(&known), ctx.caches.services.clone());
    let keys = keys.inspect(move |key| {
        if services.get(key).is_some() {
            noting.lock().insert(key.clone());
        }
    });
    let keys = stream::select(keys, endpoints);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run(NAME, clock, stop, keys, |key| {
        let (ctx, selection, known) = (ctx.clone(), Arc::clone(&selection), Arc::clone(&known));
        async move { sync(&ctx, &selection, &known, &key).await }
    })
    .await;
}

async fn sync(
    ctx: &Context,
    selection: &Mutex<Selection>,
    known: &Known,
    key: &ObjectKey,
) -> Result<(), kube::Error> {
    let Some(service) = ctx.caches.services.get(key) else {
        return clean_up(ctx, known, key).await;
    };
    let Some(selector) = selector(&service) else { return Ok(()) };
    let pods = pods_of(ctx, selection, key, selector);
    let subsets = subsets(&service, &pods);
    let current = ctx.caches.endpoints.get(key);
    let (subsets, truncated) = truncated(subsets);
    let metadata = metadata(&service, current.as_deref(), truncated);
    if let Some(current) = &current
        && says_the_same(current, &metadata, &subsets)
    {
        return Ok(());
    }
    let mut wanted = Endpoints { metadata, subsets: (!subsets.is_empty()).then_some(subsets) };
    if let Some(time) = trigger_time(&service, &pods) {
        let annotations = wanted.metadata.annotations.get_or_insert_default();
        annotations.insert(TRIGGER_TIME.to_owned(), time);
    }
    let api: Api<Endpoints> = Api::namespaced(ctx.client.kube(), &key.namespace);
    let post = PostParams::default();
    let written = match current {
        Some(_) => api.replace(&key.name, &post, &wanted).await?,
        None => match api.create(&post, &wanted).await {
            // The namespace is going.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => return Ok(()),
            outcome => outcome?,
        },
    };
    ctx.caches.endpoints.reached(revision_of(&written)).await;
    Ok(())
}

/// The Service is gone: so go its Endpoints, ours and those written by hand for it.
async fn clean_up(ctx: &Context, known: &Known, key: &ObjectKey) -> Result<(), kube::Error> {
    let Some(current) = ctx.caches.endpoints.get(key) else {
        known.lock().remove(key);
        return Ok(());
    };
    let labels = current.metadata.labels.as_ref();
    let is_ours = labels.and_then(|labels| labels.get(MANAGED_BY)).is_some_and(|by| by == NAME);
    if !is_ours && !known.lock().contains(key) {
        return Ok(());
    }
    let api: Api<Endpoints> = Api::namespaced(ctx.client.kube(), &key.namespace);
    let this_one = Preconditions { uid: current.metadata.uid.clone(), ..Preconditions::default() };
    let params = DeleteParams { preconditions: Some(this_one), ..DeleteParams::default() };
    match api.delete(&key.name, &params).await {
        Err(error) if is_gone(&error) => {}
        outcome => drop(outcome?),
    }
    known.lock().remove(key);
    Ok(())
}

fn metadata(service: &Service, current: Option<&Endpoints>, truncated: bool) -> ObjectMeta {
    let mut metadata = current.map(|current| current.metadata.clone()).unwrap_or_default();
    metadata.name.clone_from(&service.metadata.name);
    metadata.namespace.clone_from(&service.metadata.namespace);
    let mut labels: Labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), NAME.to_owned());
    metadata.labels = Some(labels);
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.remove(OVER_CAPACITY);
    if truncated {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    }
    metadata
}

fn says_the_same(current: &Endpoints, metadata: &ObjectMeta, subsets: &[EndpointSubset]) -> bool {
    let over =
        |meta: &ObjectMeta| meta.annotations.iter().flatten().any(|(key, _)| key == OVER_CAPACITY);
    current.subsets.as_deref().unwrap_or_default() == subsets
        && current.metadata.labels == metadata.labels
        && over(&current.metadata) == over(metadata)
}

/// Addresses that have the same ports are together.
///
/// Upstream: `RepackSubsets`.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let early = address::publishes_not_ready(service);
    let has_ports =
        service.spec.as_ref().is_some_and(|spec| spec.ports.iter().flatten().count() > 0);
    let family = service
        .spec
        .as_ref()
        .and_then(|spec| spec.ip_families.as_ref()?.first().cloned())
        .unwrap_or_else(|| "IPv4".to_owned());
    let mut groups: BTreeMap<String, EndpointSubset> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| early || !address::is_terminating(pod)) {
        let Some(ip) = address::ips(pod).into_iter().find(|ip| address::family(ip) == family)
        else {
            continue;
        };
        let mut ports: Vec<EndpointPort> = address::ports(pod, service)
            .into_iter()
            .map(|port| EndpointPort {
                app_protocol: port.app_protocol,
                name: port.name.filter(|name| !name.is_empty()),
                port: port.port.unwrap_or(0),
                protocol: port.protocol,
            })
            .collect();
        if ports.is_empty() && (has_ports || !is_headless(service)) {
            continue;
        }
        ports.sort_by(|a, b| (&a.name, a.port, &a.protocol).cmp(&(&b.name, b.port, &b.protocol)));
        let subset = groups.entry(format!("{ports:?}")).or_insert_with(|| EndpointSubset {
            ports: (!ports.is_empty()).then_some(ports),
            ..EndpointSubset::default()
        });
        let list = match early || address::is_ready(pod) {
            true => &mut subset.addresses,
            false => &mut subset.not_ready_addresses,
        };
        list.get_or_insert_default().push(EndpointAddress {
            hostname: address::hostname(pod, service),
            ip: ip.to_owned(),
            node_name: address::node_name(pod),
            target_ref: Some(address::reference(pod)),
        });
    }
    let mut subsets: Vec<EndpointSubset> = groups.into_values().collect();
    for subset in &mut subsets {
        for list in [&mut subset.addresses, &mut subset.not_ready_addresses].into_iter().flatten() {
            list.sort_by_key(|address| address.ip.parse::<IpAddr>().ok());
        }
    }
    subsets
}

/// What there is room for: ready addresses first.
///
/// Upstream: `truncateEndpoints`.
fn truncated(mut subsets: Vec<EndpointSubset>) -> (Vec<EndpointSubset>, bool) {
    let count = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
    let all: usize =
        subsets.iter().map(|s| count(&s.addresses) + count(&s.not_ready_addresses)).sum();
    if all <= ADDRESSES_MAX {
        return (subsets, false);
    }
    let mut room = ADDRESSES_MAX;
    let mut keep = |list: &mut Option<Vec<EndpointAddress>>| {
        if let Some(list) = list {
            list.truncate(room);
            room -= list.len();
        }
        *list = list.take().filter(|list| !list.is_empty());
    };
    subsets.iter_mut().for_each(|subset| keep(&mut subset.addresses));
    subsets.iter_mut().for_each(|subset| keep(&mut subset.not_ready_addresses));
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    (subsets, true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "n",
            "labels": {"app": "web"}}, "spec": spec}))
        .unwrap()
    }

    fn pod(number: usize, ready: &str, port: i32) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"name": format!("p{number}"), "namespace": "n", "uid": format!("u{number}")},
            "spec": {"nodeName": "sampan", "containers": [{"name": "c",
                "ports": [{"name": "http", "containerPort": port}]}]},
            "status": {"podIP": format!("10.42.{}.{}", number / 256, number % 256),
                "conditions": [{"type": "Ready", "status": ready}]},
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    /// `ready|not ready:ports` of each subset.
    fn told(subsets: &[EndpointSubset]) -> Vec<String> {
        let ips = |list: &Option<Vec<EndpointAddress>>| {
            let ips: Vec<_> = list.iter().flatten().map(|address| address.ip.clone()).collect();
            ips.join(",")
        };
        let ports = |subset: &EndpointSubset| {
            let ports: Vec<_> = subset.ports.iter().flatten().map(|p| p.port.to_string()).collect();
            ports.join(",")
        };
        let line = |s: &EndpointSubset| {
            format!("{}|{}:{}", ips(&s.addresses), ips(&s.not_ready_addresses), ports(s))
        };
        subsets.iter().map(line).collect()
    }

    #[test]
    fn addresses_with_the_same_ports_are_together() {
        let web = service(json!({"clusterIP": "10.43.0.9",
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"}]}));
        let pods = [
            pod(10, "True", 8080),
            pod(9, "True", 8080),
            pod(3, "False", 8080),
            pod(4, "True", 81),
        ];
        assert_eq!(
            told(&subsets(&web, &pods)),
            ["10.42.0.9,10.42.0.10|10.42.0.3:8080", "10.42.0.4|:81"]
        );
        let missing =
            service(json!({"clusterIP": "10.43.0.9", "ports": [{"port": 80, "targetPort": "x"}]}));
        assert_eq!(told(&subsets(&missing, &pods)), [""; 0]);
        let bare = service(json!({"clusterIP": "None", "publishNotReadyAddresses": true}));
        assert_eq!(told(&subsets(&bare, &pods[2..])), ["10.42.0.3,10.42.0.4|:"]);
    }

    #[test]
    fn a_thousand_addresses_are_enough() {
        let web = service(json!({"clusterIP": "None"}));
        let pods: Vec<_> = (1..1102)
            .map(|number| pod(number, if number > 990 { "True" } else { "False" }, 80))
            .collect();
        let (subsets, was_truncated) = truncated(subsets(&web, &pods));
        assert!(was_truncated);
        assert_eq!(subsets[0].addresses.as_ref().unwrap().len(), 111);
        assert_eq!(subsets[0].not_ready_addresses.as_ref().unwrap().len(), 889);
    }

    #[test]
    fn only_a_difference_is_written() {
        let web = service(json!({"clusterIP": "None"}));
        let subsets = subsets(&web, &[pod(1, "True", 80)]);
        let mut current =
            Endpoints { metadata: metadata(&web, None, false), subsets: Some(subsets.clone()) };
        current.metadata.annotations = Some(Labels::from([("kept".to_owned(), "1".to_owned())]));
        assert!(says_the_same(&current, &metadata(&web, Some(&current), false), &subsets));
        assert!(!says_the_same(&current, &metadata(&web, Some(&current), true), &subsets));
        assert!(!says_the_same(&current, &metadata(&web, Some(&current), false), &[]));
        assert_eq!(metadata(&web, Some(&current), false).annotations, current.metadata.annotations);
    }
}
