//! What a request asks for, read off its method, path and query. Pure.
//!
//! Upstream: `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`.

use http::Method;

use super::query::Query;

/// The attributes of a request that authorization, admission and the verbs go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestInfo {
    Resource(ResourceRequest),
    /// `/healthz`, `/version`, discovery …; authorized by path.
    Path {
        /// The method in lower case.
        verb: String,
        path: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ResourceRequest {
    pub(crate) verb: &'static str,
    /// Empty for the core group.
    pub(crate) group: String,
    pub(crate) version: String,
    /// Empty: all namespaces, or a cluster-scoped kind.
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) subresource: Option<String>,
    /// `None` for collections.
    pub(crate) name: Option<String>,
    /// Path segments beyond the subresource; nothing is served there yet.
    pub(crate) rest: Vec<String>,
}

impl RequestInfo {
    /// Reads the request line; `path` is still percent-encoded.
    pub(crate) fn parse(method: &Method, path: &str, query: &Query) -> Self {
        match resource_request(method, path, query) {
            Some(request) => Self::Resource(request),
            None => Self::Path { verb: method.as_str().to_lowercase(), path: path.to_owned() },
        }
    }
}

fn resource_request(method: &Method, path: &str, query: &Query) -> Option<ResourceRequest> {
    let parts: Vec<String> =
        path.split('/').filter(|part| !part.is_empty()).map(percent_decoded).collect();
    let mut parts = parts.into_iter();
    let group = match parts.next()?.as_str() {
        "api" => String::new(),
        "apis" => parts.next()?,
        _ => return None,
    };
    let version = parts.next()?;
    let mut parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        return None;
    }
    let mut request =
        ResourceRequest { verb: verb_of(method), group, version, ..Default::default() };
    if parts[0] == "watch" && parts.len() > 1 {
        // The old spelling, `/api/v1/watch/namespaces/default/pods`.
        parts.remove(0);
        request.verb = "watch";
    }
    if parts[0] == "namespaces" && parts.len() > 1 {
        request.namespace.clone_from(&parts[1]);
        // `namespaces/x/status` speaks of the namespace itself.
        if parts.len() > 2 && !["status", "finalize"].contains(&parts[2].as_str()) {
            parts.drain(..2);
        }
    }
    let mut parts = parts.into_iter();
    request.resource = parts.next()?;
    request.name = parts.next();
    request.subresource = parts.next();
    request.rest = parts.collect();
    collection_verb(&mut request, query);
    Some(request)
}

fn verb_of(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

/// Requests without a name speak of a collection.
fn collection_verb(request: &mut ResourceRequest, query: &Query) {
    if request.name.is_some() {
        if request.verb == "get" && query.flag("watch") && request.subresource.is_none() {
            request.verb = "watch";
        }
        return;
    }
    request.verb = match request.verb {
        "get" if query.flag("watch") => "watch",
        "get" => "list",
        "delete" => "deletecollection",
        verb => verb,
    };
}

fn percent_decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expect: &str) {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let found = match RequestInfo::parse(&method, path, &Query::parse(query)) {
            RequestInfo::Path { verb, path } => format!("{verb} {path}"),
            RequestInfo::Resource(r) => format!(
                "{} {}/{} ns={} {}{}{}",
                r.verb,
                r.group,
                r.version,
                r.namespace,
                r.resource,
                r.name.map(|name| format!(" {name}")).unwrap_or_default(),
                r.subresource.map(|sub| format!(" /{sub}")).unwrap_or_default(),
            ),
        };
        assert_eq!(found, expect, "{line}");
    }

    #[test]
    fn objects_and_collections() {
        check("GET /api/v1/namespaces/d/pods", "list /v1 ns=d pods");
        check("GET /api/v1/pods?watch=true", "watch /v1 ns= pods");
        check("GET /api/v1/pods?watch=1", "watch /v1 ns= pods");
        check("GET /api/v1/pods?watch=false", "list /v1 ns= pods");
        check("POST /api/v1/namespaces/d/pods", "create /v1 ns=d pods");
        check("DELETE /api/v1/namespaces/d/pods", "deletecollection /v1 ns=d pods");
        check("DELETE /api/v1/namespaces/d/pods/x", "delete /v1 ns=d pods x");
        check("PATCH /apis/apps/v1/namespaces/d/deployments/x", "patch apps/v1 ns=d deployments x");
        check("GET /api/v1/nodes/a%2Fb", "get /v1 ns= nodes a/b");
    }

    #[test]
    fn subresources() {
        check("GET /api/v1/namespaces/d/pods/x/log", "get /v1 ns=d pods x /log");
        check("PUT /api/v1/namespaces/d/pods/x/status", "update /v1 ns=d pods x /status");
    }

    #[test]
    fn namespaces_are_objects_too() {
        check("GET /api/v1/namespaces", "list /v1 ns= namespaces");
        check("GET /api/v1/namespaces/d", "get /v1 ns=d namespaces d");
        check("PUT /api/v1/namespaces/d/finalize", "update /v1 ns=d namespaces d /finalize");
    }

    #[test]
    fn the_old_watch_paths() {
        check("GET /api/v1/watch/namespaces/d/pods", "watch /v1 ns=d pods");
        check("GET /api/v1/watch/namespaces/d/pods/x", "watch /v1 ns=d pods x");
    }

    #[test]
    fn everything_else_is_a_path() {
        check("GET /healthz", "get /healthz");
        check("GET /api", "get /api");
        check("GET /api/v1", "get /api/v1");
        check("GET /apis/apps/v1", "get /apis/apps/v1");
        check("GET /", "get /");
    }
}
