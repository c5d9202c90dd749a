//! Follows Services, EndpointSlices and Pods with ports on the host, and writes down the differences they make.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tracing::debug;

use super::claims::{Claims, Owner};
use super::host::Host;
use super::host_ports;
use super::names::merge;
use super::plan::{HostPort, Leads, Plan, plan};
use super::start::Context;
use crate::api::object::ObjectKey;
use crate::client::cache::key_of;
use crate::node::network::{Door, Protocol, Records, Route};

/// Says which Service a slice belongs to.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// A port of the host's that was taken is tried again this often.
const HOST_PORT_RETRY: Duration = Duration::from_secs(5);

/// Follows the caches until the proxy stops.
pub(super) async fn run(ctx: Arc<Context>, host: Host) {
    let stop = ctx.stop.clone();
    let mut sync = Sync::new(ctx, host);
    tokio::select! {
        () = stop.cancelled() => {}
        () = sync.follow() => {}
    }
    sync.host.close().await;
}

struct Sync {
    ctx: Arc<Context>,
    slices: SlicesOfServices,
    doors: Claims<Door, Leads>,
    names: Claims<String, Records>,
    host_ports: Claims<Door, HostPort>,
    host: Host,
}

/// What is to be looked at again, or to be written down.
#[derive(Default)]
struct Changed {
    services: HashSet<ObjectKey>,
    pods: HashSet<ObjectKey>,
    doors: BTreeSet<Door>,
    names: BTreeSet<String>,
    host_ports: BTreeSet<Door>,
}

impl Sync {
    fn new(ctx: Arc<Context>, host: Host) -> Self {
        Self {
            ctx,
            slices: SlicesOfServices::default(),
            doors: Claims::default(),
            names: Claims::default(),
            host_ports: Claims::default(),
            host,
        }
    }

    async fn follow(&mut self) {
        let (services, slices) = (&self.ctx.rooms.services, &self.ctx.rooms.endpoint_slices);
        services.synced().await;
        slices.synced().await;
        let (mut services, mut slices) = (services.changes(), slices.changes());
        let pods = &self.ctx.rooms.pods;
        let mut pods = pods.changes_as(|pod| host_ports::has_any(pod).then(|| key_of(pod)));
        let clock = self.ctx.rooms.clock.clone();
        loop {
            let mut changed = Changed::default();
            let retry = async {
                match self.host.has_refused() {
                    true => clock.sleep(HOST_PORT_RETRY).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(service) = services.next() => {
                    changed.services.insert(service);
                }
                Some(slice) = slices.next() => self.slice_changed(slice, &mut changed),
                Some(pod) = pods.next() => {
                    changed.pods.insert(pod);
                }
                () = retry => self.host.retry().await,
                else => return,
            }
            // What else is known by now costs one round together.
            while let Some(Some(slice)) = slices.next().now_or_never() {
                self.slice_changed(slice, &mut changed);
            }
            while let Some(Some(service)) = services.next().now_or_never() {
                changed.services.insert(service);
            }
            while let Some(Some(pod)) = pods.next().now_or_never() {
                changed.pods.insert(pod);
            }
            for pod in std::mem::take(&mut changed.pods) {
                let plan = self.ctx.rooms.pods.get(&pod);
                let plan = plan.map(|pod| host_ports::plan(&pod, &self.ctx.site));
                self.claim(&Owner::Pod(pod), plan.unwrap_or_default(), &mut changed);
            }
            for service in std::mem::take(&mut changed.services) {
                self.plan(&service, &mut changed);
            }
            self.apply(changed).await;
        }
    }

    fn slice_changed(&mut self, key: ObjectKey, changed: &mut Changed) {
        let slice = self.ctx.rooms.endpoint_slices.get(&key);
        changed.services.extend(self.slices.changed(key, slice.as_deref()));
    }

    fn plan(&mut self, key: &ObjectKey, changed: &mut Changed) {
        let rooms = &self.ctx.rooms;
        let plan = match rooms.services.get(key) {
            None => {
                rooms.metrics.forget_service(&key.namespace, &key.name);
                Plan::default()
            }
            Some(service) => {
                let slices = self.slices.of(key);
                let slices: Vec<Arc<EndpointSlice>> =
                    slices.filter_map(|slice| rooms.endpoint_slices.get(slice)).collect();
                plan(&service, &slices, &self.ctx.site)
            }
        };
        self.claim(&Owner::Service(key.clone()), plan, changed);
    }

    fn claim(&mut self, owner: &Owner, plan: Plan, changed: &mut Changed) {
        self.doors.set(owner, plan.doors, &mut changed.doors);
        self.names.set(owner, plan.names, &mut changed.names);
        self.host_ports.set(owner, plan.host, &mut changed.host_ports);
    }

    async fn apply(&mut self, changed: Changed) {
        let network = &self.ctx.rooms.network;
        if !changed.names.is_empty() {
            let records =
                |name: String| (merge(self.names.all(&name).map(|(_, records)| records)), name);
            let names = changed.names.into_iter().map(records);
            network.names().apply(names.map(|(records, name)| (name, records)));
        }
        if !changed.doors.is_empty() {
            debug!(doors = changed.doors.len(), "Routes changed");
            let metrics = &self.ctx.rooms.metrics;
            let doors = changed.doors.into_iter();
            let first = |door: Door| {
                let (owner, leads) = self.doors.first(&door, |leads| leads.rank)?;
                let route = Route::new(leads.endpoints.clone(), leads.affinity);
                Some(match owner {
                    Owner::Service(key) if door.protocol == Protocol::Tcp => {
                        route.counted(metrics.service_connections(&key.namespace, &key.name))
                    }
                    _ => route,
                })
            };
            network.routes().apply(doors.map(|door| (door, first(door))));
        }
        if !changed.host_ports.is_empty() {
            let ports = changed.host_ports.into_iter();
            let first = |door| {
                self.host_ports
                    .first(&door, |port| port.kind.rank())
                    .map(|(owner, port)| (owner.clone(), port.clone()))
            };
            let ports: BTreeMap<_, _> = ports.map(|door| (door, first(door))).collect();
            for (door, first) in &ports {
                let Some((first, _)) = first else { continue };
                for (other, port) in self.host_ports.all(door).filter(|(other, _)| *other != first)
                {
                    self.host.tell_of_owner(*door, other, port.kind, first);
                }
            }
            self.host.apply(ports).await;
        }
    }
}

/// The name of the Service that the slice is of.
pub(super) fn service_of(slice: &EndpointSlice) -> Option<&str> {
    slice.metadata.labels.as_ref()?.get(SERVICE_LABEL).map(String::as_str)
}

/// Which slices a Service has.
#[derive(Debug, Default)]
struct SlicesOfServices {
    by_service: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    services: HashMap<ObjectKey, ObjectKey>,
}

impl SlicesOfServices {
    fn of(&self, service: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.by_service.get(service).into_iter().flatten()
    }

    /// Takes note of a slice as it is now; answers the Services to which it makes a difference.
    fn changed(&mut self, key: ObjectKey, slice: Option<&EndpointSlice>) -> Vec<ObjectKey> {
        let name = slice.and_then(service_of);
        let after = name.map(|name| ObjectKey::new(&key.namespace, name));
        let before = match &after {
            Some(service) => self.services.insert(key.clone(), service.clone()),
            None => self.services.remove(&key),
        };
        if let Some(before) = before.as_ref().filter(|before| Some(*before) != after.as_ref())
            && let Some(slices) = self.by_service.get_mut(before)
        {
            slices.remove(&key);
            if slices.is_empty() {
                self.by_service.remove(before);
            }
        }
        if let Some(service) = &after {
            self.by_service.entry(service.clone()).or_default().insert(key);
        }
        before.into_iter().chain(after).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_moves_with_its_label() {
        let slice = |service: &str| {
            let mut slice = EndpointSlice::default();
            let label = (SERVICE_LABEL.to_owned(), service.to_owned());
            slice.metadata.labels = Some([label].into());
            slice
        };
        let (key, a, b) =
            (ObjectKey::new("n", "s"), ObjectKey::new("n", "a"), ObjectKey::new("n", "b"));
        let mut slices = SlicesOfServices::default();
        assert_eq!(slices.changed(key.clone(), Some(&slice("a"))), std::slice::from_ref(&a));
        assert_eq!(slices.changed(key.clone(), Some(&slice("b"))), [a.clone(), b.clone()]);
        assert_eq!((slices.of(&a).count(), slices.of(&b).count()), (0, 1));
        assert_eq!(slices.changed(key.clone(), None), [b]);
        assert!(slices.by_service.is_empty() && slices.services.is_empty());
        assert!(slices.changed(key, Some(&EndpointSlice::default())).is_empty());
    }
}
