//! Which groups, versions and resources there are, in the two forms that clients ask for: aggregated
//! (`/api` and `/apis` say it all) and plain (one document per group and per group version).
//!
//! Upstream: KEP-3352 (aggregated discovery), `k8s.io/apiserver/pkg/endpoints/discovery`.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::document::Document;
use crate::control_plane::registry::{AnyResource, Scope, Subresource};

/// Groups that come first, in upstream's order of priority; others follow by name. Clients that
/// find a name in two groups take the first.
const GROUP_ORDER: &[&str] = &[
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
];

const PLAIN: &str = "application/json";
const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// All discovery documents of a set of kinds, encoded.
#[derive(Debug)]
pub(super) struct Discovery {
    /// By path, without a trailing slash.
    plain: BTreeMap<String, Document>,
    /// By path and content type.
    aggregated: BTreeMap<(&'static str, &'static str), Document>,
}

impl Discovery {
    /// Encodes everything; `address` is what old clients are told the server's address is.
    pub(super) fn new(kinds: &[&dyn AnyResource], address: &str) -> Self {
        let groups = groups(kinds);
        let (core, named): (Vec<_>, Vec<_>) = groups.iter().partition(|g| g.name.is_empty());
        let mut aggregated = BTreeMap::new();
        for (path, groups) in [("/api", &core), ("/apis", &named)] {
            for (content_type, version) in [(V2, "v2"), (V2BETA1, "v2beta1")] {
                let document = encode(content_type, &aggregate(groups, version));
                aggregated.insert((path, content_type), document);
            }
        }
        let mut plain = BTreeMap::from([
            ("/api".to_owned(), encode(PLAIN, &core_versions(&core, address))),
            ("/apis".to_owned(), encode(PLAIN, &group_list(&named))),
        ]);
        for group in &groups {
            if !group.name.is_empty() {
                plain.insert(format!("/apis/{}", group.name), encode(PLAIN, &group.plain(true)));
            }
            for version in &group.versions {
                let path = path(group.name, version.name);
                plain.insert(path, encode(PLAIN, &version.resource_list(group.name)));
            }
        }
        Self { plain, aggregated }
    }

    /// The answer to a GET of `path`, or `None` if it is not a discovery path.
    pub(super) fn answer(&self, path: &str, request: &HeaderMap) -> Option<Response<Bytes>> {
        let path = path.trim_end_matches('/');
        let plain = self.plain.get(path)?;
        let wanted = aggregated_type(request);
        let aggregated = wanted.and_then(|wanted| {
            self.aggregated.iter().find(|((at, form), _)| *at == path && *form == wanted)
        });
        Some(aggregated.map_or(plain, |(_, document)| document).answer(request))
    }
}

/// Which aggregated form the client takes, if it names one before plain JSON.
fn aggregated_type(request: &HeaderMap) -> Option<&'static str> {
    let accept = request.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for clause in accept.flat_map(|value| value.split(',')) {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters: Vec<&str> = parts.filter(|part| !part.starts_with("q=")).collect();
        let has = |wanted: &str| parameters.contains(&wanted);
        if media != PLAIN && media != "*/*" && media != "application/*" {
            continue;
        }
        if parameters.is_empty() {
            return None;
        }
        if has("g=apidiscovery.k8s.io") && has("as=APIGroupDiscoveryList") {
            match () {
                () if has("v=v2") => return Some(V2),
                () if has("v=v2beta1") => return Some(V2BETA1),
                () => {}
            }
        }
    }
    None
}

struct Group<'a> {
    /// Empty for the core group.
    name: &'static str,
    /// Preferred first.
    versions: Vec<Version<'a>>,
}

struct Version<'a> {
    name: &'static str,
    /// By plural name.
    kinds: Vec<&'a dyn AnyResource>,
}

fn groups<'a>(kinds: &[&'a dyn AnyResource]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut kinds = kinds.to_vec();
    kinds.sort_by_key(|kind| {
        let priority = GROUP_ORDER.iter().position(|group| *group == kind.group());
        let priority = priority.unwrap_or(GROUP_ORDER.len());
        (priority, kind.group(), version_order(kind.version()), kind.names().plural)
    });
    for kind in kinds {
        if groups.last().is_none_or(|group| group.name != kind.group()) {
            groups.push(Group { name: kind.group(), versions: Vec::new() });
        }
        let Some(group) = groups.last_mut() else { continue };
        match group.versions.last_mut() {
            Some(version) if version.name == kind.version() => version.kinds.push(kind),
            _ => group.versions.push(Version { name: kind.version(), kinds: vec![kind] }),
        }
    }
    groups
}

/// Stable before beta before alpha, higher before lower.
///
/// Upstream: `k8s.io/apimachinery/pkg/version/helpers.go`, `CompareKubeAwareVersionStrings`.
fn version_order(version: &str) -> (u8, std::cmp::Reverse<u32>, std::cmp::Reverse<u32>) {
    let digits = |text: &str| text.parse().unwrap_or(0);
    let rest = version.trim_start_matches('v');
    let at = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, stage) = rest.split_at(at);
    let minor = stage.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let stage = match &stage[..stage.len() - minor.len()] {
        "" => 0,
        "beta" => 1,
        _ => 2,
    };
    (stage, std::cmp::Reverse(digits(major)), std::cmp::Reverse(digits(minor)))
}

fn encode(content_type: &'static str, value: &Value) -> Document {
    Document::new(content_type, value.to_string().into_bytes())
}

fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn aggregate(groups: &[&Group<'_>], version: &str) -> Value {
    let items: Vec<Value> = groups.iter().map(|group| group.aggregated()).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    })
}

fn core_versions(core: &[&Group<'_>], address: &str) -> Value {
    let versions = core.iter().flat_map(|group| &group.versions).map(|version| version.name);
    json!({
        "kind": "APIVersions",
        "versions": versions.collect::<Vec<_>>(),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

fn group_list(groups: &[&Group<'_>]) -> Value {
    let groups: Vec<Value> = groups.iter().map(|group| group.plain(false)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

impl Group<'_> {
    /// An `APIGroup`; on its own it says what it is, in the list it does not.
    fn plain(&self, alone: bool) -> Value {
        let version = |version: &Version<'_>| {
            json!({
                "groupVersion": group_version(self.name, version.name), "version": version.name,
            })
        };
        let versions: Vec<Value> = self.versions.iter().map(version).collect();
        let mut group =
            json!({"name": self.name, "preferredVersion": versions[0], "versions": versions});
        if alone {
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
        }
        group
    }

    fn aggregated(&self) -> Value {
        let versions: Vec<Value> = self
            .versions
            .iter()
            .map(|version| {
                let resources: Vec<Value> =
                    version.kinds.iter().map(|kind| aggregated_resource(*kind)).collect();
                json!({"version": version.name, "resources": resources, "freshness": "Current"})
            })
            .collect();
        let metadata = if self.name.is_empty() { json!({}) } else { json!({"name": self.name}) };
        json!({"metadata": metadata, "versions": versions})
    }
}

impl Version<'_> {
    /// An `APIResourceList`: kinds, each followed by its subresources.
    fn resource_list(&self, group: &str) -> Value {
        let resources: Vec<Value> =
            self.kinds.iter().flat_map(|kind| plain_resources(*kind)).collect();
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": group_version(group, self.name),
            "resources": resources,
        })
    }
}

fn aggregated_resource(kind: &dyn AnyResource) -> Value {
    let names = kind.names();
    let mut resource = json!({
        "resource": names.plural,
        "responseKind": response_kind("", "", kind.kind()),
        "scope": if kind.scope() == Scope::Namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": names.singular,
        "verbs": sorted(kind.verbs()),
    });
    let subresources = sorted_subresources(kind).into_iter().map(|subresource| {
        let (group, version, kind) = subresource.kind;
        json!({
            "subresource": subresource.name,
            "responseKind": response_kind(group, version, kind),
            "verbs": sorted(subresource.verbs),
        })
    });
    let subresources: Vec<Value> = subresources.collect();
    insert_unless_empty(&mut resource, "shortNames", json!(names.short));
    insert_unless_empty(&mut resource, "categories", json!(names.categories));
    insert_unless_empty(&mut resource, "subresources", Value::Array(subresources));
    resource
}

/// An empty group and version mean the parent's own.
fn response_kind(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

fn plain_resources(kind: &dyn AnyResource) -> Vec<Value> {
    let names = kind.names();
    let namespaced = kind.scope() == Scope::Namespaced;
    let mut resource = json!({
        "name": names.plural, "singularName": names.singular, "namespaced": namespaced,
        "kind": kind.kind(), "verbs": sorted(kind.verbs()),
    });
    insert_unless_empty(&mut resource, "shortNames", json!(names.short));
    insert_unless_empty(&mut resource, "categories", json!(names.categories));
    let mut resources = vec![resource];
    for subresource in sorted_subresources(kind) {
        let (group, version, kind) = subresource.kind;
        let mut resource = json!({
            "name": format!("{}/{}", names.plural, subresource.name), "singularName": "",
            "namespaced": namespaced, "kind": kind, "verbs": sorted(subresource.verbs),
        });
        insert_unless_empty(&mut resource, "group", json!(group));
        insert_unless_empty(&mut resource, "version", json!(version));
        resources.push(resource);
    }
    resources
}

fn sorted_subresources(kind: &dyn AnyResource) -> Vec<&'static Subresource> {
    let mut subresources: Vec<_> = kind.subresources().iter().collect();
    subresources.sort_by_key(|subresource| subresource.name);
    subresources
}

fn sorted<'a>(verbs: &[&'a str]) -> Vec<&'a str> {
    let mut verbs = verbs.to_vec();
    verbs.sort_unstable();
    verbs
}

fn insert_unless_empty(object: &mut Value, key: &str, value: Value) {
    let empty = match &value {
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    if !empty {
        object[key] = value;
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};

    use super::*;
    use crate::control_plane::registry::RESOURCES;

    /// What kubectl sends.
    const KUBECTL: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
        application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

    fn get(path: &str, accept: &str) -> Response<Bytes> {
        let mut request = HeaderMap::new();
        request.insert(ACCEPT, accept.parse().expect("a header value"));
        let discovery = Discovery::new(RESOURCES, "127.0.0.1:6443");
        discovery.answer(path, &request).expect("a discovery path")
    }

    fn document(path: &str, accept: &str) -> Value {
        serde_json::from_slice(get(path, accept).body()).expect("JSON")
    }

    fn find<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
        let list = list.as_array().expect("a list");
        list.iter().find(|item| item[key] == name).unwrap_or(&Value::Null)
    }

    #[test]
    fn aggregated_documents_are_chosen_by_accept() {
        assert_eq!(get("/api", KUBECTL).headers()[CONTENT_TYPE], V2);
        let older = KUBECTL.split_once(',').expect("two forms").1;
        assert_eq!(get("/apis", older).headers()[CONTENT_TYPE], V2BETA1);
        assert_eq!(document("/apis", older)["apiVersion"], "apidiscovery.k8s.io/v2beta1");
        for accept in ["application/json", "*/*", "application/json, */*", "application/yaml"] {
            assert_eq!(get("/api", accept).headers()[CONTENT_TYPE], PLAIN, "{accept}");
        }
        // A single group version has one form only.
        assert_eq!(get("/api/v1", KUBECTL).headers()[CONTENT_TYPE], PLAIN);
    }

    /// Pods as a real server has them, but for the subresources that are not there yet.
    #[test]
    fn pods_are_described_as_a_real_server_does() {
        let document = document("/api", KUBECTL);
        assert_eq!(document["kind"], "APIGroupDiscoveryList");
        let version = &document["items"][0]["versions"][0];
        assert_eq!((&version["version"], &version["freshness"]), (&json!("v1"), &json!("Current")));
        let mut pods = find(&version["resources"], "resource", "pods").clone();
        let subresources = pods["subresources"].take();
        assert_eq!(
            pods,
            json!({
                "resource": "pods",
                "responseKind": {"group": "", "version": "", "kind": "Pod"},
                "scope": "Namespaced", "singularResource": "pod", "shortNames": ["po"],
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
                "categories": ["all"], "subresources": null,
            })
        );
        assert_eq!(
            find(&subresources, "subresource", "log"),
            &json!({
                "subresource": "log", "verbs": ["get"],
                "responseKind": {"group": "", "version": "", "kind": "Pod"},
            })
        );
    }

    #[test]
    fn plain_documents_name_the_same_resources() {
        assert_eq!(document("/api", PLAIN)["versions"], json!(["v1"]));
        let core = document("/api/v1/", PLAIN);
        assert_eq!(
            (&core["kind"], &core["groupVersion"]),
            (&json!("APIResourceList"), &json!("v1"))
        );
        assert_eq!(find(&core["resources"], "name", "pods/log")["kind"], "Pod");
        let token = find(&core["resources"], "name", "serviceaccounts/token");
        assert_eq!(token["group"], "authentication.k8s.io");
        let groups = document("/apis", PLAIN);
        let group = find(&groups["groups"], "name", "coordination.k8s.io");
        assert_eq!(group["preferredVersion"]["groupVersion"], "coordination.k8s.io/v1");
        assert_eq!(document("/apis/coordination.k8s.io", PLAIN)["kind"], "APIGroup");
        let leases = document("/apis/coordination.k8s.io/v1", PLAIN);
        assert_eq!(find(&leases["resources"], "name", "leases")["namespaced"], true);
    }

    #[test]
    fn unchanged_documents_are_not_sent_again() {
        let etag = get("/apis", KUBECTL).headers()[ETAG].clone();
        let mut request = HeaderMap::new();
        request.insert(ACCEPT, KUBECTL.parse().expect("a header value"));
        request.insert(IF_NONE_MATCH, etag);
        let discovery = Discovery::new(RESOURCES, "127.0.0.1:6443");
        let answer = discovery.answer("/apis", &request).expect("a discovery path");
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        request.remove(ACCEPT);
        let answer = discovery.answer("/apis", &request).expect("a discovery path");
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(discovery.answer("/apis/nobody", &request).is_none());
    }

    #[test]
    fn preferred_versions_come_first() {
        let mut versions = ["v1alpha1", "v1", "v1beta2", "v2", "v1beta10", "v10"];
        versions.sort_by_key(|version| version_order(version));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta10", "v1beta2", "v1alpha1"]);
    }
}
