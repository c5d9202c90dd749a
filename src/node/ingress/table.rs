//! Where a request goes, told from its host and path. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressClass, IngressRule,
};

use crate::api::object::ObjectKey;
use crate::client::cache::key_of;

/// What our classes name as their controller.
const CONTROLLER: &str = "sampan.dev/ingress";
/// How an Ingress named its class before there was a field for it.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backend {
    pub service: ObjectKey,
    pub port: Port,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Port {
    Number(i32),
    Name(String),
}

#[derive(Debug, Clone)]
struct Path {
    path: String,
    exact: bool,
    backend: Backend,
}

/// All rules of all Ingresses of ours.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// By host: a name, `*.example.org`, or nothing for any. The paths in the order to try them.
    hosts: HashMap<String, Vec<Path>>,
    /// For what no rule is about.
    default: Option<Backend>,
}

/// Whether we serve this Ingress.
pub(super) fn is_ours(
    ingress: &Ingress,
    class: impl Fn(&str) -> Option<Arc<IngressClass>>,
) -> bool {
    let named = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
    let annotated = || {
        let annotations = ingress.metadata.annotations.as_ref()?;
        annotations.get(CLASS_ANNOTATION).map(String::as_str)
    };
    let class = named.or_else(annotated).and_then(class);
    let controller = class.as_ref().and_then(|class| class.spec.as_ref()?.controller.as_deref());
    controller == Some(CONTROLLER) && ingress.metadata.deletion_timestamp.is_none()
}

impl Table {
    pub(super) fn new(mut ingresses: Vec<Arc<Ingress>>) -> Self {
        ingresses.sort_by_key(|ingress| {
            let made = ingress.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (made, key_of(&**ingress))
        });
        let mut table = Self::default();
        for ingress in &ingresses {
            let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
            let Some(spec) = &ingress.spec else { continue };
            if table.default.is_none() {
                table.default = spec.default_backend.as_ref().and_then(|to| backend(namespace, to));
            }
            for rule in spec.rules.iter().flatten() {
                table.add(namespace, rule, spec.default_backend.as_ref());
            }
        }
        for paths in table.hosts.values_mut() {
            // Stable: of the same path, the older Ingress's comes first.
            paths.sort_by_key(|path| (!path.exact, std::cmp::Reverse(path.path.len())));
        }
        table
    }

    /// A rule without paths sends all of its host to the Ingress's default backend.
    fn add(&mut self, namespace: &str, rule: &IngressRule, default: Option<&IngressBackend>) {
        let host = rule.host.clone().unwrap_or_default().to_ascii_lowercase();
        let paths = self.hosts.entry(host).or_default();
        match &rule.http {
            Some(http) => {
                paths.extend(http.paths.iter().filter_map(|path| path_of(namespace, path)));
            }
            None => {
                paths.extend(default.and_then(|to| backend(namespace, to)).map(|backend| Path {
                    path: "/".to_owned(),
                    exact: false,
                    backend,
                }))
            }
        }
    }

    /// Where a request for this host (without a port) and path goes.
    pub(super) fn find(&self, host: &str, path: &str) -> Option<&Backend> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let wildcard = || host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let paths = self
            .hosts
            .get(&host)
            .or_else(|| self.hosts.get(&wildcard()?))
            .or_else(|| self.hosts.get(""));
        let found = paths.into_iter().flatten().find(|candidate| candidate.matches(path));
        found.map(|path| &path.backend).or(self.default.as_ref())
    }
}

impl Path {
    /// Prefixes are of whole elements: `/a` is one of `/a/b`, not of `/ab`.
    fn matches(&self, path: &str) -> bool {
        if self.exact {
            return self.path == path;
        }
        let prefix = self.path.trim_end_matches('/');
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn path_of(namespace: &str, path: &HTTPIngressPath) -> Option<Path> {
    Some(Path {
        path: path.path.clone().filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned()),
        exact: path.path_type == "Exact",
        backend: backend(namespace, &path.backend)?,
    })
}

/// `None` for backends that are no Services.
fn backend(namespace: &str, backend: &IngressBackend) -> Option<Backend> {
    let service = backend.service.as_ref()?;
    let port = service.port.as_ref()?;
    let port = match (&port.name, port.number) {
        (Some(name), _) if !name.is_empty() => Port::Name(name.clone()),
        (_, Some(number)) => Port::Number(number),
        _ => return None,
    };
    Some(Backend { service: ObjectKey::new(namespace, service.name.as_str()), port })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ingress(name: &str, made: &str, spec: Value) -> Arc<Ingress> {
        let meta = json!({"name": name, "namespace": "n", "creationTimestamp": made});
        Arc::new(serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap())
    }

    fn to(service: &str) -> Value {
        json!({"service": {"name": service, "port": {"number": 80}}})
    }

    fn rule(host: &str, paths: &[(&str, &str, &str)]) -> Value {
        let paths: Vec<Value> = paths
            .iter()
            .map(|(path, kind, service)| json!({"path": path, "pathType": kind, "backend": to(service)}))
            .collect();
        json!({"host": host, "http": {"paths": paths}})
    }

    fn table() -> Table {
        Table::new(vec![
            ingress(
                "b",
                "2026-01-02T00:00:00Z",
                json!({
                "defaultBackend": to("late"),
                "rules": [rule("a.example.org", &[("/x", "Prefix", "usurper"), ("/new", "Prefix", "new")])]}),
            ),
            ingress(
                "a",
                "2026-01-01T00:00:00Z",
                json!({
                "defaultBackend": to("fallback"),
                "rules": [
                    rule("a.example.org", &[("/", "Prefix", "root"), ("/x", "Prefix", "x"),
                        ("/x/y", "Exact", "exact"), ("/x/long", "ImplementationSpecific", "long")]),
                    rule("*.example.org", &[("/", "Prefix", "wild")]),
                    {"host": "bare.example.com"},
                ]}),
            ),
        ])
    }

    #[track_caller]
    fn check(host: &str, path: &str, expect: &str) {
        let table = table();
        assert_eq!(table.find(host, path).map(|to| to.service.name.as_str()), Some(expect));
    }

    #[test]
    fn the_most_particular_rule_of_the_host_wins() {
        check("a.example.org", "/", "root");
        check("A.example.org.", "/x", "x");
        check("a.example.org", "/x/", "x");
        check("a.example.org", "/xy", "root");
        check("a.example.org", "/x/y", "exact");
        check("a.example.org", "/x/y/z", "x");
        check("a.example.org", "/x/long/er", "long");
        check("a.example.org", "/new", "new");
        check("b.example.org", "/q", "wild");
        check("c.b.example.org", "/q", "fallback");
        check("bare.example.com", "/q", "fallback");
        check("elsewhere", "/", "fallback");
        assert_eq!(Table::default().find("a", "/"), None);
    }

    #[test]
    fn a_class_of_ours_is_served() {
        let class = |name: &str| {
            let controller = match name {
                "sampan" => "sampan.dev/ingress",
                "other" => "example.org/ingress",
                _ => return None,
            };
            let class = json!({"spec": {"controller": controller}});
            Some(Arc::new(serde_json::from_value(class).unwrap()))
        };
        let of = |meta: Value, spec: Value| {
            let ingress = json!({"metadata": meta, "spec": spec});
            is_ours(&serde_json::from_value(ingress).unwrap(), class)
        };
        assert!(of(json!({}), json!({"ingressClassName": "sampan"})));
        assert!(of(json!({"annotations": {CLASS_ANNOTATION: "sampan"}}), json!({})));
        assert!(!of(json!({}), json!({"ingressClassName": "other"})));
        assert!(!of(json!({}), json!({"ingressClassName": "none"})));
        assert!(!of(json!({}), json!({})));
    }
}
