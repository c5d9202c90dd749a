//! The encoded documents, and which of them a request gets.

use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{components, paths, v2};
use crate::control_plane::apiserver::document::Document;
use crate::control_plane::registry::AnyResource;

const ROOT: &str = "/openapi/v3";

/// What the hash in a document's URL allows: the content behind it never changes.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// OpenAPI documents of a set of kinds.
#[derive(Debug)]
pub(in crate::control_plane::apiserver) struct OpenApi {
    group_versions: Vec<GroupVersion>,
    index: OnceLock<Document>,
    /// The document of v2, as JSON and in protobuf.
    whole: [OnceLock<Document>; 2],
}

impl OpenApi {
    /// Cheap: documents are built when first asked for. The index carries their hashes, so asking
    /// for it builds them all (some 10 ms of CPU for each of the large ones).
    pub(in crate::control_plane::apiserver) fn new(kinds: &[&'static dyn AnyResource]) -> Self {
        let mut group_versions: Vec<GroupVersion> = Vec::new();
        for kind in kinds {
            let (group, version) = (kind.group(), kind.version());
            match group_versions.iter_mut().find(|gv| gv.group == group && gv.version == version) {
                Some(found) => found.kinds.push(*kind),
                None => group_versions.push(GroupVersion::new(*kind)),
            }
        }
        group_versions.sort_by_key(GroupVersion::path);
        Self { group_versions, index: OnceLock::new(), whole: Default::default() }
    }

    /// The answer to a GET of `path`, or `None` if there is no such document.
    pub(in crate::control_plane::apiserver) fn answer(
        &self,
        path: &str,
        query: Option<&str>,
        request: &HeaderMap,
    ) -> Option<Response<Bytes>> {
        if path == v2::PATH {
            return Some(self.whole(v2::wants_protobuf(request)).answer(request));
        }
        let path = path.strip_prefix(ROOT)?;
        if path.is_empty() || path == "/" {
            return Some(self.index().answer(request));
        }
        let path = path.strip_prefix('/')?;
        let found = self.group_versions.iter().find(|gv| gv.path() == path)?;
        let document = found.document();
        match hash_of(query.unwrap_or_default()) {
            Some(hash) if hash != document.hash() => Some(redirect(&found.url())),
            Some(_) => {
                let mut answer = document.answer(request);
                answer.headers_mut().insert(CACHE_CONTROL, FOREVER);
                Some(answer)
            }
            None => Some(document.answer(request)),
        }
    }

    fn whole(&self, in_protobuf: bool) -> &Document {
        let make = if in_protobuf { v2::as_protobuf } else { v2::as_json };
        self.whole[usize::from(in_protobuf)].get_or_init(|| {
            let kinds = self.group_versions.iter().flat_map(|gv| gv.kinds.iter().copied());
            make(&kinds.collect::<Vec<_>>())
        })
    }

    fn index(&self) -> &Document {
        self.index.get_or_init(|| {
            let entry = |gv: &GroupVersion| (gv.path(), json!({"serverRelativeURL": gv.url()}));
            let paths: Map<String, Value> = self.group_versions.iter().map(entry).collect();
            encode(&json!({"paths": paths}))
        })
    }
}

fn hash_of(query: &str) -> Option<&str> {
    let hash = query.split('&').find_map(|pair| pair.strip_prefix("hash="));
    hash.filter(|hash| !hash.is_empty())
}

/// A client with an outdated hash is sent to the present one.
fn redirect(url: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(url) = HeaderValue::from_str(url) {
        response.headers_mut().insert(LOCATION, url);
    }
    response
}

fn encode(value: &Value) -> Document {
    Document::new("application/json", value.to_string().into_bytes())
}

struct GroupVersion {
    group: &'static str,
    version: &'static str,
    kinds: Vec<&'static dyn AnyResource>,
    document: OnceLock<Document>,
}

impl std::fmt::Debug for GroupVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GroupVersion").field(&self.path()).finish()
    }
}

impl GroupVersion {
    fn new(first: &'static dyn AnyResource) -> Self {
        let (group, version) = (first.group(), first.version());
        Self { group, version, kinds: vec![first], document: OnceLock::new() }
    }

    /// `api/v1`, `apis/apps/v1`.
    fn path(&self) -> String {
        if self.group.is_empty() {
            format!("api/{}", self.version)
        } else {
            format!("apis/{}/{}", self.group, self.version)
        }
    }

    fn url(&self) -> String {
        format!("{ROOT}/{}?hash={}", self.path(), self.document().hash())
    }

    fn document(&self) -> &Document {
        self.document.get_or_init(|| {
            encode(&json!({
                "openapi": "3.0.0",
                "info": {"title": "Kubernetes", "version": "v1.33"},
                "paths": paths::of(&self.kinds),
                "components": {"schemas": components::of(&self.kinds)},
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, ETAG};

    use super::*;
    use crate::control_plane::registry::RESOURCES;

    fn get(openapi: &OpenApi, url: &str) -> Response<Bytes> {
        let (path, query) = url.split_once('?').map_or((url, None), |(p, q)| (p, Some(q)));
        openapi.answer(path, query, &HeaderMap::new()).expect("an OpenAPI path")
    }

    fn json(response: &Response<Bytes>) -> Value {
        serde_json::from_slice(response.body()).expect("JSON")
    }

    #[test]
    fn the_index_leads_to_documents_that_may_be_kept_forever() {
        let openapi = OpenApi::new(RESOURCES);
        let index = json(&get(&openapi, "/openapi/v3"));
        let url = index["paths"]["api/v1"]["serverRelativeURL"].as_str().expect("a URL");
        assert!(url.starts_with("/openapi/v3/api/v1?hash="), "{url}");
        let answer = get(&openapi, url);
        assert_eq!(answer.headers()[CACHE_CONTROL], FOREVER);
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
        assert!(url.ends_with(answer.headers()[ETAG].to_str().expect("text").trim_matches('"')));
        let outdated = get(&openapi, "/openapi/v3/api/v1?hash=00&timeout=32s");
        assert_eq!(outdated.status(), StatusCode::MOVED_PERMANENTLY);
        assert_eq!(outdated.headers()[LOCATION], url);
        let plain = get(&openapi, "/openapi/v3/api/v1?timeout=32s");
        assert_eq!((plain.status(), plain.headers().get(CACHE_CONTROL)), (StatusCode::OK, None));
        assert!(openapi.answer("/openapi/v3/apis/none/v1", None, &HeaderMap::new()).is_none());
    }

    #[test]
    fn patches_say_that_the_server_validates() {
        let openapi = OpenApi::new(RESOURCES);
        let document = json(&get(&openapi, "/openapi/v3/api/v1"));
        let pod = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"];
        let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
        assert_eq!(pod["patch"]["x-kubernetes-action"], "patch");
        assert_eq!(pod["patch"]["x-kubernetes-group-version-kind"], kind);
        let parameters = pod["patch"]["parameters"].as_array().expect("a list");
        let validation = json!("fieldValidation");
        assert!(parameters.iter().any(|p| p["name"] == validation && p["in"] == "query"));
        let list = &document["paths"]["/api/v1/pods"]["get"];
        assert_eq!(list["x-kubernetes-action"], "list");
        let log = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/log"];
        assert_eq!(log["get"]["x-kubernetes-group-version-kind"], kind);
    }

    #[test]
    fn schemas_have_descriptions_and_patch_keys() {
        let openapi = OpenApi::new(RESOURCES);
        let document = json(&get(&openapi, "/openapi/v3/api/v1"));
        let schemas = &document["components"]["schemas"];
        let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert!(containers["description"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
        let item = "#/components/schemas/io.k8s.api.core.v1.Container";
        assert_eq!(containers["items"]["allOf"][0]["$ref"], item);
        let pod = &schemas["io.k8s.api.core.v1.Pod"];
        let kind = json!([{"group": "", "version": "v1", "kind": "Pod"}]);
        assert_eq!(pod["x-kubernetes-group-version-kind"], kind);
        assert_eq!(schemas["io.k8s.api.core.v1.PodSpec"]["required"], json!(["containers"]));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let openapi = OpenApi::new(RESOURCES);
        for gv in &openapi.group_versions {
            let document = json(&get(&openapi, &format!("{ROOT}/{}", gv.path())));
            let schemas = document["components"]["schemas"].as_object().expect("an object");
            let mut references = Vec::new();
            collect(&document, &mut references);
            assert!(references.len() > 5, "{}", gv.path());
            for reference in references {
                let name = reference.strip_prefix("#/components/schemas/").expect("a component");
                assert!(schemas.contains_key(name), "{}: {name}", gv.path());
            }
        }
    }

    #[test]
    fn the_document_of_v2_has_all_kinds_and_no_loose_end() {
        let openapi = OpenApi::new(RESOURCES);
        let document = json(&get(&openapi, "/openapi/v2?timeout=32s"));
        let definitions = document["definitions"].as_object().expect("an object");
        for name in ["core.v1.Pod", "apps.v1.Deployment", "networking.k8s.io.v1.Ingress"] {
            let name = format!("io.k8s.api.{}", name.replace("networking.k8s.io", "networking"));
            assert!(definitions[&name].get("x-kubernetes-group-version-kind").is_some(), "{name}");
        }
        let mut references = Vec::new();
        collect(&document, &mut references);
        for reference in references {
            let name = reference.strip_prefix("#/definitions/").expect("a definition");
            assert!(definitions.contains_key(name), "{name}");
        }
        let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
        let mut request = HeaderMap::new();
        request.insert(http::header::ACCEPT, HeaderValue::from_static(accept));
        let answer = openapi.answer("/openapi/v2", None, &request).expect("a document");
        assert!(answer.body().starts_with(b"\n\x032.0"));
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    references.push(reference.clone());
                }
                object.values().for_each(|value| collect(value, references));
            }
            Value::Array(list) => list.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }
}
