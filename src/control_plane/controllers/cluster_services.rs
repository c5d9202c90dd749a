//! The Services that every cluster has: `default/kubernetes`, where Pods find the API server, and
//! `kube-system/kube-dns`, where they find names. Both are served by the node itself, at an address
//! of its own in the Pods' network; no Pod stands behind them, so their endpoints are written here.
//!
//! Upstream: `pkg/controlplane/controller/kubernetesservice`, `pkg/controlplane/reconcilers`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::info;

use super::Context;
use super::reconcile::{self, is_gone};
use crate::api::object::ObjectKey;
use crate::client::cache::key_of;
use crate::control_plane::registry::ServiceRanges;

/// Where the API server listens in the Pods' network.
pub(crate) const API_SERVER_PORT: u16 = 6443;
const DNS_PORT: u16 = 53;

/// One Service with its endpoints, as they are to be.
#[derive(Debug)]
struct Wanted {
    service: Service,
    endpoints: Endpoints,
    slice: EndpointSlice,
}

/// What every cluster has.
#[derive(Debug)]
pub(crate) struct ClusterServices(Vec<Wanted>);

impl ClusterServices {
    /// `served_at`: the node's own address in the Pods' network.
    pub(crate) fn new(ranges: &ServiceRanges, served_at: Ipv4Addr) -> Self {
        let api_server = Outline {
            key: ObjectKey::new("default", "kubernetes"),
            labels: json!({"component": "apiserver", "provider": "kubernetes"}),
            cluster_ip: ranges.api_server(),
            served_at,
            ports: &[("https", 443, API_SERVER_PORT, "TCP")],
        };
        let dns = Outline {
            key: ObjectKey::new("kube-system", "kube-dns"),
            labels: json!({
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "CoreDNS",
            }),
            cluster_ip: ranges.dns(),
            served_at,
            ports: &[("dns", 53, DNS_PORT, "UDP"), ("dns-tcp", 53, DNS_PORT, "TCP")],
        };
        Self([api_server, dns].iter().map(Outline::wanted).collect())
    }

    fn get(&self, key: &ObjectKey) -> Option<&Wanted> {
        self.0.iter().find(|wanted| key_of(&wanted.service) == *key)
    }

    /// Makes what is missing, before anybody asks for it.
    ///
    /// # Errors
    /// What the API server answers.
    pub(crate) async fn ensure(&self, client: &kube::Client) -> Result<(), kube::Error> {
        for wanted in &self.0 {
            let namespace = wanted.service.metadata.namespace.as_deref().unwrap_or_default();
            let api: Api<Service> = Api::namespaced(client.clone(), namespace);
            ensure_service(&api, &wanted.service).await?;
            ensure_as_it_is(
                &Api::namespaced(client.clone(), namespace),
                &wanted.endpoints,
                |a, b| a.subsets == b.subsets && a.metadata.labels == b.metadata.labels,
            )
            .await?;
            ensure_as_it_is(&Api::namespaced(client.clone(), namespace), &wanted.slice, |a, b| {
                (&a.endpoints, &a.ports, &a.metadata.labels)
                    == (&b.endpoints, &b.ports, &b.metadata.labels)
            })
            .await?;
        }
        Ok(())
    }
}

struct Outline {
    key: ObjectKey,
    labels: Value,
    cluster_ip: Ipv4Addr,
    served_at: Ipv4Addr,
    /// Name, port, port where it is served, protocol.
    ports: &'static [(&'static str, u16, u16, &'static str)],
}

impl Outline {
    fn wanted(&self) -> Wanted {
        let ports: Vec<Value> = self
            .ports
            .iter()
            .map(|(name, port, target, protocol)| {
                json!({"name": name, "port": port, "targetPort": target, "protocol": protocol})
            })
            .collect();
        let served: Vec<Value> = self
            .ports
            .iter()
            .map(|(name, _, target, protocol)| {
                json!({"name": name, "port": target, "protocol": protocol})
            })
            .collect();
        let meta = |labels: &Value| json!({"name": self.key.name, "namespace": self.key.namespace, "labels": labels});
        let ip = self.cluster_ip.to_string();
        // Its slice is written here.
        let skip_mirror = json!({"endpointslice.kubernetes.io/skip-mirror": "true"});
        Wanted {
            service: typed(json!({
                "metadata": meta(&self.labels),
                "spec": {
                    "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "ports": ports,
                    "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                },
            })),
            endpoints: typed(json!({
                "metadata": meta(&skip_mirror),
                "subsets": [{"addresses": [{"ip": self.served_at.to_string()}], "ports": served}],
            })),
            slice: typed(json!({
                "metadata": meta(&json!({"kubernetes.io/service-name": self.key.name})),
                "addressType": "IPv4",
                "endpoints": [{
                    "addresses": [self.served_at.to_string()],
                    "conditions": {"ready": true},
                }],
                "ports": served,
            })),
        }
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it is written above as its type wants it")
}

/// The address is the one that every Pod was told; whatever else a user changed stays.
async fn ensure_service(api: &Api<Service>, wanted: &Service) -> Result<(), kube::Error> {
    let name = wanted.metadata.name.as_deref().unwrap_or_default();
    let ip = |service: &Service| service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone());
    if let Some(current) = api.get_opt(name).await? {
        if ip(&current) == ip(wanted) {
            return Ok(());
        }
        info!(service = %name, "Made anew: the Services' network is another one now");
        match api.delete(name, &DeleteParams::default()).await {
            Err(error) if is_gone(&error) => {}
            outcome => drop(outcome?),
        }
    }
    created(api.create(&PostParams::default(), wanted).await)
}

async fn ensure_as_it_is<K>(
    api: &Api<K>,
    wanted: &K,
    is_same: impl Fn(&K, &K) -> bool,
) -> Result<(), kube::Error>
where
    K: kube::Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let name = wanted.meta().name.clone().unwrap_or_default();
    let post = PostParams::default();
    match api.get_opt(&name).await? {
        Some(current) if is_same(&current, wanted) => Ok(()),
        Some(_) => api.replace(&name, &post, wanted).await.map(drop),
        None => created(api.create(&post, wanted).await),
    }
}

fn created<K>(outcome: Result<K, kube::Error>) -> Result<(), kube::Error> {
    match outcome {
        // Somebody was faster.
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        outcome => outcome.map(drop),
    }
}

pub(super) async fn run(ctx: Context) {
    let services = ctx.caches.services.changes();
    let endpoints = ctx.caches.endpoints.changes();
    let slices = ctx.caches.endpoint_slices.changes();
    let cluster = Arc::clone(&ctx.settings.cluster_services);
    let keys = stream::select(services, stream::select(endpoints, slices))
        .filter(move |key| std::future::ready(cluster.get(key).is_some()));
    let (clock, stop) = (ctx.clock.clone(), ctx.stop.clone());
    reconcile::run("cluster-services-controller", clock, stop, keys, |_| {
        let ctx = ctx.clone();
        async move { ctx.settings.cluster_services.ensure(&ctx.client).await }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_are_those_of_the_ranges() {
        let cluster = ClusterServices::new(&ServiceRanges::default(), Ipv4Addr::new(10, 42, 0, 1));
        let dns = cluster.get(&ObjectKey::new("kube-system", "kube-dns")).unwrap();
        assert_eq!(dns.service.spec.as_ref().unwrap().cluster_ip.as_deref(), Some("10.43.0.10"));
        let api = cluster.get(&ObjectKey::new("default", "kubernetes")).unwrap();
        assert_eq!(api.service.spec.as_ref().unwrap().cluster_ip.as_deref(), Some("10.43.0.1"));
        assert_eq!(api.slice.endpoints[0].addresses, ["10.42.0.1"]);
        assert_eq!(api.slice.ports.as_ref().unwrap()[0].port, Some(6443));
    }
}
