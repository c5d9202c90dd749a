//! Paths and their operations, as far as clients read them: what an operation does, to which kind,
//! with which parameters and schemas.

use serde_json::{Map, Value, json};

use super::components;
use crate::api::schema;
use crate::control_plane::registry::{AnyResource, Scope, Subresource};

/// Media types a body may have; patches have their own.
const BODIES: &[&str] =
    &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

const READ: &[(&str, &str)] = &[];
const WRITE: &[(&str, &str)] =
    &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
const PATCH: &[(&str, &str)] = &[
    ("dryRun", "string"),
    ("fieldManager", "string"),
    ("fieldValidation", "string"),
    ("force", "boolean"),
];
const LIST: &[(&str, &str)] = &[
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];
const DELETE: &[(&str, &str)] = &[
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];
const DELETE_LIST: &[(&str, &str)] = &[
    ("continue", "string"),
    ("dryRun", "string"),
    ("fieldSelector", "string"),
    ("gracePeriodSeconds", "integer"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("timeoutSeconds", "integer"),
];

/// How a verb appears in a path's operations.
struct Operation {
    verb: &'static str,
    method: &'static str,
    action: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    takes: Takes,
    gives: Gives,
}

#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    Object,
    Patch,
    DeleteOptions,
}

#[derive(Clone, Copy)]
enum Gives {
    Object,
    List,
    Status,
}

const fn operation(
    (verb, method, action): (&'static str, &'static str, &'static str),
    parameters: &'static [(&'static str, &'static str)],
    takes: Takes,
    gives: Gives,
) -> Operation {
    Operation { verb, method, action, parameters, takes, gives }
}

const OF_COLLECTION: &[Operation] = &[
    operation(("list", "get", "list"), LIST, Takes::Nothing, Gives::List),
    operation(("create", "post", "post"), WRITE, Takes::Object, Gives::Object),
    operation(
        ("deletecollection", "delete", "deletecollection"),
        DELETE_LIST,
        Takes::DeleteOptions,
        Gives::Status,
    ),
];

const OF_ITEM: &[Operation] = &[
    operation(("get", "get", "get"), READ, Takes::Nothing, Gives::Object),
    operation(("update", "put", "put"), WRITE, Takes::Object, Gives::Object),
    operation(("patch", "patch", "patch"), PATCH, Takes::Patch, Gives::Object),
    operation(("delete", "delete", "delete"), DELETE, Takes::DeleteOptions, Gives::Status),
];

const OF_SUBRESOURCE: &[Operation] = &[
    operation(("get", "get", "get"), READ, Takes::Nothing, Gives::Object),
    operation(("create", "post", "post"), WRITE, Takes::Object, Gives::Object),
    operation(("update", "put", "put"), WRITE, Takes::Object, Gives::Object),
    operation(("patch", "patch", "patch"), PATCH, Takes::Patch, Gives::Object),
];

/// The paths of these kinds, which are of one group version.
pub(super) fn of(kinds: &[&'static dyn AnyResource]) -> Map<String, Value> {
    let mut paths = Map::new();
    for kind in kinds {
        let target = Target::of(*kind);
        let root = root(*kind);
        let collection = format!("{root}{}", kind.names().plural);
        let item = format!("{collection}/{{name}}");
        insert(&mut paths, collection, &target, kind.verbs(), OF_COLLECTION);
        insert(&mut paths, item.clone(), &target, kind.verbs(), OF_ITEM);
        if kind.scope() == Scope::Namespaced && kind.verbs().contains(&"list") {
            let everywhere = format!("{}{}", prefix(*kind), kind.names().plural);
            insert(&mut paths, everywhere, &target, &["list"], OF_COLLECTION);
        }
        for subresource in kind.subresources() {
            let path = format!("{item}/{}", subresource.name);
            let target = Target::of_subresource(*kind, subresource);
            insert(&mut paths, path, &target, subresource.verbs, OF_SUBRESOURCE);
        }
    }
    paths
}

/// `/api/v1/` or `/apis/apps/v1/`.
fn prefix(kind: &dyn AnyResource) -> String {
    if kind.group().is_empty() {
        format!("/api/{}/", kind.version())
    } else {
        format!("/apis/{}/{}/", kind.group(), kind.version())
    }
}

fn root(kind: &dyn AnyResource) -> String {
    let prefix = prefix(kind);
    match kind.scope() {
        Scope::Namespaced => format!("{prefix}namespaces/{{namespace}}/"),
        Scope::Cluster => prefix,
    }
}

fn insert(
    paths: &mut Map<String, Value>,
    path: String,
    target: &Target,
    verbs: &[&str],
    operations: &[Operation],
) {
    let mut item = Map::new();
    for operation in operations.iter().filter(|operation| verbs.contains(&operation.verb)) {
        item.insert(operation.method.to_owned(), target.operation(operation, &path));
    }
    if item.is_empty() {
        return;
    }
    let named = ["namespace", "name"].into_iter().filter(|n| path.contains(&format!("{{{n}}}")));
    let parameters: Vec<Value> = named
        .map(|name| {
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
        })
        .collect();
    item.insert("parameters".to_owned(), Value::Array(parameters));
    paths.insert(path, Value::Object(item));
}

/// What the operations of a path are about.
struct Target {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    /// Of the group version that serves it.
    tag: String,
    /// Empty but for subresources.
    subresource: &'static str,
}

impl Target {
    fn of(kind: &dyn AnyResource) -> Self {
        let group = if kind.group().is_empty() { "core" } else { kind.group() };
        Self {
            group: kind.group(),
            version: kind.version(),
            kind: kind.kind(),
            tag: format!("{}_{}", group.split('.').next().unwrap_or(group), kind.version()),
            subresource: "",
        }
    }

    /// An empty group and version mean the parent's own.
    fn of_subresource(parent: &dyn AnyResource, subresource: &Subresource) -> Self {
        let own = Self::of(parent);
        let (group, version, kind) = subresource.kind;
        let (group, version) =
            if version.is_empty() { (own.group, own.version) } else { (group, version) };
        Self { group, version, kind, subresource: subresource.name, ..own }
    }

    fn operation(&self, operation: &Operation, path: &str) -> Value {
        let parameters: Vec<Value> = operation
            .parameters
            .iter()
            .map(|(name, type_)| json!({"name": name, "in": "query", "schema": {"type": type_}}))
            .collect();
        let responses = json!({
            "200": {"description": "OK", "content": content(BODIES, &self.gives(operation.gives))},
            "401": {"description": "Unauthorized"},
        });
        let mut value = json!({
            "operationId": self.id(operation.action, path),
            "tags": [self.tag],
            "parameters": parameters,
            "responses": responses,
            "x-kubernetes-action": operation.action,
            "x-kubernetes-group-version-kind":
                {"group": self.group, "version": self.version, "kind": self.kind},
        });
        let body = match operation.takes {
            Takes::Nothing => return value,
            Takes::Object => content(BODIES, &self.gives(Gives::Object)),
            Takes::Patch => content(PATCHES, &json!({"type": "object"})),
            Takes::DeleteOptions => content(BODIES, &reference("", "v1", "DeleteOptions")),
        };
        value["requestBody"] = json!({"content": body});
        value
    }

    /// Unique in a document: `listCoreV1NamespacedPod`.
    fn id(&self, action: &str, path: &str) -> String {
        let scope = match () {
            () if path.contains("{namespace}") => "Namespaced",
            () if action == "list" => "ForAll",
            () => "",
        };
        let tag: String = self.tag.split('_').map(capitalized).collect();
        format!("{action}{tag}{scope}{}{}", self.kind, capitalized(self.subresource))
    }

    fn gives(&self, gives: Gives) -> Value {
        match gives {
            Gives::Object => reference(self.group, self.version, self.kind),
            Gives::List => reference(self.group, self.version, &format!("{}List", self.kind)),
            Gives::Status => reference("", "v1", "Status"),
        }
    }
}

/// A kind without a schema (the options of exec, attach …) is answered as text or a stream.
fn reference(group: &str, version: &str, kind: &str) -> Value {
    schema::of(group, version, kind)
        .map_or_else(|| json!({"type": "string"}), components::reference)
}

fn content(media_types: &[&str], schema: &Value) -> Value {
    let entry = |media: &&str| ((*media).to_owned(), json!({"schema": schema}));
    Value::Object(media_types.iter().map(entry).collect())
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
