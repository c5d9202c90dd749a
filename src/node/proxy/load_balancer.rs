//! Services of type LoadBalancer get their address at once: the node's.
//!
//! Upstream: `k8s.io/cloud-provider/controllers/service/controller.go`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use kube::api::{Api, Patch, PatchParams};
use parking_lot::Mutex;
use serde_json::json;
use tracing::{debug, warn};

use super::plan::{ingress_ips, protocol};
use super::references;
use super::start::Context;
use crate::api::object::ObjectKey;
use crate::client::cache::key_of;
use crate::client::events::EventType;
use crate::client::queue::{Backoff, Queue};

/// As upstream's, but that it gives up waiting longer at one minute.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(5), max: Duration::from_secs(60) };

/// A second balancer with the same port gets a loopback address of its own where all of 127.0.0.0/8
/// is this machine's without asking. Bound: addresses tried.
const HAS_MANY_LOOPBACK_ADDRESSES: bool = cfg!(any(target_os = "linux", target_os = "windows"));
const OTHER_ADDRESSES_MAX: u8 = 254;

/// Addresses given out by Service, for what the cache does not show yet.
type Given = Mutex<HashMap<ObjectKey, IpAddr>>;

/// Follows the Services until the proxy stops.
pub(super) async fn run(ctx: Arc<Context>) {
    let queue = Queue::new(ctx.rooms.clock.clone(), BACKOFF);
    let given = Given::default();
    let feed = async {
        ctx.rooms.services.synced().await;
        let mut services = ctx.rooms.services.changes();
        while let Some(key) = services.next().await {
            let service = ctx.rooms.services.get(&key);
            if service.is_some_and(|service| is_balanced(&service))
                || given.lock().contains_key(&key)
            {
                queue.add(key);
            }
        }
    };
    let work = async {
        loop {
            let claim = queue.next().await;
            match reconcile(&ctx, claim.key(), &given).await {
                Ok(()) => claim.succeeded(),
                Err(error) => {
                    let key = claim.key().clone();
                    let again_after = claim.failed();
                    debug!(service = %key, %error, ?again_after, "Failed to give an address");
                }
            }
        }
    };
    tokio::select! {
        () = ctx.stop.cancelled() => {}
        () = feed => {}
        () = work => {}
    }
}

/// A class names another balancer.
fn is_balanced(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.is_some_and(|spec| {
        spec.type_.as_deref() == Some("LoadBalancer")
            && spec.load_balancer_class.as_deref().unwrap_or_default().is_empty()
    }) && service.metadata.deletion_timestamp.is_none()
}

async fn reconcile(ctx: &Context, key: &ObjectKey, given: &Given) -> Result<(), kube::Error> {
    let service = ctx.rooms.services.get(key).filter(|service| is_balanced(service));
    let Some(service) = service else {
        // The API server clears the status of what is no balancer any more.
        given.lock().remove(key);
        return Ok(());
    };
    let now: Vec<IpAddr> = ingress_ips(&service).collect();
    let address = {
        let others = others(ctx, key, &given.lock());
        choose(&service, &now, ctx.site.node_address, &others)
    };
    given.lock().insert(key.clone(), address);
    if now == [address] {
        return Ok(());
    }
    let reference = references::service(&service);
    let tell = |reason, text| ctx.recorder.record(&reference, EventType::Normal, reason, text);
    tell("EnsuringLoadBalancer", "Ensuring load balancer");
    let ingress = json!([{"ip": address.to_string(), "ipMode": "VIP"}]);
    let patch = json!({"status": {"loadBalancer": {"ingress": ingress}}});
    let api: Api<Service> = Api::namespaced(ctx.rooms.client.kube(), &key.namespace);
    let params = PatchParams::default();
    match api.patch_status(&key.name, &params, &Patch::Merge(&patch)).await {
        Ok(_) => {
            tell("EnsuredLoadBalancer", "Ensured load balancer");
            Ok(())
        }
        // It has gone meanwhile.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => {
            warn!(service = %key, %error, "Failed to write a load balancer's status");
            Err(error)
        }
    }
}

/// All other balancers, each with its address.
fn others(
    ctx: &Context,
    key: &ObjectKey,
    given: &HashMap<ObjectKey, IpAddr>,
) -> Vec<(IpAddr, Arc<Service>)> {
    let all = ctx.rooms.services.list().into_iter().filter(|one| is_balanced(one));
    let all = all.map(|service| (key_of(&*service), service)).filter(|(other, _)| other != key);
    let addressed = all.filter_map(|(other, service)| {
        let address = given.get(&other).copied().or_else(|| ingress_ips(&service).next());
        address.map(|address| (address, service))
    });
    addressed.collect()
}

/// The address for a balancer: the one it has, if that is one of ours; else the first where nobody
/// has one of its ports. When all are taken, the node's: the host will say which port is.
fn choose(
    service: &Service,
    now: &[IpAddr],
    node: IpAddr,
    others: &[(IpAddr, Arc<Service>)],
) -> IpAddr {
    let is_free = |address: &IpAddr| {
        others.iter().all(|(taken, other)| taken != address || !share_a_port(service, other))
    };
    let candidates = || std::iter::once(node).chain(other_addresses(node));
    let kept = candidates().find(|address| now == [*address]).filter(is_free);
    kept.or_else(|| candidates().find(is_free)).unwrap_or(node)
}

fn other_addresses(node: IpAddr) -> impl Iterator<Item = IpAddr> {
    let has_others = HAS_MANY_LOOPBACK_ADDRESSES && node == IpAddr::V4(Ipv4Addr::LOCALHOST);
    let last = if has_others { OTHER_ADDRESSES_MAX } else { 1 };
    (2..=last).map(|n| IpAddr::V4(Ipv4Addr::new(127, 0, 0, n)))
}

fn share_a_port(one: &Service, other: &Service) -> bool {
    let ports = |service: &Service| -> Vec<ServicePort> {
        service.spec.as_ref().and_then(|spec| spec.ports.clone()).unwrap_or_default()
    };
    let other = ports(other);
    let same = |a: &ServicePort, b: &ServicePort| a.port == b.port && protocol(a) == protocol(b);
    ports(one).iter().any(|port| other.iter().any(|taken| same(port, taken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancer(port: u16) -> Arc<Service> {
        let service = json!({"metadata": {}, "spec": {"ports": [{"port": port}]}});
        Arc::new(serde_json::from_value(service).unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn balancers_share_the_nodes_address_unless_they_share_a_port() {
        let node = ip("127.0.0.1");
        let others = [(node, balancer(80))];
        let choose = |service: Arc<Service>, now: &[IpAddr]| choose(&service, now, node, &others);
        assert_eq!(choose(balancer(81), &[]), node);
        let second = if HAS_MANY_LOOPBACK_ADDRESSES { ip("127.0.0.2") } else { node };
        assert_eq!(choose(balancer(80), &[]), second);
        assert_eq!(choose(balancer(80), &[node]), second);
        assert_eq!(choose(balancer(81), &[second]), second);
        assert_eq!(choose(balancer(81), &[ip("192.0.2.1")]), node);
    }

    #[test]
    fn a_nodes_real_address_is_its_only_one() {
        let node = ip("192.168.1.5");
        let others = [(node, balancer(80))];
        assert_eq!(choose(&balancer(80), &[], node, &others), node);
    }
}
