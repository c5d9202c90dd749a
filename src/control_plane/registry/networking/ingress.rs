//! Ingresses: which HTTP requests from outside go to which Service.
//!
//! Upstream: `pkg/registry/networking/ingress/strategy.go`,
//! `pkg/apis/networking/validation/validation.go`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::TypedLocalObjectReference;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
};
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::rules::{invalid_number, text, validate_ip};
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

/// How a class was named before there was a field for it.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
const BAD_SEQUENCES: &[&str] = &["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDS: &[&str] = &["/..", "/."];

#[derive(Debug)]
pub(crate) struct Ingresses;

impl Resource for Ingresses {
    type Object = Ingress;

    const NAMES: Names =
        Names { plural: "ingresses", singular: "ingress", short: &["ing"], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] =
        &[Subresource { name: "status", kind: ("", "", "Ingress"), verbs: STATUS_VERBS }];
    const GENERATION: bool = true;

    fn default(ingress: &mut Ingress) {
        ingress.status.get_or_insert_default().load_balancer.get_or_insert_default();
    }

    fn prepare_for_create(ingress: &mut Ingress) {
        ingress.status = None;
        Self::default(ingress);
    }

    fn prepare_for_update(ingress: &mut Ingress, old: &Ingress) {
        ingress.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(ingress: &mut Ingress, old: &Ingress) {
        ingress.spec.clone_from(&old.spec);
    }

    fn validate(ingress: &Ingress) -> Vec<FieldError> {
        let spec = ingress.spec.clone().unwrap_or_default();
        let mut faults = validate_spec(&spec, &Path::new("spec"));
        let said = ingress.metadata.annotations.as_ref().and_then(|all| all.get(CLASS_ANNOTATION));
        if let (Some(said), Some(class)) = (said, &spec.ingress_class_name)
            && said != class
        {
            let path = Path::new("annotations").child(CLASS_ANNOTATION);
            let detail = "must match `ingressClassName` when both are specified";
            faults.push(FieldError::invalid(path, said.as_str(), detail));
        }
        faults
    }

    fn validate_update(ingress: &Ingress, _old: &Ingress) -> Vec<FieldError> {
        validate_spec(&ingress.spec.clone().unwrap_or_default(), &Path::new("spec"))
    }

    fn validate_status_update(ingress: &Ingress, _old: &Ingress) -> Vec<FieldError> {
        let path = Path::new("status").child("loadBalancer").child("ingress");
        let mut faults = Vec::new();
        for (index, address) in addresses(ingress).iter().enumerate() {
            let path = path.index(index);
            let (ip, hostname) = (text(&address.ip), text(&address.hostname));
            if !ip.is_empty() {
                faults.extend(validate_ip(ip, &path.child("ip")));
            }
            if !hostname.is_empty() {
                let path = path.child("hostname");
                faults.extend(invalid_each(&path, hostname, meta::dns1123_subdomain(hostname)));
                faults.extend(no_address(hostname, &path));
            }
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Class", "The IngressClass whose controller serves it."),
            column("Hosts", "The names that it has rules for."),
            column("Address", "Where it is served."),
            column("Ports", "The ports that it is served at."),
            AGE,
        ];
        COLUMNS
    }

    fn row(ingress: &Ingress, now: Timestamp) -> Vec<Value> {
        let spec = ingress.spec.clone().unwrap_or_default();
        let hosts: Vec<String> = spec
            .rules
            .iter()
            .flatten()
            .filter_map(|rule| rule.host.clone().filter(|host| !host.is_empty()))
            .collect();
        let address = |address: &k8s_openapi::api::networking::v1::IngressLoadBalancerIngress| {
            let ip = address.ip.clone().filter(|ip| !ip.is_empty());
            ip.or_else(|| address.hostname.clone().filter(|name| !name.is_empty()))
        };
        let at: BTreeSet<String> = addresses(ingress).iter().filter_map(address).collect();
        let has_tls = spec.tls.as_ref().is_some_and(|tls| !tls.is_empty());
        vec![
            print::name(&ingress.metadata),
            spec.ingress_class_name.as_deref().unwrap_or("<none>").into(),
            print::list(hosts, "*").into(),
            at.into_iter().collect::<Vec<_>>().join(",").into(),
            if has_tls { "80, 443" } else { "80" }.into(),
            print::age(&ingress.metadata, now),
        ]
    }
}

fn addresses(ingress: &Ingress) -> &[k8s_openapi::api::networking::v1::IngressLoadBalancerIngress] {
    let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default()
}

fn validate_spec(spec: &IngressSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let rules = spec.rules.as_deref().unwrap_or_default();
    if rules.is_empty() && spec.default_backend.is_none() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        faults.push(FieldError::invalid(path.clone(), Value::Null, detail));
    }
    if let Some(backend) = &spec.default_backend {
        faults.extend(validate_backend(backend, &path.child("defaultBackend")));
    }
    for (index, rule) in rules.iter().enumerate() {
        faults.extend(validate_rule(rule, &path.child("rules").index(index)));
    }
    for (index, tls) in spec.tls.iter().flatten().enumerate() {
        let path = path.child("tls").index(index);
        for (index, host) in tls.hosts.iter().flatten().enumerate() {
            faults.extend(validate_host(host, &path.child("hosts").index(index)));
        }
        let secret = text(&tls.secret_name);
        if !secret.is_empty() {
            let path = path.child("secretName");
            faults.extend(invalid_each(&path, secret, meta::dns1123_subdomain(secret)));
        }
    }
    if let Some(class) = &spec.ingress_class_name {
        let path = path.child("ingressClassName");
        faults.extend(invalid_each(&path, class, meta::dns1123_subdomain(class)));
    }
    faults
}

fn no_address(host: &str, path: &Path) -> Option<FieldError> {
    let detail = "must be a DNS name, not an IP address";
    host.parse::<IpAddr>().is_ok().then(|| FieldError::invalid(path.clone(), host, detail))
}

fn validate_host(host: &str, path: &Path) -> Vec<FieldError> {
    let complaints = match host.contains('*') {
        true => meta::wildcard_dns1123_subdomain(host),
        false => meta::dns1123_subdomain(host),
    };
    invalid_each(path, host, complaints)
}

fn validate_rule(rule: &IngressRule, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let host = text(&rule.host);
    if !host.is_empty() {
        let path = path.child("host");
        faults.extend(no_address(host, &path));
        faults.extend(validate_host(host, &path));
    }
    if let Some(http) = &rule.http {
        let path = path.child("http").child("paths");
        if http.paths.is_empty() {
            faults.push(FieldError::required(path.clone(), ""));
        }
        for (index, http_path) in http.paths.iter().enumerate() {
            faults.extend(validate_path(http_path, &path.index(index)));
        }
    }
    faults
}

fn validate_path(http: &HTTPIngressPath, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let url_path = text(&http.path);
    let at = path.child("path");
    let fault = |detail: String| FieldError::invalid(at.clone(), url_path, detail);
    let absolute = || fault("must be an absolute path".to_owned());
    match http.path_type.as_str() {
        "" => {
            let detail = "pathType must be specified";
            return vec![FieldError::required(path.child("pathType"), detail)];
        }
        "Exact" | "Prefix" => {
            if !url_path.starts_with('/') {
                faults.push(absolute());
            }
            let bad = BAD_SEQUENCES.iter().filter(|bad| url_path.contains(**bad));
            faults.extend(bad.map(|bad| fault(format!("must not contain '{bad}'"))));
            let bad = BAD_ENDS.iter().filter(|bad| url_path.ends_with(**bad));
            faults.extend(bad.map(|bad| fault(format!("cannot end with '{bad}'"))));
        }
        "ImplementationSpecific" if url_path.is_empty() || url_path.starts_with('/') => {}
        "ImplementationSpecific" => faults.push(absolute()),
        other => {
            faults.push(FieldError::not_supported(path.child("pathType"), other, PATH_TYPES));
        }
    }
    faults.extend(validate_backend(&http.backend, &path.child("backend")));
    faults
}

fn validate_backend(backend: &IngressBackend, path: &Path) -> Vec<FieldError> {
    let wrong = |detail: &str| vec![FieldError::invalid(path.clone(), "", detail)];
    match (&backend.resource, &backend.service) {
        (Some(_), Some(_)) => wrong("cannot set both resource and service backends"),
        (Some(resource), None) => validate_reference(resource, &path.child("resource")),
        (None, Some(service)) => validate_service(service, path),
        (None, None) => wrong("resource or service backend is required"),
    }
}

fn validate_service(service: &IngressServiceBackend, path: &Path) -> Vec<FieldError> {
    let at = path.child("service");
    let mut faults = match service.name.as_str() {
        "" => vec![FieldError::required(at.child("name"), "")],
        name => invalid_each(&at.child("name"), name, meta::dns1035_label(name)),
    };
    let port = service.port.clone().unwrap_or_default();
    let at = at.child("port");
    match (text(&port.name), port.number.unwrap_or(0)) {
        ("", 0) => {
            faults.push(FieldError::required(path.clone(), "port name or number is required"));
        }
        ("", number) => {
            let complaints = meta::port_number(i64::from(number));
            faults.extend(invalid_number(&at.child("number"), number, complaints));
        }
        (name, 0) => faults.extend(invalid_each(&at.child("name"), name, meta::port_name(name))),
        _ => {
            let detail = "cannot set both port name & port number";
            faults.push(FieldError::invalid(path.clone(), "", detail));
        }
    }
    faults
}

fn validate_reference(reference: &TypedLocalObjectReference, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(group) = &reference.api_group {
        faults.extend(invalid_each(&path.child("apiGroup"), group, meta::dns1123_subdomain(group)));
    }
    for (field, value) in [("kind", &reference.kind), ("name", &reference.name)] {
        let path = path.child(field);
        match value.as_str() {
            "" => faults.push(FieldError::required(path, "")),
            value => faults.extend(invalid_each(&path, value, meta::path_segment_name(value))),
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ingress(spec: Value) -> Ingress {
        let mut ingress: Ingress =
            serde_json::from_value(json!({"metadata": {"name": "i"}, "spec": spec})).unwrap();
        Ingresses::default(&mut ingress);
        ingress
    }

    #[track_caller]
    fn check(spec: Value, expect: &[&str]) {
        let faults = Ingresses::validate(&ingress(spec));
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    fn rule(host: &str, path: &str, kind: &str, backend: Value) -> Value {
        json!({"host": host, "http": {"paths": [{"path": path, "pathType": kind, "backend": backend}]}})
    }

    fn web() -> Value {
        json!({"service": {"name": "web", "port": {"number": 80}}})
    }

    #[test]
    fn rules_lead_somewhere() {
        check(json!({"rules": [rule("*.example.org", "/", "Prefix", web())]}), &[]);
        check(json!({"defaultBackend": web()}), &[]);
        check(
            json!({}),
            &["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
        );
        check(
            json!({"rules": [
                rule("10.0.0.1", "x", "Prefix", json!({})),
                rule("", "/a//b/..", "Exact", json!({"service": {"name": "web"}})),
                rule("a.b", "", "Best", json!({"service": {"name": "Web", "port": {"name": "p", "number": 1}}})),
                {"http": {"paths": []}}]}),
            &[
                "spec.rules[0].host: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address",
                "spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path",
                "spec.rules[0].http.paths[0].backend: Invalid value: \"\": resource or service backend is required",
                "spec.rules[1].http.paths[0].path: Invalid value: \"/a//b/..\": must not contain '//'",
                "spec.rules[1].http.paths[0].path: Invalid value: \"/a//b/..\": cannot end with '/..'",
                "spec.rules[1].http.paths[0].backend: Required value: port name or number is required",
                "spec.rules[2].http.paths[0].pathType: Unsupported value: \"Best\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\"",
                "spec.rules[2].http.paths[0].backend.service.name: Invalid value: \"Web\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
                "spec.rules[2].http.paths[0].backend: Invalid value: \"\": cannot set both port name & port number",
                "spec.rules[3].http.paths: Required value",
            ],
        );
    }

    #[test]
    fn rows_say_who_is_served_where() {
        let mut full = ingress(json!({"ingressClassName": "sampan", "tls": [{"hosts": ["a.b"]}],
            "rules": [{"host": "a.b"}, {"host": "c.d"}, {"host": "e.f"}, {"host": "g.h"}]}));
        full.status =
            serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}))
                .unwrap();
        let row = Ingresses::row(&full, Timestamp::UNIX_EPOCH);
        assert_eq!(row[1..5], ["sampan", "a.b,c.d,e.f + 1 more...", "127.0.0.1", "80, 443"]);
        let row = Ingresses::row(&ingress(json!({"defaultBackend": web()})), Timestamp::UNIX_EPOCH);
        assert_eq!(row[1..5], ["<none>", "*", "", "80"]);
    }
}
