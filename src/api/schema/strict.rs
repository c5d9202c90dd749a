//! Decoding as Go's JSON decoder does it, but in place on a [`Value`]: what the types do not know is
//! dropped and named, what has the wrong type is an error in Go's words, and `null` means absent.
//!
//! Upstream: `sigs.k8s.io/json` (the decoder), `k8s.io/apimachinery/pkg/runtime/error.go`
//! (`NewStrictDecodingError`) and `k8s.io/apiserver/pkg/endpoints/handlers/create.go` (which of the
//! three validation modes does what).

use std::collections::HashSet;
use std::fmt;
use std::mem;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Map, Value};

use super::{Kind, Type};
use crate::api::quantity;

/// Bound: upstream stops collecting at 100 too; nobody reads more.
const UNKNOWN_MAX: usize = 100;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Go's zero time. `TokenRequest`s come without the expiry that is theirs by type.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// What the query parameter `fieldValidation` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Drop silently.
    Ignore,
    /// Drop, and say so in a `Warning` header: the server's default.
    #[default]
    Warn,
    /// Refuse.
    Strict,
}

impl FieldValidation {
    /// Parses the query parameter; absent or empty means [`FieldValidation::Warn`]. `None`: not one
    /// of the three.
    pub fn parse(parameter: Option<&str>) -> Option<Self> {
        match parameter.unwrap_or_default() {
            "" | "Warn" => Some(Self::Warn),
            "Ignore" => Some(Self::Ignore),
            "Strict" => Some(Self::Strict),
            _ => None,
        }
    }

    /// Decides what becomes of strict findings (duplicate and unknown fields): answers the texts of
    /// `Warning` headers.
    ///
    /// # Errors
    /// With [`FieldValidation::Strict`] and any finding.
    pub fn judge(self, findings: Vec<String>) -> Result<Vec<String>, DecodeError> {
        match self {
            Self::Ignore => Ok(Vec::new()),
            Self::Warn => Ok(findings),
            Self::Strict if findings.is_empty() => Ok(findings),
            Self::Strict => Err(DecodeError::Strict(findings)),
        }
    }
}

/// Why a document is not an object of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// The first value of a wrong type, in Go's words.
    Type(String),
    /// Fields that are unknown or given twice, refused because the client asked for that.
    Strict(Vec<String>),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(message) => f.write_str(message),
            Self::Strict(findings) => write!(f, "strict decoding error: {}", findings.join(", ")),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Makes `value` what Go's decoder would make of it: fields unknown to `root` are removed and
/// answered (`unknown field "spec.foo"`), nulls are removed (in lists and maps: replaced by the zero
/// value), required times that are missing are Go's zero time. The document's own depth is the bound
/// of recursion.
///
/// # Errors
/// [`DecodeError::Type`] for the first wrong type; `value` is then half done.
pub fn decode(value: &mut Value, root: &'static Type) -> Result<Vec<String>, DecodeError> {
    let mut walk = Walk {
        unknown: Vec::new(),
        seen: HashSet::new(),
        path: String::new(),
        fields: Vec::new(),
        owner: root,
    };
    match value {
        Value::Object(object) => walk.object(object, root)?,
        other => {
            let message = format!(
                "json: cannot unmarshal {} into Go value of type {}",
                word(other),
                root.go_name()
            );
            return Err(DecodeError::Type(message));
        }
    }
    Ok(walk.unknown)
}

/// Where the walk is, as Go's decoder keeps it.
struct Walk {
    unknown: Vec<String>,
    seen: HashSet<String>,
    /// With indices and map keys: `spec.containers[0].env`.
    path: String,
    /// Field names only: Go's messages have no indices.
    fields: Vec<&'static str>,
    /// The innermost struct.
    owner: &'static Type,
}

impl Walk {
    fn object(
        &mut self,
        object: &mut Map<String, Value>,
        of: &'static Type,
    ) -> Result<(), DecodeError> {
        let outer = mem::replace(&mut self.owner, of);
        for name in self.strangers(object, of) {
            object.remove(&name);
        }
        object.retain(|_, value| !value.is_null());
        for (name, value) in object.iter_mut() {
            let Some(field) = of.field(name) else { continue };
            let length = self.enter(name);
            self.fields.push(field.name);
            self.value(value, &field.kind)?;
            self.fields.pop();
            self.path.truncate(length);
        }
        for field in of.fields.iter().filter(|field| field.required) {
            // The typed objects have a default for every other required field.
            if matches!(field.kind, Kind::Time | Kind::MicroTime)
                && !object.contains_key(field.name)
            {
                object.insert(field.name.to_owned(), Value::from(ZERO_TIME));
            }
        }
        self.owner = outer;
        Ok(())
    }

    /// Reports the fields that `of` does not have.
    fn strangers(&mut self, object: &Map<String, Value>, of: &Type) -> Vec<String> {
        let strangers: Vec<String> =
            object.keys().filter(|name| of.field(name).is_none()).cloned().collect();
        for name in &strangers {
            let length = self.enter(name);
            let finding = format!("unknown field {:?}", self.path);
            self.path.truncate(length);
            if self.unknown.len() < UNKNOWN_MAX && self.seen.insert(finding.clone()) {
                self.unknown.push(finding);
            }
        }
        strangers
    }

    /// Appends a name to the path; answers the length to cut it back to.
    fn enter(&mut self, name: &str) -> usize {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        length
    }

    fn value(&mut self, value: &mut Value, kind: &Kind) -> Result<(), DecodeError> {
        match (kind, value) {
            (Kind::Object(id), Value::Object(object)) => self.object(object, id.get()),
            (Kind::List(item), Value::Array(list)) => self.list(list, item),
            (Kind::Map(item), Value::Object(map)) => self.map(map, item),
            (Kind::Bytes, Value::String(text)) => base64_of(text),
            (Kind::Quantity, value) => canonical(value),
            (kind, value) => self.scalar(value, kind),
        }
    }

    fn list(&mut self, list: &mut [Value], item: &Kind) -> Result<(), DecodeError> {
        let length = self.path.len();
        for (index, value) in list.iter_mut().enumerate() {
            self.path.push_str(&format!("[{index}]"));
            self.item(value, item)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn map(&mut self, map: &mut Map<String, Value>, item: &Kind) -> Result<(), DecodeError> {
        for (key, value) in map.iter_mut() {
            let length = self.enter(key);
            self.item(value, item)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn item(&mut self, value: &mut Value, kind: &Kind) -> Result<(), DecodeError> {
        if value.is_null() {
            *value = zero(kind);
            return Ok(());
        }
        self.value(value, kind)
    }

    fn scalar(&self, value: &Value, kind: &Kind) -> Result<(), DecodeError> {
        match (kind, value) {
            (Kind::String, Value::String(_))
            | (Kind::Bool, Value::Bool(_))
            | (Kind::Float64, Value::Number(_))
            | (Kind::IntOrString, Value::String(_))
            | (Kind::RawExtension | Kind::FieldsV1 | Kind::Json, _)
            | (Kind::SchemaOrArray | Kind::SchemaOrBool | Kind::SchemaOrStrings, _) => Ok(()),
            (Kind::Int64, Value::Number(number)) if number.is_i64() => Ok(()),
            (Kind::Int32, Value::Number(number)) if is_i32(number) => Ok(()),
            (Kind::Int64 | Kind::Int32, Value::Number(number)) => {
                self.mismatch(&format!("number {number}"), kind)
            }
            (Kind::IntOrString, Value::Number(number)) if is_i32(number) => Ok(()),
            (Kind::IntOrString, other) => bare(other, "int32"),
            (Kind::Time | Kind::MicroTime, Value::String(text)) => time(text),
            (Kind::Time | Kind::MicroTime, other) => bare(other, "string"),
            (kind, other) => self.mismatch(word(other), kind),
        }
    }

    fn mismatch(&self, found: &str, kind: &Kind) -> Result<(), DecodeError> {
        let (owner, field) = (self.owner.bare_name(), self.fields.join("."));
        let wanted = go_type(kind);
        Err(DecodeError::Type(format!(
            "json: cannot unmarshal {found} into Go struct field {owner}.{field} of type {wanted}"
        )))
    }
}

/// What Go's types that decode themselves answer: they do not know where they are.
fn bare(found: &Value, wanted: &str) -> Result<(), DecodeError> {
    let found = match found {
        Value::Number(number) if wanted != "string" => format!("number {number}"),
        other => word(other).to_owned(),
    };
    Err(DecodeError::Type(format!("json: cannot unmarshal {found} into Go value of type {wanted}")))
}

fn is_i32(number: &serde_json::Number) -> bool {
    number.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The Go type of a value. Named string types (`v1.PullPolicy`) are not in the table: `string`.
fn go_type(kind: &Kind) -> String {
    match kind {
        Kind::String => "string".to_owned(),
        Kind::Bool => "bool".to_owned(),
        Kind::Int32 => "int32".to_owned(),
        Kind::Int64 => "int64".to_owned(),
        Kind::Float64 => "float64".to_owned(),
        Kind::Bytes => "[]uint8".to_owned(),
        Kind::Quantity => "resource.Quantity".to_owned(),
        Kind::IntOrString => "intstr.IntOrString".to_owned(),
        Kind::Time => "v1.Time".to_owned(),
        Kind::MicroTime => "v1.MicroTime".to_owned(),
        Kind::RawExtension => "runtime.RawExtension".to_owned(),
        Kind::FieldsV1 => "v1.FieldsV1".to_owned(),
        Kind::Json => "v1.JSON".to_owned(),
        Kind::SchemaOrArray => "v1.JSONSchemaPropsOrArray".to_owned(),
        Kind::SchemaOrBool => "v1.JSONSchemaPropsOrBool".to_owned(),
        Kind::SchemaOrStrings => "v1.JSONSchemaPropsOrStringArray".to_owned(),
        Kind::Object(id) => id.get().go_name().to_owned(),
        Kind::List(item) => format!("[]{}", go_type(item)),
        Kind::Map(item) if **item == Kind::Quantity => "v1.ResourceList".to_owned(),
        Kind::Map(item) => format!("map[string]{}", go_type(item)),
    }
}

/// What a `null` in a list or map becomes.
fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::String | Kind::Bytes => Value::String(String::new()),
        Kind::Bool => Value::Bool(false),
        Kind::Int32 | Kind::Int64 | Kind::Float64 | Kind::IntOrString => Value::from(0),
        Kind::Quantity => Value::from("0"),
        Kind::Object(_) | Kind::Map(_) => Value::Object(Map::new()),
        Kind::List(_) => Value::Array(Vec::new()),
        _ => Value::Null,
    }
}

/// Go's decoder skips line breaks and does not look at the last symbol's spare bits; the typed
/// objects do, so the text is brought into its one canonical form.
fn base64_of(text: &mut String) -> Result<(), DecodeError> {
    text.retain(|c| !matches!(c, '\r' | '\n'));
    let offset = match LENIENT.decode(&text) {
        Ok(bytes) => {
            *text = STANDARD.encode(bytes);
            return Ok(());
        }
        Err(base64::DecodeError::InvalidByte(offset, _)) => offset,
        Err(_) => text.trim_end_matches('=').len(),
    };
    Err(DecodeError::Type(format!("illegal base64 data at input byte {offset}")))
}

fn time(text: &str) -> Result<(), DecodeError> {
    // Go's RFC 3339 wants a capital T and an offset; jiff alone is more generous.
    let strict = text.as_bytes().get(10) == Some(&b'T');
    if strict && text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(());
    }
    let layout = "2006-01-02T15:04:05Z07:00";
    Err(DecodeError::Type(format!(
        "parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""
    )))
}

/// What the API server stores and shows is the canonical spelling.
fn canonical(value: &mut Value) -> Result<(), DecodeError> {
    let spelled = match &*value {
        Value::String(text) => quantity::canonical(text),
        Value::Number(number) => quantity::canonical(&number.to_string()),
        _ => Err(quantity::Error::Format),
    };
    *value = Value::String(spelled.map_err(|err| DecodeError::Type(err.to_string()))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::api::schema;

    #[track_caller]
    fn pod(mut value: Value) -> (Value, Result<Vec<String>, DecodeError>) {
        let kind = schema::of("", "v1", "Pod").expect("a kind of the table");
        let found = decode(&mut value, kind);
        (value, found)
    }

    #[track_caller]
    fn check_error(kind: (&str, &str, &str), mut value: Value, expect: &str) {
        let root = schema::of(kind.0, kind.1, kind.2).expect("a kind of the table");
        let error = decode(&mut value, root).expect_err("a wrong type");
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn unknown_fields_are_named_with_their_path_and_dropped() {
        let (value, found) = pod(json!({
            "kind": "Pod", "Spec": {},
            "metadata": {"name": "a", "labels": {"any": "thing"}},
            "spec": {"foo": 1, "containers": [{"name": "c"}, {"name": "d", "img": "x"}]},
        }));
        let expect = ["Spec", "spec.foo", "spec.containers[1].img"];
        let expect: Vec<String> = expect.iter().map(|p| format!("unknown field {p:?}")).collect();
        let mut found = found.expect("types are right");
        found.sort_by_key(|finding| expect.iter().position(|e| e == finding));
        assert_eq!(found, expect);
        assert_eq!(value["spec"], json!({"containers": [{"name": "c"}, {"name": "d"}]}));
        assert_eq!(value["metadata"]["labels"]["any"], "thing");
        assert_eq!(value.get("Spec"), None);
    }

    #[test]
    fn null_is_absence_in_objects_and_zero_in_lists_and_maps() {
        let (value, found) = pod(json!({
            "metadata": {"name": null, "labels": {"a": null}},
            "spec": {"containers": [null], "nodeName": null},
        }));
        assert_eq!(found, Ok(Vec::new()));
        assert_eq!(value, json!({"metadata": {"labels": {"a": ""}}, "spec": {"containers": [{}]}}));
    }

    #[test]
    fn a_required_time_that_is_missing_is_the_zero_time() {
        let root = schema::of("authentication.k8s.io", "v1", "TokenRequest").expect("a kind");
        let mut value = json!({"spec": {}, "status": {"token": "", "expirationTimestamp": null}});
        assert_eq!(decode(&mut value, root), Ok(Vec::new()));
        assert_eq!(value["status"]["expirationTimestamp"], ZERO_TIME);
        assert_eq!(value["spec"], json!({}));
    }

    #[test]
    fn wrong_types_are_worded_as_go_words_them() {
        let deployment = ("apps", "v1", "Deployment");
        check_error(
            deployment,
            json!({"spec": {"replicas": "three"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        );
        check_error(
            deployment,
            json!({"spec": {"replicas": 1.5}}),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        );
        check_error(
            ("", "v1", "Pod"),
            json!({"spec": {"containers": [{"name": "a", "ports": {"containerPort": 1}}]}}),
            "json: cannot unmarshal object into Go struct field Container.spec.containers.ports of type []v1.ContainerPort",
        );
        check_error(
            ("", "v1", "Pod"),
            json!({"metadata": {"labels": {"a": 1}}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        );
        check_error(
            ("", "v1", "ConfigMap"),
            json!({"data": "x"}),
            "json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string",
        );
    }

    #[test]
    fn types_that_decode_themselves_have_their_own_words() {
        let limits =
            |cpu: Value| json!({"spec": {"containers": [{"resources": {"limits": {"cpu": cpu}}}]}});
        check_error(("", "v1", "Pod"), limits(json!("many")), &quantity::Error::Format.to_string());
        check_error(("", "v1", "Pod"), limits(json!("1Kim")), "unable to parse quantity's suffix");
        for (spelled, canonical) in [
            (json!("100m"), "100m"),
            (json!("1.5Gi"), "1536Mi"),
            (json!("1000m"), "1"),
            (json!(2), "2"),
            (json!(0.5), "500m"),
        ] {
            let (value, found) = pod(limits(spelled));
            assert_eq!(found, Ok(Vec::new()));
            assert_eq!(value["spec"]["containers"][0]["resources"]["limits"]["cpu"], canonical);
        }
        check_error(
            ("", "v1", "Secret"),
            json!({"data": {"a": "not base64!"}}),
            "illegal base64 data at input byte 3",
        );
        check_error(
            ("", "v1", "Pod"),
            json!({"metadata": {"creationTimestamp": "now"}}),
            r#"parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006""#,
        );
    }

    #[test]
    fn the_three_modes_ignore_warn_and_refuse() {
        let findings =
            || vec![r#"unknown field "spec.a""#.to_owned(), r#"duplicate field "b""#.to_owned()];
        assert_eq!(FieldValidation::parse(None), Some(FieldValidation::Warn));
        assert_eq!(FieldValidation::parse(Some("strict")), None);
        assert_eq!(FieldValidation::Ignore.judge(findings()), Ok(Vec::new()));
        assert_eq!(FieldValidation::Warn.judge(findings()), Ok(findings()));
        assert_eq!(FieldValidation::Strict.judge(Vec::new()), Ok(Vec::new()));
        let refused = FieldValidation::Strict.judge(findings()).expect_err("refused");
        assert_eq!(
            refused.to_string(),
            r#"strict decoding error: unknown field "spec.a", duplicate field "b""#
        );
    }

    /// Names that the types of a Pod know, and one that they do not.
    const NAMES: &[&str] = &[
        "metadata",
        "spec",
        "status",
        "labels",
        "containers",
        "name",
        "resources",
        "limits",
        "cpu",
        "ports",
        "containerPort",
        "creationTimestamp",
        "readinessProbe",
        "httpGet",
        "port",
        "foo",
    ];

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-10..10_i32).prop_map(|n| json!(f64::from(n) / 4.0)),
            proptest::sample::select(vec!["", "a", "100m", "2024-01-01T00:00:00Z", "=="])
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(8, 64, 4, |inner| {
            let name = proptest::sample::select(NAMES).prop_map(str::to_owned);
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(name, inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_was_decoded_once_decodes_to_itself(value in anything()) {
            let (once, first) = pod(value);
            if first.is_ok() {
                let (twice, second) = pod(once.clone());
                prop_assert_eq!(second, Ok(Vec::new()));
                prop_assert_eq!(&twice, &once);
                let typed = serde_json::from_value::<k8s_openapi::api::core::v1::Pod>(named(twice));
                prop_assert!(typed.is_ok(), "{typed:?} of {once}");
            }
        }
    }

    fn named(mut pod: Value) -> Value {
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod
    }
}
