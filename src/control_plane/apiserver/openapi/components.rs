//! Component schemas: structure and extensions from the table of `api::schema`, descriptions from
//! k8s-openapi.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::api::schema::{self, Field, Kind, ListType, MapType, Type};
use crate::control_plane::registry::AnyResource;

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const FIELDS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

/// Types that every document refers to, whatever its kinds.
const EVERYWHERE: &[&str] = &["meta.v1.DeleteOptions", "meta.v1.Status"];

/// The schema behind each name that the paths of these kinds refer to, directly or not.
pub(super) fn of(kinds: &[&'static dyn AnyResource]) -> Map<String, Value> {
    let mut components = Components { texts: descriptions(kinds), schemas: Map::new() };
    for name in EVERYWHERE {
        components.add(schema::by_name(name));
    }
    for kind in kinds {
        let (group, version) = (kind.group(), kind.version());
        components.add(schema::of(group, version, kind.kind()));
        components.add(schema::of(group, version, &format!("{}List", kind.kind())));
        for subresource in kind.subresources() {
            let own = subresource.kind;
            let (group, version) = if own.1.is_empty() { (group, version) } else { (own.0, own.1) };
            components.add(schema::of(group, version, own.2));
        }
    }
    components.schemas
}

/// The definitions that k8s-openapi has for the kinds and all that they refer to.
fn descriptions(kinds: &[&'static dyn AnyResource]) -> Map<String, Value> {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, Status};
    let mut generator = SchemaGenerator::new(SchemaSettings::draft07());
    generator.subschema_for::<DeleteOptions>();
    generator.subschema_for::<Status>();
    for kind in kinds {
        kind.describe(&mut generator);
    }
    std::mem::take(generator.definitions_mut())
}

/// `{"$ref": …}` of a type of the table.
pub(super) fn reference(of: &Type) -> Value {
    reference_to(&of.definition())
}

fn reference_to(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

struct Components {
    /// By definition name: only the descriptions in it are used.
    texts: Map<String, Value>,
    schemas: Map<String, Value>,
}

impl Components {
    /// Adds a type and all that it refers to.
    fn add(&mut self, of: Option<&'static Type>) {
        let mut open: Vec<&'static Type> = of.into_iter().collect();
        while let Some(next) = open.pop() {
            let name = next.definition();
            if self.schemas.contains_key(&name) {
                continue;
            }
            let schema = self.object(next, &name);
            self.schemas.insert(name, schema);
            open.extend(next.fields.iter().filter_map(Field::object));
        }
    }

    fn object(&mut self, of: &'static Type, name: &str) -> Value {
        let fields: BTreeMap<&str, Value> =
            of.fields.iter().map(|field| (field.name, self.property(field, name))).collect();
        let mut schema = json!({"type": "object"});
        if !fields.is_empty() {
            schema["properties"] = json!(fields);
        }
        let required: Vec<&str> =
            of.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if of.map_type == MapType::Atomic {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        let kinds: Vec<Value> = of
            .kinds
            .iter()
            .map(|(group, version, kind)| json!({"group": group, "version": version, "kind": kind}))
            .collect();
        if !kinds.is_empty() {
            schema["x-kubernetes-group-version-kind"] = json!(kinds);
        }
        if let Some(text) = self.text(name, None) {
            schema["description"] = text;
        }
        schema
    }

    fn property(&mut self, field: &'static Field, owner: &str) -> Value {
        let mut schema = self.value(&field.kind);
        // A reference stands alone in OpenAPI 3.0; in allOf it can have neighbours.
        if schema.get("$ref").is_some() {
            schema = json!({"allOf": [schema]});
        }
        if let Some(text) = self.text(owner, Some(field.name)) {
            schema["description"] = text;
        }
        extensions(&mut schema, field);
        schema
    }

    fn value(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::String => json!({"type": "string"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Int32 => json!({"type": "integer", "format": "int32"}),
            Kind::Int64 => json!({"type": "integer", "format": "int64"}),
            Kind::Float64 => json!({"type": "number", "format": "double"}),
            Kind::Bytes => json!({"type": "string", "format": "byte"}),
            Kind::Quantity => {
                self.leaf(QUANTITY, json!({"oneOf": [{"type": "string"}, {"type": "number"}]}))
            }
            Kind::IntOrString => {
                let either = json!([{"type": "integer"}, {"type": "string"}]);
                self.leaf(INT_OR_STRING, json!({"format": "int-or-string", "oneOf": either}))
            }
            Kind::Time => self.leaf(TIME, json!({"type": "string", "format": "date-time"})),
            Kind::MicroTime => {
                self.leaf(MICRO_TIME, json!({"type": "string", "format": "date-time"}))
            }
            Kind::FieldsV1 => self.leaf(FIELDS, json!({"type": "object"})),
            Kind::RawExtension => self.leaf(RAW_EXTENSION, json!({"type": "object"})),
            Kind::Json | Kind::SchemaOrArray | Kind::SchemaOrBool | Kind::SchemaOrStrings => {
                json!({})
            }
            Kind::Object(id) => reference(id.get()),
            Kind::List(item) => json!({"type": "array", "items": self.item(item)}),
            Kind::Map(item) => json!({"type": "object", "additionalProperties": self.item(item)}),
        }
    }

    fn item(&mut self, kind: &Kind) -> Value {
        let schema = self.value(kind);
        if schema.get("$ref").is_some() { json!({"allOf": [schema]}) } else { schema }
    }

    /// A reference to a type that is not an object of the table.
    fn leaf(&mut self, name: &str, mut schema: Value) -> Value {
        if !self.schemas.contains_key(name) {
            if let Some(text) = self.text(name, None) {
                schema["description"] = text;
            }
            self.schemas.insert(name.to_owned(), schema);
        }
        reference_to(name)
    }

    /// What k8s-openapi says of a type, or of one of its fields.
    fn text(&self, name: &str, field: Option<&str>) -> Option<Value> {
        let definition = self.texts.get(name)?;
        let described = match field {
            Some(field) => definition.get("properties")?.get(field)?,
            None => definition,
        };
        described.get("description").cloned()
    }
}

fn extensions(schema: &mut Value, field: &Field) {
    if let Some(list_type) = field.list_type {
        schema["x-kubernetes-list-type"] = json!(match list_type {
            ListType::Atomic => "atomic",
            ListType::Set => "set",
            ListType::Map => "map",
        });
    }
    if !field.list_map_keys.is_empty() {
        schema["x-kubernetes-list-map-keys"] = json!(field.list_map_keys);
    }
    // For a list the table's column is the list type.
    if field.map_type == MapType::Atomic && field.list_type.is_none() {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
    let strategies = [(field.merge, "merge"), (field.retain_keys, "retainKeys")];
    let strategies: Vec<&str> =
        strategies.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    if !strategies.is_empty() {
        schema["x-kubernetes-patch-strategy"] = json!(strategies.join(","));
    }
    if let Some(key) = field.merge_key {
        schema["x-kubernetes-patch-merge-key"] = json!(key);
    }
}
