//! Who sleeps, the Services that lead to them, and their bells.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::sync::Notify;

use super::settings::Settings;
use crate::api::object::ObjectKey;
use crate::api::selector::Labels;
use crate::client::cache::key_of;
use crate::node::network::{Bell, Door, Protocol};
use crate::node::proxy::plan::plan;
use crate::node::proxy::start::Context;

/// All Deployments that may sleep.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    by_key: BTreeMap<ObjectKey, Sleeper>,
}

#[derive(Debug)]
pub(super) struct Sleeper {
    pub(super) settings: Settings,
    /// Monotonic: since when it has replicas, or since when we know of it.
    pub(super) awake_since: Duration,
    is_awake: bool,
    /// It has been rung for, and has no endpoint yet.
    wakes: bool,
    labels: BTreeMap<String, String>,
    bells: Vec<Hung>,
}

/// A bell at a door of a Service that leads to a sleeper.
#[derive(Debug)]
struct Hung {
    service: ObjectKey,
    selector: BTreeMap<String, String>,
    port: ServicePort,
    door: Door,
    bell: Bell,
}

impl Sleepers {
    /// Takes note of a Deployment as it is now; answers whether the bells are to be hung anew.
    pub(super) fn set(
        &mut self,
        key: ObjectKey,
        asks: Option<(Arc<Deployment>, Settings)>,
        now: Duration,
    ) -> bool {
        let Some((deployment, settings)) = asks else {
            return self.by_key.remove(&key).is_some();
        };
        let is_awake = super::replicas(&deployment) > 0;
        let labels = template_labels(&deployment);
        match self.by_key.get_mut(&key) {
            Some(sleeper) => {
                if is_awake && !sleeper.is_awake {
                    sleeper.awake_since = now;
                }
                sleeper.is_awake = is_awake;
                sleeper.wakes &= is_awake;
                let differs =
                    sleeper.settings.auto_start != settings.auto_start || sleeper.labels != labels;
                sleeper.settings = settings;
                sleeper.labels = labels;
                if !is_awake {
                    sleeper.bells.iter().for_each(|hung| hung.bell.offer(None));
                }
                differs
            }
            None => {
                let sleeper = Sleeper {
                    settings,
                    awake_since: now,
                    is_awake,
                    wakes: false,
                    labels,
                    bells: Vec::new(),
                };
                self.by_key.insert(key, sleeper);
                true
            }
        }
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Sleeper> {
        self.by_key.get(key)
    }

    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        self.by_key.keys().cloned().collect()
    }

    pub(super) fn any_wakes(&self) -> bool {
        self.by_key.values().any(|sleeper| sleeper.wakes)
    }

    pub(super) fn stays_asleep(&mut self, key: &ObjectKey) {
        if let Some(sleeper) = self.by_key.get_mut(key) {
            sleeper.wakes = false;
        }
    }

    /// Hangs a bell at each TCP door of each Service that leads to a sleeper; those that hang stay.
    pub(super) fn hang_bells(&mut self, ctx: &Context, desk: &Arc<Notify>) {
        let mut known: HashMap<Door, Bell> = HashMap::new();
        for sleeper in self.by_key.values_mut() {
            known.extend(sleeper.bells.drain(..).map(|hung| (hung.door, hung.bell)));
        }
        let mut all = HashMap::new();
        if self.by_key.is_empty() {
            return ctx.rooms.network.bells().replace(all);
        }
        for service in ctx.rooms.services.list() {
            let key = key_of(&*service);
            let Some(selector) = selector(&service) else { continue };
            let sleepers = self.by_key.iter_mut().filter(|(deployment, sleeper)| {
                deployment.namespace == key.namespace
                    && sleeper.settings.auto_start
                    && Labels::from_labels(selector).matches(&sleeper.labels)
            });
            // Two Deployments behind one Service: the first is woken.
            let Some((_, sleeper)) = sleepers.take(1).next() else { continue };
            for (door, port) in doors(ctx, &service) {
                let bell = known.get(&door).cloned().unwrap_or_else(|| Bell::new(desk.clone()));
                all.insert(door, bell.clone());
                let (service, selector) = (key.clone(), selector.clone());
                sleeper.bells.push(Hung { service, selector, port, door, bell });
            }
        }
        ctx.rooms.network.bells().replace(all);
    }

    /// Deployments for which somebody rang since this was asked last, and by which Service.
    pub(super) fn take_rings(&mut self) -> Vec<(ObjectKey, ObjectKey)> {
        let mut rung = Vec::new();
        for (key, sleeper) in &mut self.by_key {
            // All, so that none stays rung.
            let by = sleeper.bells.iter().fold(None, |by, hung| match hung.bell.take_ring() {
                true => Some(hung),
                false => by,
            });
            if let Some(hung) = by {
                sleeper.wakes = true;
                rung.push((key.clone(), hung.service.clone()));
            }
        }
        rung
    }

    /// How long connections waited that have been answered, by Service.
    pub(super) fn take_waits(&self) -> BTreeMap<ObjectKey, Vec<Duration>> {
        let mut waits: BTreeMap<ObjectKey, Vec<Duration>> = BTreeMap::new();
        for hung in self.by_key.values().flat_map(|sleeper| &sleeper.bells) {
            let waited = hung.bell.take_waits();
            if !waited.is_empty() {
                waits.entry(hung.service.clone()).or_default().extend(waited);
            }
        }
        waits
    }

    /// Sends those who wait to the first Pods that listen; answers whether there is news.
    pub(super) fn offer(&mut self, ctx: &Context) -> bool {
        let mut is_news = false;
        for sleeper in self.by_key.values_mut().filter(|sleeper| sleeper.wakes) {
            let found: BTreeSet<_> = sleeper
                .bells
                .iter()
                .filter_map(|hung| Some((&hung.bell, listening(ctx, hung)?)))
                .map(|(bell, endpoint)| {
                    bell.offer(Some(endpoint));
                    endpoint
                })
                .collect();
            if !found.is_empty() {
                sleeper.wakes = false;
                is_news = true;
            }
        }
        is_news
    }
}

/// A Pod of the Service's that accepts connections already, and is ready if it says when it is.
fn listening(ctx: &Context, hung: &Hung) -> Option<SocketAddr> {
    let selector = Labels::from_labels(&hung.selector);
    let port_of = |member: &crate::node::network::Member| {
        let key = ObjectKey::new(member.namespace.as_str(), member.name.as_str());
        let pod = ctx.rooms.pods.get(&key)?;
        let no_labels = BTreeMap::new();
        let labels = pod.metadata.labels.as_ref().unwrap_or(&no_labels);
        let fits = pod.metadata.deletion_timestamp.is_none() && selector.matches(labels);
        let fits = fits && (!has_readiness_probe(&pod) || is_ready(&pod));
        fits.then(|| target_port(&hung.port, &pod)).flatten()
    };
    let namespace = &hung.service.namespace;
    let found = ctx.rooms.network.find(|pod| {
        pod.member().namespace == *namespace
            && !pod.is_draining()
            && port_of(pod.member()).is_some_and(|port| pod.listens(port))
    })?;
    let port = port_of(found.member())?;
    Some(SocketAddr::new(found.address().into(), port))
}

fn has_readiness_probe(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    let mut all = init.chain(spec.map(|spec| &spec.containers).into_iter().flatten());
    all.any(|container| container.readiness_probe.is_some())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn target_port(port: &ServicePort, pod: &Pod) -> Option<u16> {
    let number = match &port.target_port {
        None => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
            let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
            ports.find(|one| one.name.as_ref() == Some(name))?.container_port
        }
    };
    number.try_into().ok()
}

/// The Service's doors, each with the port it stands for.
fn doors(ctx: &Context, service: &Service) -> Vec<(Door, ServicePort)> {
    let doors = plan(service, &[], &ctx.site).doors;
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let ports: Vec<&ServicePort> = ports.collect();
    let port_of = |door: &Door| {
        let number = i32::from(door.address.port());
        ports.iter().copied().find(|port| {
            let is_tcp = port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
            is_tcp && (port.node_port == Some(number) || port.port == number)
        })
    };
    let tcp = doors.into_keys().filter(|door| door.protocol == Protocol::Tcp);
    tcp.filter_map(|door| Some((door, port_of(&door)?.clone()))).collect()
}

fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    (!selector.is_empty()).then_some(selector)
}

fn template_labels(deployment: &Deployment) -> BTreeMap<String, String> {
    let spec = deployment.spec.as_ref();
    let metadata = spec.and_then(|spec| spec.template.metadata.as_ref());
    metadata.and_then(|metadata| metadata.labels.clone()).unwrap_or_default()
}

/// Since when nobody is connected to any of the Deployment's Pods, on the monotonic clock; `None` if
/// somebody is, or a Pod is still on its way.
pub(super) fn quiet_since(ctx: &Context, deployment: &Deployment) -> Option<Duration> {
    let spec = deployment.spec.as_ref()?;
    let selector = Labels::from_typed(Some(&spec.selector)).ok()?;
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let no_labels = BTreeMap::new();
    let mut since = Duration::ZERO;
    for pod in ctx.rooms.pods.list_in(namespace) {
        let labels = pod.metadata.labels.as_ref().unwrap_or(&no_labels);
        if !selector.matches(labels) {
            continue;
        }
        let status = pod.status.as_ref();
        let has_ended = status.and_then(|status| status.phase.as_deref());
        if matches!(has_ended, Some("Succeeded" | "Failed")) {
            continue;
        }
        let address = status.and_then(|status| status.pod_ip.as_deref()?.parse().ok())?;
        since = since.max(ctx.rooms.network.member(address)?.quiet_since()?);
    }
    Some(since)
}
