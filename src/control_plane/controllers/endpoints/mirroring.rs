//! EndpointSlices of Endpoints that a user writes for a Service without selector: the proxy reads
//! slices only.
//!
//! Upstream: `pkg/controller/endpointslicemirroring`.

use std::sync::Arc;

use futures::stream;
use k8s_openapi::api::core::v1::{EndpointAddress, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};

use super::plan::{Frame, Plan, Wanted, plan};
use super::slices::{carry_out, clean_up, service_of};
use super::{
    HEADLESS, Labels, MANAGED_BY, SERVICE_NAME, TRIGGER_TIME, address, copied_labels, is_headless,
    owned_by,
};
use crate::api::object::ObjectKey;
use crate::client::cache::key_of;
use crate::control_plane::controllers::Context;
use crate::control_plane::controllers::reconcile;

const NAME: &str = "endpointslicemirroring-controller";
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// Somebody else makes the slices of these Endpoints.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// These Endpoints are a lock, not addresses.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// What kubectl notes for itself is not for the copy.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Bound: addresses of one subset that are mirrored. Upstream: `--mirroring-max-endpoints-per-subset`.
const ADDRESSES_MAX: usize = 1000;

pub(in super::super) async fn run(ctx: Context) {
    ctx.caches.services.synced().await;
    ctx.caches.endpoints.synced().await;
    ctx.caches.endpoint_slices.synced().await;
    let keys = stream::select(
        stream::select(
            ctx.caches.services.changes_as(|service| Some(key_of(service))),
            ctx.caches.endpoints.changes_as(|endpoints| Some(key_of(endpoints))),
        ),
        ctx.caches.endpoint_slices.changes_as(|slice| service_of(slice, MANAGER)),
    );
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run(NAME, clock, stop, keys, |key| {
        let ctx = ctx.clone();
        async move { sync(&ctx, &key).await }
    })
    .await;
}

async fn sync(ctx: &Context, key: &ObjectKey) -> Result<(), kube::Error> {
    let Some(endpoints) = ctx.caches.endpoints.get(key) else {
        return clean_up(ctx, key, MANAGER).await;
    };
    let uid = endpoints.metadata.uid.as_deref().unwrap_or_default();
    let mut existing = ctx.caches.endpoint_slices.controlled_by(uid);
    existing.retain(|slice| service_of(slice, MANAGER).as_ref() == Some(key));
    let service = ctx.caches.services.get(key).filter(|service| is_mirrored(service, &endpoints));
    let Some(service) = service else {
        let plan = Plan { delete: existing, ..Plan::default() };
        return carry_out(ctx, &key.namespace, plan).await;
    };
    for family in ["IPv4", "IPv6"] {
        let (of_family, others): (Vec<Arc<EndpointSlice>>, _) =
            existing.into_iter().partition(|slice| slice.address_type == family);
        existing = others;
        let plan =
            plan(&frame(&service, &endpoints, family), wanted(&endpoints, family), &of_family);
        carry_out(ctx, &key.namespace, plan).await?;
    }
    Ok(())
}

fn is_mirrored(service: &Service, endpoints: &Endpoints) -> bool {
    let has =
        |map: &Option<Labels>, key: &str| map.as_ref().is_some_and(|map| map.contains_key(key));
    let skipped = endpoints
        .metadata
        .labels
        .iter()
        .flatten()
        .any(|(key, value)| key == SKIP && value == "true");
    let selects = service.spec.as_ref().is_some_and(|spec| spec.selector.is_some());
    !selects && !skipped && !has(&endpoints.metadata.annotations, LEADER)
}

fn frame(service: &Service, endpoints: &Endpoints, family: &'static str) -> Frame {
    let meta = &endpoints.metadata;
    let name = meta.name.clone().unwrap_or_default();
    let mut labels = copied_labels(meta);
    labels.insert(SERVICE_NAME.to_owned(), name.clone());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    let mut annotations = meta.annotations.clone().unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    let trigger_time = annotations.remove(TRIGGER_TIME);
    Frame {
        namespace: meta.namespace.clone().unwrap_or_default(),
        service: name,
        family,
        labels,
        annotations,
        owner: owned_by(endpoints),
        trigger_time,
        endpoints_max: ADDRESSES_MAX,
        placeholder: false,
    }
}

fn wanted(endpoints: &Endpoints, family: &str) -> Wanted {
    let mut wanted = Wanted::default();
    for subset in endpoints.subsets.iter().flatten() {
        let ports: Vec<EndpointPort> = subset
            .ports
            .iter()
            .flatten()
            .map(|port| EndpointPort {
                app_protocol: port.app_protocol.clone(),
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some(port.port),
                protocol: port.protocol.clone(),
            })
            .collect();
        let ready = subset.addresses.iter().flatten().map(|address| (address, true));
        let not_ready = subset.not_ready_addresses.iter().flatten().map(|address| (address, false));
        let of_family =
            ready.chain(not_ready).filter(|(one, _)| address::family(&one.ip) == family);
        for (one, is_ready) in of_family.take(ADDRESSES_MAX) {
            wanted.add(ports.clone(), endpoint(one, is_ready));
        }
    }
    wanted
}

fn endpoint(address: &EndpointAddress, is_ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(is_ready),
            ..EndpointConditions::default()
        }),
        hostname: address.hostname.clone().filter(|hostname| !hostname.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn endpoints(meta: Value) -> Endpoints {
        let mut endpoints = json!({
            "metadata": {"name": "db", "namespace": "n"},
            "subsets": [{
                "addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}],
                "notReadyAddresses": [{"ip": "192.0.2.2"}],
                "ports": [{"port": 5432, "protocol": "TCP"}],
            }],
        });
        for (key, value) in meta.as_object().unwrap() {
            endpoints["metadata"][key] = value.clone();
        }
        serde_json::from_value(endpoints).unwrap()
    }

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    #[test]
    fn only_hand_written_endpoints_are_mirrored() {
        let mirrored = |spec, meta| is_mirrored(&service(spec), &endpoints(meta));
        assert!(mirrored(json!({}), json!({})));
        assert!(!mirrored(json!({"selector": {"a": "b"}}), json!({})));
        assert!(!mirrored(json!({}), json!({"labels": {SKIP: "true"}})));
        assert!(!mirrored(json!({}), json!({"annotations": {LEADER: "{}"}})));
    }

    #[test]
    fn a_copy_says_what_its_original_says() {
        let original = endpoints(json!({"labels": {"app": "db"},
            "annotations": {LAST_APPLIED: "{}", "note": "x"}}));
        let frame = frame(&service(json!({"clusterIP": "10.43.0.9"})), &original, "IPv4");
        let plan = plan(&frame, wanted(&original, "IPv4"), &[]);
        let slice = serde_json::to_value(&plan.create[0]).unwrap();
        assert_eq!(slice["metadata"]["annotations"], json!({"note": "x"}));
        assert_eq!(
            slice["metadata"]["labels"],
            json!({"app": "db", SERVICE_NAME: "db", MANAGED_BY: MANAGER})
        );
        assert_eq!(slice["metadata"]["ownerReferences"][0]["kind"], "Endpoints");
        assert_eq!(slice["ports"], json!([{"name": "", "port": 5432, "protocol": "TCP"}]));
        assert_eq!(
            slice["endpoints"],
            json!([
                {"addresses": ["192.0.2.1"], "conditions": {"ready": true}},
                {"addresses": ["192.0.2.2"], "conditions": {"ready": false}},
            ])
        );
    }
}
