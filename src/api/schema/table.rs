//! Reads `table.tsv` into types and fields, once, at first use (about 2,700 lines).
//!
//! A line that begins with `=` opens a type: short name, kinds (`group/version/Kind`, comma
//! separated), map type. The lines below it are its fields in order of name: name, type code,
//! protobuf tags (a path through the structs that Go embeds), flags (`!` required, `*` pointer,
//! `w` wrapped list), list or map type, list map keys, patch strategies, merge key.

use std::collections::HashMap;
use std::sync::LazyLock;

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("table.tsv")));

/// An API type: an object with named fields.
#[derive(Debug)]
pub struct Type {
    /// Package, version and name: `core.v1.PodSpec`, `meta.v1.ObjectMeta`.
    pub name: &'static str,
    /// The (group, version, kind)s it is the body of; empty for all but top-level types and for
    /// those that every group version has (`DeleteOptions`, `WatchEvent`).
    pub kinds: Box<[(&'static str, &'static str, &'static str)]>,
    /// In order of name.
    pub fields: Box<[Field]>,
    /// How server-side apply treats the whole object.
    pub map_type: MapType,
}

/// A field of a [`Type`].
#[derive(Debug)]
pub struct Field {
    /// As JSON spells it.
    pub name: &'static str,
    pub kind: Kind,
    /// JSON always carries it; there is no default for its absence.
    pub required: bool,
    /// A scalar whose explicit zero value differs from absence (a pointer in Go).
    pub pointer: bool,
    /// Where it is in a protobuf message: one tag, or several, outermost first, for a field that
    /// JSON flattens out of embedded messages. Empty: not on the wire (`apiVersion`, `kind`).
    pub tags: Box<[u32]>,
    /// On the wire, the list (or each list in the map) is a message with one repeated field, 1.
    pub wrapped: bool,
    /// Server-side apply's view of a list; `None` if the schema does not say.
    pub list_type: Option<ListType>,
    /// The keys of a [`ListType::Map`]; empty otherwise.
    pub list_map_keys: Box<[&'static str]>,
    /// Server-side apply's view of a map or object.
    pub map_type: MapType,
    /// Strategic merge patch merges the list (or map) instead of replacing it.
    pub merge: bool,
    /// Strategic merge patch honours `$retainKeys` here.
    pub retain_keys: bool,
    /// The field that names an item of a merged list of objects; `None` for lists of scalars.
    pub merge_key: Option<&'static str>,
}

/// What a value is. Lists and maps nest at most twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    String,
    Bool,
    Int32,
    Int64,
    Float64,
    /// Base64 in JSON.
    Bytes,
    /// A string or a number.
    Quantity,
    IntOrString,
    /// RFC 3339 in whole seconds.
    Time,
    /// RFC 3339 in microseconds.
    MicroTime,
    /// An object that is not ours to look into: a runtime.RawExtension.
    RawExtension,
    /// `managedFields[].fieldsV1`.
    FieldsV1,
    /// Any JSON value at all: defaults, enums and examples in a CustomResourceDefinition.
    Json,
    /// A `JSONSchemaProps`, or a list of them.
    SchemaOrArray,
    /// A `JSONSchemaProps`, or a bool.
    SchemaOrBool,
    /// A `JSONSchemaProps`, or a list of strings.
    SchemaOrStrings,
    Object(TypeId),
    List(Box<Self>),
    /// By string keys.
    Map(Box<Self>),
}

/// Names a type of the table; types refer to one another in circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(u16);

/// Upstream: `x-kubernetes-list-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    Atomic,
    Set,
    Map,
}

/// Upstream: `x-kubernetes-map-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MapType {
    #[default]
    Granular,
    Atomic,
}

/// The type of the objects of a kind; `group` is empty for the core group. `DeleteOptions`,
/// `Status` and the like are found in every group version.
pub fn of(group: &str, version: &str, kind: &str) -> Option<&'static Type> {
    if let Some(id) = TABLE.kinds.get(&(group, version, kind)) {
        return Some(id.get());
    }
    let everywhere = ["DeleteOptions", "Status", "WatchEvent"].into_iter().find(|k| *k == kind)?;
    by_name(&format!("meta.v1.{everywhere}"))
}

/// A type by its short name: `core.v1.Container`.
pub fn by_name(name: &str) -> Option<&'static Type> {
    let found = TABLE.types.binary_search_by(|t| t.name.cmp(name)).ok()?;
    Some(&TABLE.types[found])
}

impl TypeId {
    pub fn get(self) -> &'static Type {
        &TABLE.types[usize::from(self.0)]
    }
}

impl Type {
    /// The field that JSON calls `name`; case matters.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let found = self.fields.binary_search_by(|field| field.name.cmp(name)).ok()?;
        Some(&self.fields[found])
    }

    /// `v1.Container`, as Go's error messages call it.
    pub fn go_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, rest)| rest)
    }

    /// The name in OpenAPI documents: `io.k8s.api.core.v1.Container`.
    pub fn definition(&self) -> String {
        let package = match self.name.split('.').next() {
            Some("meta") => "io.k8s.apimachinery.pkg.apis",
            Some("apiextensions") => "io.k8s.apiextensions-apiserver.pkg.apis",
            Some("metrics") => "io.k8s.metrics.pkg.apis",
            Some("apiregistration") => "io.k8s.kube-aggregator.pkg.apis",
            _ => "io.k8s.api",
        };
        format!("{package}.{}", self.name)
    }

    /// `Container`.
    pub fn bare_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

impl Field {
    /// The type of the object, of the list's items or of the map's values, if they are objects.
    pub fn object(&self) -> Option<&'static Type> {
        self.kind.object()
    }
}

impl Kind {
    /// See [`Field::object`].
    pub fn object(&self) -> Option<&'static Type> {
        match self {
            Self::Object(id) => Some(id.get()),
            Self::List(inner) | Self::Map(inner) => inner.object(),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Table {
    types: Vec<Type>,
    kinds: HashMap<(&'static str, &'static str, &'static str), TypeId>,
}

impl Table {
    /// Panics if the table is malformed: it is part of the program, and a test reads it.
    fn read(text: &'static str) -> Self {
        let lines: Vec<&'static str> = text.lines().filter(|l| !l.starts_with('#')).collect();
        let heads = lines.iter().filter_map(|line| line.strip_prefix('='));
        let names = heads.map(|head| head.split('\t').next().unwrap_or(head));
        let ids: HashMap<&str, TypeId> =
            names.zip(0..).map(|(name, id)| (name, TypeId(id))).collect();
        let mut blocks: Vec<Vec<&'static str>> = Vec::with_capacity(ids.len());
        for line in lines {
            match blocks.last_mut() {
                Some(block) if !line.starts_with('=') => block.push(line),
                _ => blocks.push(vec![line]),
            }
        }
        let types: Vec<Type> = blocks.iter().map(|block| read_type(block, &ids)).collect();
        let kinds = types.iter().flat_map(|t| t.kinds.iter().map(|kind| (*kind, ids[t.name])));
        Self { kinds: kinds.collect(), types }
    }
}

fn read_type(block: &[&'static str], ids: &HashMap<&str, TypeId>) -> Type {
    let mut columns = block[0].trim_start_matches('=').split('\t');
    let name = columns.next().expect("a split has at least one part");
    let kinds = words(columns.next()).map(|kind| {
        let mut parts = kind.splitn(3, '/');
        let mut part = || parts.next().expect("generate/table.py writes group/version/kind");
        (part(), part(), part())
    });
    let kinds = kinds.collect();
    let map_type = map_type(columns.next());
    let fields = block[1..].iter().map(|line| read_field(line, ids)).collect();
    Type { name, kinds, fields, map_type }
}

fn read_field(line: &'static str, ids: &HashMap<&str, TypeId>) -> Field {
    let mut columns = line.split('\t');
    let name = columns.next().expect("a split has at least one part");
    let kind = read_kind(columns.next().expect("generate/table.py writes a type code"), ids);
    let tags = columns.next().unwrap_or_default().split('.').filter(|tag| !tag.is_empty());
    let tags = tags.map(|tag| tag.parse().expect("generate/table.py writes tags in decimal"));
    let tags = tags.collect();
    let flags = columns.next().unwrap_or_default();
    let shape = columns.next();
    let list_map_keys = words(columns.next()).collect();
    let strategies = columns.next().unwrap_or_default();
    Field {
        name,
        kind,
        tags,
        required: flags.contains('!'),
        pointer: flags.contains('*'),
        wrapped: flags.contains('w'),
        list_type: list_type(shape),
        list_map_keys,
        map_type: map_type(shape),
        merge: strategies.split(',').any(|strategy| strategy == "merge"),
        retain_keys: strategies.split(',').any(|strategy| strategy == "retainKeys"),
        merge_key: columns.next().filter(|key| !key.is_empty()),
    }
}

fn read_kind(code: &str, ids: &HashMap<&str, TypeId>) -> Kind {
    let (first, rest) = code.split_at(1);
    match first {
        "s" => Kind::String,
        "b" => Kind::Bool,
        "i" => Kind::Int32,
        "l" => Kind::Int64,
        "d" => Kind::Float64,
        "B" => Kind::Bytes,
        "q" => Kind::Quantity,
        "n" => Kind::IntOrString,
        "t" => Kind::Time,
        "u" => Kind::MicroTime,
        "r" => Kind::RawExtension,
        "F" => Kind::FieldsV1,
        "j" => Kind::Json,
        "a" => Kind::SchemaOrArray,
        "o" => Kind::SchemaOrBool,
        "p" => Kind::SchemaOrStrings,
        "@" => Kind::Object(ids[rest]),
        "[" => Kind::List(Box::new(read_kind(rest, ids))),
        "{" => Kind::Map(Box::new(read_kind(rest, ids))),
        _ => unreachable!("generate/table.py writes no type code {code}"),
    }
}

fn words(column: Option<&'static str>) -> impl Iterator<Item = &'static str> {
    column.unwrap_or_default().split(',').filter(|word| !word.is_empty())
}

fn list_type(column: Option<&str>) -> Option<ListType> {
    match column? {
        "atomic" => Some(ListType::Atomic),
        "set" => Some(ListType::Set),
        "map" => Some(ListType::Map),
        _ => None,
    }
}

fn map_type(column: Option<&str>) -> MapType {
    if column == Some("atomic") { MapType::Atomic } else { MapType::Granular }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn field(kind: (&str, &str, &str), path: &str) -> &'static Field {
        let mut at = of(kind.0, kind.1, kind.2).expect("a kind of the table");
        let mut found = None;
        for name in path.split('.') {
            let field = at.field(name).expect(name);
            at = field.object().unwrap_or(at);
            found = Some(field);
        }
        found.expect("a path has at least one name")
    }

    #[test]
    fn containers_merge_by_name() {
        let containers = field(("apps", "v1", "Deployment"), "spec.template.spec.containers");
        assert!(containers.merge && containers.required && !containers.retain_keys);
        assert_eq!(containers.merge_key, Some("name"));
        assert_eq!(containers.list_type, Some(ListType::Map));
        assert_eq!(&*containers.list_map_keys, ["name"]);
        assert_eq!(&*containers.tags, [2]);
        assert_eq!(containers.object().map(Type::go_name), Some("v1.Container"));
        let volumes = field(("", "v1", "Pod"), "spec.volumes");
        assert!(volumes.merge && volumes.retain_keys);
    }

    #[test]
    fn embedded_structs_are_paths_of_tags() {
        assert_eq!(&*field(("", "v1", "Pod"), "spec.volumes.emptyDir").tags, [2, 2]);
        assert_eq!(&*field(("", "v1", "Pod"), "spec.containers.livenessProbe.exec").tags, [1, 1]);
        let rule = by_name("admissionregistration.v1.NamedRuleWithOperations").expect("a type");
        assert_eq!(&*rule.field("apiGroups").expect("a field").tags, [2, 2, 1]);
    }

    #[test]
    fn pointers_and_wrapped_lists_are_marked() {
        assert!(field(("apps", "v1", "Deployment"), "spec.replicas").pointer);
        assert!(!field(("apps", "v1", "Deployment"), "spec.paused").pointer);
        let extra = field(("authentication.k8s.io", "v1", "TokenReview"), "status.user.extra");
        assert!(extra.wrapped);
        assert_eq!(extra.kind, Kind::Map(Box::new(Kind::List(Box::new(Kind::String)))));
    }

    #[test]
    fn delete_options_are_found_in_every_group_version() {
        assert_eq!(
            of("apps", "v1", "DeleteOptions").map(|t| t.name),
            Some("meta.v1.DeleteOptions")
        );
        assert!(of("apps", "v1", "Pod").is_none());
    }

    #[test]
    fn types_and_fields_are_sorted_and_kinds_are_unique() {
        let mut kinds = std::collections::HashSet::new();
        assert!(TABLE.types.is_sorted_by(|a, b| a.name < b.name));
        for one in &TABLE.types {
            assert!(one.fields.is_sorted_by(|a, b| a.name < b.name), "{}", one.name);
            assert!(one.kinds.iter().all(|kind| kinds.insert(*kind)), "{}", one.name);
        }
        let deployments = [("apps", "v1", "Deployment"), ("batch", "v1", "Job")];
        assert!(deployments.iter().all(|kind| kinds.contains(kind)));
    }
}
