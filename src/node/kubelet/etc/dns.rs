//! /etc/resolv.conf, by `dnsPolicy` and `dnsConfig`.

use k8s_openapi::api::core::v1::{Pod, PodDNSConfig};

use super::Cluster;

/// Bounds of the C library and upstream: what exceeds them is left out, and an Event says so.
const SERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_LENGTH_MAX: usize = 2048;

/// With fewer dots a name is sought in the search list first.
const NDOTS_OF_CLUSTER: &str = "ndots:5";
/// The C library's own.
const NDOTS_DEFAULT: usize = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dns {
    pub(super) servers: Vec<String>,
    pub(super) searches: Vec<String>,
    options: Vec<String>,
}

/// The host's /etc/resolv.conf, for `dnsPolicy: Default`.
#[derive(Debug, Clone, Default)]
pub(in crate::node::kubelet) struct HostDns(Dns);

impl HostDns {
    /// Where the host has no such file, names cannot be looked up by it.
    pub(in crate::node::kubelet) fn read() -> Self {
        Self(parse(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()))
    }
}

impl Dns {
    /// The second are texts for Events.
    pub(super) fn of(
        pod: &Pod,
        cluster: &Cluster<'_>,
        host: impl FnOnce() -> HostDns,
    ) -> (Self, Vec<String>) {
        let spec = pod.spec.as_ref();
        let policy = spec.and_then(|spec| spec.dns_policy.as_deref()).unwrap_or("ClusterFirst");
        let on_host = spec.and_then(|spec| spec.host_network) == Some(true);
        let mut dns = match policy {
            "None" => Self::default(),
            "Default" => host().0,
            "ClusterFirst" if on_host => host().0,
            _ => {
                let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
                Self::of_cluster(cluster, namespace)
            }
        };
        if let Some(more) = spec.and_then(|spec| spec.dns_config.as_ref()) {
            dns.merge(more);
        }
        let left_out = dns.fit();
        (dns, left_out)
    }

    /// The host's search domains are not added: a Pod resolves alike on every machine.
    fn of_cluster(cluster: &Cluster<'_>, namespace: &str) -> Self {
        let domain = cluster.domain;
        Self {
            servers: vec![cluster.dns.to_string()],
            searches: vec![
                format!("{namespace}.svc.{domain}"),
                format!("svc.{domain}"),
                domain.to_owned(),
            ],
            options: vec![NDOTS_OF_CLUSTER.to_owned()],
        }
    }

    /// Servers and domains are added, options replaced by name. Upstream: `appendDNSConfig`.
    fn merge(&mut self, more: &PodDNSConfig) {
        add(&mut self.servers, more.nameservers.as_deref());
        add(&mut self.searches, more.searches.as_deref());
        for option in more.options.iter().flatten() {
            let Some(name) = option.name.as_deref().filter(|name| !name.is_empty()) else {
                continue;
            };
            let text = match option.value.as_deref().filter(|value| !value.is_empty()) {
                Some(value) => format!("{name}:{value}"),
                None => name.to_owned(),
            };
            let is_it = |known: &&mut String| known.split(':').next() == Some(name);
            match self.options.iter_mut().find(is_it) {
                Some(known) => *known = text,
                None => self.options.push(text),
            }
        }
    }

    /// Upstream: `formDNSConfigFitsLimits`.
    fn fit(&mut self) -> Vec<String> {
        let mut left_out = Vec::new();
        if self.servers.len() > SERVERS_MAX {
            self.servers.truncate(SERVERS_MAX);
            left_out.push(format!(
                "Nameserver limits were exceeded, some nameservers have been omitted, the applied \
                 nameserver line is: {}",
                self.servers.join(" ")
            ));
        }
        let all = self.searches.len();
        self.searches.truncate(SEARCHES_MAX);
        while self.searches.join(" ").len() > SEARCH_LENGTH_MAX {
            self.searches.pop();
        }
        if self.searches.len() < all {
            left_out.push(format!(
                "Search Line limits were exceeded, some search paths have been omitted, the applied \
                 search line is: {}",
                self.searches.join(" ")
            ));
        }
        left_out
    }

    pub(super) fn ndots(&self) -> usize {
        let given = self.options.iter().find_map(|option| option.strip_prefix("ndots:"));
        given.and_then(|text| text.parse().ok()).unwrap_or(NDOTS_DEFAULT)
    }

    pub(super) fn content(&self) -> String {
        let mut content = String::new();
        if !self.searches.is_empty() {
            content += &format!("search {}\n", self.searches.join(" "));
        }
        for server in &self.servers {
            content += &format!("nameserver {server}\n");
        }
        if !self.options.is_empty() {
            content += &format!("options {}\n", self.options.join(" "));
        }
        content
    }
}

fn add(to: &mut Vec<String>, more: Option<&[String]>) {
    for text in more.unwrap_or_default() {
        if !to.contains(text) {
            to.push(text.clone());
        }
    }
}

/// Upstream: `parseResolvConf`; of several search lines the last counts.
fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => dns.servers.extend(words.next().map(str::to_owned)),
            Some("search" | "domain") => {
                let domains = words.map(|word| word.trim_end_matches('.').to_owned());
                dns.searches = domains.filter(|domain| !domain.is_empty()).collect();
            }
            Some("options") => {
                add(&mut dns.options, Some(&words.map(str::to_owned).collect::<Vec<_>>()))
            }
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::{Value, json};

    use super::*;

    fn dns(spec: Value) -> (Dns, Vec<String>) {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let pod = json!({"metadata": {"name": "p", "namespace": "ns"}, "spec": spec});
        let cluster = Cluster { domain: "cluster.local", dns: Ipv4Addr::new(10, 43, 0, 10) };
        let host = || {
            HostDns(parse(
                "# of the host\nnameserver 192.0.2.1 # first\nsearch old\nsearch lan example.\n\
                 options edns0 trust-ad\n",
            ))
        };
        Dns::of(&serde_json::from_value(pod).unwrap(), &cluster, host)
    }

    #[track_caller]
    fn check(spec: Value, expect: &str) {
        let (dns, left_out) = dns(spec);
        assert_eq!(dns.content(), expect);
        assert!(left_out.is_empty(), "{left_out:?}");
    }

    const OF_CLUSTER: &str = "search ns.svc.cluster.local svc.cluster.local cluster.local\n\
                              nameserver 10.43.0.10\noptions ndots:5\n";
    const OF_HOST: &str = "search lan example\nnameserver 192.0.2.1\noptions edns0 trust-ad\n";

    #[test]
    fn the_policy_chooses_whose_servers_are_asked() {
        check(json!({}), OF_CLUSTER);
        check(json!({"dnsPolicy": "ClusterFirst"}), OF_CLUSTER);
        check(json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}), OF_HOST);
        check(json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}), OF_CLUSTER);
        check(json!({"dnsPolicy": "Default"}), OF_HOST);
    }

    #[test]
    fn a_config_adds_to_the_policys_and_replaces_options() {
        let config = json!({
            "nameservers": ["1.1.1.1", "10.43.0.10"], "searches": ["svc.cluster.local", "my.domain"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
        });
        check(
            json!({"dnsConfig": config}),
            "search ns.svc.cluster.local svc.cluster.local cluster.local my.domain\n\
             nameserver 10.43.0.10\nnameserver 1.1.1.1\noptions ndots:2 edns0\n",
        );
        check(
            json!({"dnsPolicy": "None", "dnsConfig": config}),
            "search svc.cluster.local my.domain\nnameserver 1.1.1.1\nnameserver 10.43.0.10\n\
             options ndots:2 edns0\n",
        );
        assert_eq!(dns(json!({"dnsPolicy": "None", "dnsConfig": config})).0.ndots(), 2);
        assert_eq!(dns(json!({"dnsPolicy": "Default"})).0.ndots(), 1);
    }

    #[test]
    fn what_exceeds_the_limits_is_left_out_and_told() {
        let searches: Vec<String> = (0..40).map(|n| format!("d{n}")).collect();
        let config = json!({"nameservers": ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"],
            "searches": searches});
        let (dns, left_out) = dns(json!({"dnsPolicy": "None", "dnsConfig": config}));
        assert_eq!((dns.servers.len(), dns.searches.len()), (3, 32));
        assert!(left_out[0].ends_with("nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3"));
        assert!(left_out[1].starts_with("Search Line limits were exceeded"));
    }
}
