//! What a Pod's task begins with: its address, its place on the network, its files in /etc.

use std::net::Ipv4Addr;
use std::sync::Arc;

use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::Pod;

use super::{Slot, Task};
use crate::api::downward::Facts;
use crate::client::events::EventType;
use crate::node::kubelet::etc::{self, Etc, HostDns, Name};
use crate::node::kubelet::lifecycle::Context;
use crate::node::kubelet::pod_worker::{self, ContainerRecord, PodWorker};
use crate::node::kubelet::pod_workers::LivePod;
use crate::node::kubelet::prober::Prober;
use crate::node::kubelet::references;
use crate::node::kubelet::status::{self, Place};
use crate::node::kubelet::status_writer::StatusWriter;
use crate::node::kubelet::volumes::Keeper;
use crate::node::network::{Member, PodNetwork, Resolver};
use crate::node::runtime::{Processes, Sandbox};

impl Task {
    pub(super) fn new(ctx: Arc<Context>, live: Arc<LivePod>, pod: Arc<Pod>) -> Self {
        let mut worker = PodWorker::new(&pod, ctx.last_stop, ctx.rooms.clock.now());
        let has_ended = status::phase(&pod, &worker).is_terminal();
        // One that has ended shows the address that it had.
        let address = (!has_ended).then(|| ctx.addresses.allocate(&live.uid)).flatten();
        let pod_ip = if has_ended { address_of(&pod) } else { address };
        let place = Place { host_ip: ctx.config.address, pod_ip };
        let name = Name::of(&pod, &ctx.rooms.network.config().cluster_domain);
        let warn = |reason, why| {
            ctx.recorder.record(&references::pod(&pod), EventType::Warning, reason, why);
        };
        if let Some((reason, why)) = obstacle(&ctx, pod_ip.is_some() || has_ended, &name) {
            worker.hold();
            warn(reason, why);
        }
        let name = name.unwrap_or_else(|_| Name::short(&pod));
        let (etc, resolver, left_out) =
            etc(&ctx, &pod, &name, pod_ip.unwrap_or(Ipv4Addr::UNSPECIFIED));
        left_out.into_iter().for_each(|why| warn("DNSConfigForming", why));
        if wants_host_network(&pod) && !has_ended {
            let text = format!(
                "The Pod has an address of its own: of the host's network it gets the ports that it \
                 declares, opened at {}, and nothing else",
                ctx.config.address
            );
            warn("HostNetworkNotShared", text);
        }
        let facts = Facts {
            node: ctx.config.node.clone(),
            host_ip: place.host_ip,
            pod_ip: pod_ip.unwrap_or(Ipv4Addr::UNSPECIFIED),
            allocatable: ctx.allocatable.clone(),
        };
        let keeper = (!has_ended && has_volumes(&pod)).then(|| {
            worker.volumes_are(pod_worker::Volumes::UnderWay);
            Keeper::new(ctx.clone(), pod.clone(), facts.clone(), live.directory.clone())
        });
        let mut containers = Vec::new();
        containers.resize_with(worker.containers.len(), Slot::default);
        let network =
            address.map(|address| ctx.rooms.network.join(member(&pod, address, resolver)));
        network.iter().for_each(|network| live.joined(network.clone()));
        let prober = prober(&ctx, &pod, network.clone(), &worker);
        Self {
            prober,
            sandbox: sandbox(&ctx, &pod, &name.kernel, network.clone()),
            network,
            status_writer: StatusWriter::new(ctx.clone(), &pod),
            ctx,
            live,
            pod,
            worker,
            place,
            name,
            etc: Arc::new(etc),
            facts,
            keeper,
            volumes: Arc::default(),
            containers,
            under_way: FuturesUnordered::new(),
            deleting: None,
            finishing: false,
        }
    }
}

fn address_of(pod: &Pod) -> Option<Ipv4Addr> {
    pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()
}

/// Asks those of the Pod's containers that have probes. Which they are is said once and for all.
fn prober(
    ctx: &Arc<Context>,
    pod: &Arc<Pod>,
    network: Option<PodNetwork>,
    worker: &PodWorker,
) -> Prober {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    let all = init.chain(spec.map(|spec| &spec.containers).into_iter().flatten());
    let with_index = all.filter_map(|container| {
        let is_it = |record: &ContainerRecord| record.name == container.name;
        Some((worker.containers.iter().position(is_it)?, container))
    });
    Prober::new(ctx.clone(), pod.clone(), network, with_index)
}

/// Why the Pod's containers cannot be started, if they cannot: an Event's reason and text.
fn obstacle(
    ctx: &Context,
    has_address: bool,
    name: &Result<Name, String>,
) -> Option<(&'static str, String)> {
    if !has_address {
        let pods = ctx.addresses.network();
        let text = format!("Failed to create pod sandbox: no address is left in {pods}");
        return Some(("FailedCreatePodSandBox", text));
    }
    if let Err(why) = name {
        return Some(("FailedCreatePodSandBox", format!("Failed to create pod sandbox: {why}")));
    }
    None
}

fn has_volumes(pod: &Pod) -> bool {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    volumes.is_some_and(|volumes| !volumes.is_empty())
}

fn wants_host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true)
}

/// The Pod's files in /etc, its way to look up names, and what of its dnsConfig was left out.
fn etc(ctx: &Context, pod: &Pod, name: &Name, address: Ipv4Addr) -> (Etc, Resolver, Vec<String>) {
    let network = ctx.rooms.network.config();
    let cluster = etc::Cluster { domain: &network.cluster_domain, dns: network.dns_address() };
    Etc::of(pod, name, address, &cluster, HostDns::read)
}

/// Who the Pod is on the network.
fn member(pod: &Pod, address: Ipv4Addr, resolver: Resolver) -> Member {
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    Member { address, namespace, name: pod.metadata.name.clone().unwrap_or_default(), resolver }
}

fn sandbox(ctx: &Context, pod: &Pod, hostname: &str, network: Option<PodNetwork>) -> Sandbox {
    let sandbox = ctx.rooms.runtime.sandbox(hostname, network);
    let shares = pod.spec.as_ref().and_then(|spec| spec.share_process_namespace);
    if shares == Some(true) { sandbox.sharing(Processes::default()) } else { sandbox }
}
