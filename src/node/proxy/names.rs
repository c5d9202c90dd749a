//! The DNS names of a Service. Pure.
//!
//! Upstream: `kubernetes/dns/docs/specification.md`; where that leaves a choice, CoreDNS' `kubernetes`
//! plugin.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::endpoints;
use super::plan::{cluster_ips, is_external_name, is_headless};
use crate::node::network::{Records, ServiceRecord, reverse_name};

/// All records that the Service stands for, by full name.
pub(super) fn names(
    service: &Service,
    slices: &[Arc<EndpointSlice>],
    domain: &str,
) -> BTreeMap<String, Records> {
    let (Some(spec), meta) = (&service.spec, &service.metadata) else { return BTreeMap::new() };
    let (Some(name), Some(namespace)) = (&meta.name, &meta.namespace) else {
        return BTreeMap::new();
    };
    let mut names =
        Names { service: format!("{name}.{namespace}.svc.{domain}"), all: BTreeMap::new() };
    if is_external_name(spec) {
        names.own().alias = spec.external_name.as_deref().map(full);
    } else if is_headless(spec) {
        // The name is there even if it leads to nobody.
        names.own();
        names.headless(slices);
    } else {
        names.cluster(spec);
    }
    names.all
}

/// Lower case, without the last dot.
fn full(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

struct Names {
    service: String,
    all: BTreeMap<String, Records>,
}

impl Names {
    fn own(&mut self) -> &mut Records {
        self.all.entry(self.service.clone()).or_default()
    }

    fn cluster(&mut self, spec: &ServiceSpec) {
        let ips: Vec<Ipv4Addr> = cluster_ips(spec).collect();
        for ip in &ips {
            let pointers = vec![self.service.clone()];
            self.all.insert(reverse_name(*ip), Records { pointers, ..Records::default() });
        }
        self.own().addresses = ips;
        for port in spec.ports.iter().flatten() {
            let ServicePort { name, protocol, port, .. } = port;
            let target = self.service.clone();
            self.served(name.as_deref(), protocol.as_deref(), *port, target);
        }
    }

    fn headless(&mut self, slices: &[Arc<EndpointSlice>]) {
        for slice in slices.iter().filter(|slice| slice.address_type == "IPv4") {
            for endpoint in slice.endpoints.iter().filter(|one| endpoints::is_ready(one)) {
                let Some(ip) = endpoints::address(endpoint) else { continue };
                let name = format!("{}.{}", label(endpoint, ip), self.service);
                push_new(&mut self.own().addresses, ip);
                push_new(&mut self.all.entry(name.clone()).or_default().addresses, ip);
                let pointers = &mut self.all.entry(reverse_name(ip)).or_default().pointers;
                push_new(pointers, name.clone());
                for port in slice.ports.iter().flatten() {
                    let Some(number) = port.port else { continue };
                    let (port, protocol) = (port.name.as_deref(), port.protocol.as_deref());
                    self.served(port, protocol, number, name.clone());
                }
            }
        }
    }

    /// SRV records: of the named port, and of the Service as a whole.
    fn served(&mut self, name: Option<&str>, protocol: Option<&str>, port: i32, target: String) {
        let Ok(port) = port.try_into() else { return };
        let record = ServiceRecord { port, target };
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let protocol = protocol.unwrap_or("TCP").to_ascii_lowercase();
            let name = format!("_{name}._{protocol}.{}", self.service);
            push_new(&mut self.all.entry(name).or_default().services, record.clone());
        }
        push_new(&mut self.own().services, record);
    }
}

/// The first label of an endpoint's name: its hostname, if the Pod was given one in a subdomain.
fn label(endpoint: &Endpoint, ip: Ipv4Addr) -> String {
    let hostname = endpoint.hostname.as_deref().filter(|name| !name.is_empty());
    hostname.map_or_else(|| ip.to_string().replace('.', "-"), str::to_owned)
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, one: T) {
    if !list.contains(&one) {
        list.push(one);
    }
}

/// What a name stands for that several Services gave records for (a Pod's address).
pub(super) fn merge<'a>(all: impl Iterator<Item = &'a Records>) -> Option<Records> {
    let mut merged: Option<Records> = None;
    for records in all {
        let merged = merged.get_or_insert_default();
        for ip in &records.addresses {
            push_new(&mut merged.addresses, *ip);
        }
        for service in &records.services {
            push_new(&mut merged.services, service.clone());
        }
        for pointer in &records.pointers {
            push_new(&mut merged.pointers, pointer.clone());
        }
        merged.alias = merged.alias.take().or_else(|| records.alias.clone());
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(spec: Value, slices: Value) -> BTreeMap<String, Records> {
        let service = json!({"metadata": {"name": "web", "namespace": "n"}, "spec": spec});
        let slices: Vec<EndpointSlice> = serde_json::from_value(slices).unwrap();
        let slices: Vec<_> = slices.into_iter().map(Arc::new).collect();
        names(&serde_json::from_value(service).unwrap(), &slices, "cluster.local")
    }

    fn service_record(port: u16, target: &str) -> ServiceRecord {
        ServiceRecord { port, target: target.to_owned() }
    }

    #[test]
    fn a_service_has_a_name_an_address_and_its_ports() {
        let spec = json!({
            "clusterIP": "10.43.0.7", "clusterIPs": ["10.43.0.7"],
            "ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}],
        });
        let names = of(spec, json!([]));
        let own = "web.n.svc.cluster.local";
        assert_eq!(names[own].addresses, [Ipv4Addr::new(10, 43, 0, 7)]);
        assert_eq!(names[&format!("_http._tcp.{own}")].services, [service_record(80, own)]);
        assert_eq!(names[&format!("_dns._udp.{own}")].services, [service_record(53, own)]);
        assert_eq!(names[own].services.len(), 2);
        assert_eq!(names["7.0.43.10.in-addr.arpa"].pointers, [own]);
    }

    #[test]
    fn a_headless_service_names_its_ready_endpoints() {
        let slices = json!([{
            "metadata": {}, "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": ["10.42.0.5"], "hostname": "one"},
                {"addresses": ["10.42.0.6"], "conditions": {"ready": true}},
                {"addresses": ["10.42.0.7"], "conditions": {"ready": false}},
            ],
        }]);
        let names = of(json!({"clusterIP": "None", "clusterIPs": ["None"]}), slices);
        let own = "web.n.svc.cluster.local";
        let (five, six) = (Ipv4Addr::new(10, 42, 0, 5), Ipv4Addr::new(10, 42, 0, 6));
        assert_eq!(names[own].addresses, [five, six]);
        let (one, other) = (format!("one.{own}"), format!("10-42-0-6.{own}"));
        assert_eq!(names[&one].addresses, [five]);
        assert_eq!(names[&other].addresses, [six]);
        let records = [service_record(8080, &one), service_record(8080, &other)];
        assert_eq!(names[&format!("_http._tcp.{own}")].services, records);
        assert_eq!(names["5.0.42.10.in-addr.arpa"].pointers, [one]);
        let names = of(json!({"clusterIP": "None", "clusterIPs": ["None"]}), json!([]));
        assert_eq!(names[own], Records::default());
    }

    #[test]
    fn an_external_name_is_an_alias() {
        let names =
            of(json!({"type": "ExternalName", "externalName": "DB.example.com."}), json!([]));
        let alias = names["web.n.svc.cluster.local"].alias.as_deref();
        assert_eq!((names.len(), alias), (1, Some("db.example.com")));
    }
}
