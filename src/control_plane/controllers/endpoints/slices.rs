//! EndpointSlices of Services that select Pods.
//!
//! Upstream: `pkg/controller/endpointslice/endpointslice_controller.go`.

use std::sync::Arc;

use futures::stream::{self, Stream};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, PostParams};
use parking_lot::Mutex;

use super::plan::{Frame, Plan, Wanted, plan};
use super::selection::Selection;
use super::{
    HEADLESS, Labels, MANAGED_BY, SERVICE_NAME, address, copied_labels, is_headless, owned_by,
    revision_of, selector,
};
use crate::api::object::ObjectKey;
use crate::control_plane::controllers::Context;
use crate::control_plane::controllers::reconcile::{self, is_gone};

const NAME: &str = "endpointslice-controller";
/// How its slices are told from those of others.
const MANAGER: &str = "endpointslice-controller.k8s.io";
/// Bound: endpoints of one slice. Upstream: `--max-endpoints-per-slice`.
const ENDPOINTS_MAX: usize = 100;

pub(in super::super) async fn run(ctx: Context) {
    let slices = ctx.caches.endpoint_slices.changes_as(|slice| service_of(slice, MANAGER));
    let (selection, keys) = follow(&ctx).await;
    let keys = stream::select(keys, slices);
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run(NAME, clock, stop, keys, |key| {
        let (ctx, selection) = (ctx.clone(), Arc::clone(&selection));
        async move { sync(&ctx, &selection, &key).await }
    })
    .await;
}

/// Who selects whom, and the Services to look at: all of them, and then those that changed or whose
/// Pods did.
pub(super) async fn follow(
    ctx: &Context,
) -> (Arc<Mutex<Selection>>, impl Stream<Item = ObjectKey> + use<>) {
    use futures::StreamExt;
    let (services, pods) = (ctx.caches.services.clone(), ctx.caches.pods.clone());
    services.synced().await;
    pods.synced().await;
    let (service_keys, pod_keys) = (services.changes(), pods.changes());
    let mut selection = Selection::default();
    // Everything is noted before anything is written, or a restart would begin with empty slices.
    for service in services.list() {
        selection.note_service(&crate::client::cache::key_of(&*service), Some(&service));
    }
    for pod in pods.list() {
        selection.note_pod(&crate::client::cache::key_of(&*pod), Some(&pod));
    }
    let selection = Arc::new(Mutex::new(selection));
    let noting = Arc::clone(&selection);
    let service_keys = service_keys.inspect(move |key| {
        noting.lock().note_service(key, services.get(key).as_deref());
    });
    let noting = Arc::clone(&selection);
    let concerned = pod_keys
        .flat_map(move |key| stream::iter(noting.lock().note_pod(&key, pods.get(&key).as_deref())));
    (selection, stream::select(service_keys, concerned))
}

/// The Service whose slice this is, if `manager` keeps it.
pub(super) fn service_of(slice: &EndpointSlice, manager: &str) -> Option<ObjectKey> {
    let labels = slice.metadata.labels.as_ref()?;
    if labels.get(MANAGED_BY).map(String::as_str) != Some(manager) {
        return None;
    }
    let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
    labels.get(SERVICE_NAME).map(|service| ObjectKey::new(namespace, service.as_str()))
}

/// The Pods that a Service leads to, ending ones included.
pub(super) fn pods_of(
    ctx: &Context,
    selection: &Mutex<Selection>,
    key: &ObjectKey,
    selector: &Labels,
) -> Vec<Arc<Pod>> {
    let keys = selection.lock().selected(&key.namespace, selector);
    let pods = keys.iter().filter_map(|key| ctx.caches.pods.get(key));
    pods.filter(|pod| address::counts(pod)).collect()
}

/// When what is to be written happened: the latest of the Service's making and its Pods' changes.
pub(super) fn trigger_time(service: &Service, pods: &[Arc<Pod>]) -> Option<String> {
    let made = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let ready = pods.iter().filter_map(|pod| address::ready_changed(pod));
    made.into_iter().chain(ready).max().map(|time| time.to_string())
}

async fn sync(
    ctx: &Context,
    selection: &Mutex<Selection>,
    key: &ObjectKey,
) -> Result<(), kube::Error> {
    let Some(service) = ctx.caches.services.get(key) else {
        return clean_up(ctx, key, MANAGER).await;
    };
    let Some(selector) = selector(&service) else { return Ok(()) };
    if service.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let pods = pods_of(ctx, selection, key, selector);
    let uid = service.metadata.uid.as_deref().unwrap_or_default();
    let mut existing = ctx.caches.endpoint_slices.controlled_by(uid);
    existing.retain(|slice| {
        service_of(slice, MANAGER).as_ref() == Some(key)
            && slice.metadata.deletion_timestamp.is_none()
    });
    let families = service.spec.as_ref().and_then(|spec| spec.ip_families.as_deref());
    for family in ["IPv4", "IPv6"] {
        let speaks = families.unwrap_or_default().iter().any(|spoken| spoken == family);
        let (of_family, others) =
            existing.into_iter().partition(|slice| slice.address_type == family);
        existing = others;
        let mut frame = frame(&service, family, trigger_time(&service, &pods));
        frame.placeholder = speaks;
        let wanted = if speaks { wanted(&service, &pods, family) } else { Wanted::default() };
        carry_out(ctx, &key.namespace, plan(&frame, wanted, &of_family)).await?;
    }
    Ok(())
}

/// The Service is gone, and so its slices go, before the garbage collector comes by.
pub(super) async fn clean_up(
    ctx: &Context,
    key: &ObjectKey,
    manager: &str,
) -> Result<(), kube::Error> {
    let mut slices = ctx.caches.endpoint_slices.list_in(&key.namespace);
    slices.retain(|slice| service_of(slice, manager).as_ref() == Some(key));
    carry_out(ctx, &key.namespace, Plan { delete: slices, ..Plan::default() }).await
}

fn wanted(service: &Service, pods: &[Arc<Pod>], family: &str) -> Wanted {
    let has_ports = service
        .spec
        .as_ref()
        .and_then(|spec| spec.ports.as_ref())
        .is_some_and(|ports| !ports.is_empty());
    let mut wanted = Wanted::default();
    for pod in pods {
        let Some(endpoint) = address::endpoint(pod, service, family) else { continue };
        let ports = address::ports(pod, service);
        // A headless Service may have no ports; one of a normal Service that this Pod lacks is no
        // reason to lead there without.
        if !has_ports && !is_headless(service) {
            continue;
        }
        wanted.add(ports, endpoint);
    }
    wanted
}

fn frame(service: &Service, family: &'static str, trigger_time: Option<String>) -> Frame {
    let meta = &service.metadata;
    let name = meta.name.clone().unwrap_or_default();
    let mut labels = copied_labels(meta);
    labels.insert(SERVICE_NAME.to_owned(), name.clone());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    Frame {
        namespace: meta.namespace.clone().unwrap_or_default(),
        service: name,
        family,
        labels,
        annotations: Labels::new(),
        owner: owned_by(service),
        trigger_time,
        endpoints_max: ENDPOINTS_MAX,
        placeholder: true,
    }
}

/// Writes what is planned, and waits until the cache shows it: the next look at this Service sees it.
pub(super) async fn carry_out(
    ctx: &Context,
    namespace: &str,
    plan: Plan,
) -> Result<(), kube::Error> {
    let api: Api<EndpointSlice> = Api::namespaced(ctx.client.kube(), namespace);
    let post = PostParams::default();
    let mut reached = 0;
    for slice in plan.create {
        match api.create(&post, &slice).await {
            // The namespace is going.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => return Ok(()),
            outcome => reached = reached.max(revision_of(&outcome?)),
        }
    }
    for slice in plan.update {
        let name = slice.metadata.name.clone().unwrap_or_default();
        reached = reached.max(revision_of(&api.replace(&name, &post, &slice).await?));
    }
    for slice in plan.delete {
        let name = slice.metadata.name.clone().unwrap_or_default();
        match api.delete(&name, &DeleteParams::default()).await {
            Err(error) if is_gone(&error) => {}
            outcome => drop(outcome?),
        }
    }
    ctx.caches.endpoint_slices.reached(reached).await;
    Ok(())
}
