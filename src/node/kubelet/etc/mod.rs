//! What a Pod's containers find in /etc about themselves and the network: hosts, resolv.conf, hostname.
//!
//! Enter by [`Etc::of`], once per Pod; [`Etc::files`] are given to each container, over the image's. [`Etc::resolver`] says the same to the Pod network's own resolver.
//!
//! Upstream: `pkg/kubelet/kubelet_pods.go` (`GeneratePodHostNameAndDomain`, `managedHostsFileContent`),
//! `pkg/kubelet/network/dns/dns.go`.

mod dns;
mod hosts;
mod name;

use std::net::Ipv4Addr;

use bytes::Bytes;
use k8s_openapi::api::core::v1::Pod;

use self::dns::Dns;
pub(super) use self::dns::HostDns;
pub(super) use self::name::Name;
use crate::node::network::Resolver;

/// What of the cluster the files depend upon.
#[derive(Debug, Clone)]
pub(super) struct Cluster<'a> {
    pub(super) domain: &'a str,
    pub(super) dns: Ipv4Addr,
}

/// The files of one Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Etc {
    hosts: Bytes,
    resolv_conf: Bytes,
    hostname: Bytes,
}

impl Etc {
    /// The files, the Pod's way to look up names, and what of its dnsConfig had to be left out (texts
    /// for Events of the reason `DNSConfigForming`).
    pub(super) fn of(
        pod: &Pod,
        name: &Name,
        address: Ipv4Addr,
        cluster: &Cluster<'_>,
        host: impl FnOnce() -> HostDns,
    ) -> (Self, Resolver, Vec<String>) {
        let (dns, left_out) = Dns::of(pod, cluster, host);
        let aliases = pod.spec.as_ref().and_then(|spec| spec.host_aliases.as_deref());
        let aliases = aliases.unwrap_or_default();
        let etc = Self {
            hosts: hosts::content(address, name, aliases).into(),
            resolv_conf: dns.content().into(),
            hostname: format!("{}\n", name.kernel).into(),
        };
        let resolver = Resolver {
            uses_cluster: dns.servers.contains(&cluster.dns.to_string()),
            ndots: dns.ndots(),
            search: dns.searches,
            hosts: hosts::entries(address, name, aliases),
        };
        (etc, resolver, left_out)
    }

    /// By their paths.
    pub(super) fn files(&self) -> [(&'static str, Bytes); 3] {
        [
            ("/etc/hosts", self.hosts.clone()),
            ("/etc/resolv.conf", self.resolv_conf.clone()),
            ("/etc/hostname", self.hostname.clone()),
        ]
    }
}
