//! Objects as the bytes that are stored: encoded once, then laid out so that what is asked of them
//! later has a known place.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::Range;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::AnyObject;
use crate::control_plane::storage::{Draft, Stored};

/// The object as bytes to store. `metadata.resourceVersion` comes first within `metadata`, and
/// `metadata` right after `apiVersion` and `kind`, so that the place of the revision is known
/// without a search, and [`metadata_of`] finds the metadata of any stored object.
///
/// # Errors
/// As [`AnyObject::to_json`].
pub(crate) fn draft(object: &dyn AnyObject) -> serde_json::Result<Draft> {
    let encoded = object.encode()?;
    let mut bytes = Vec::with_capacity(encoded.json.len() + 32);
    bytes.push(b'{');
    for part in [Part::ApiVersion, Part::Kind] {
        encoded.of(part).for_each(|member| push_member(&mut bytes, member));
    }
    bytes.extend_from_slice(br#","metadata":{"resourceVersion":""#);
    let revision_at = bytes.len();
    bytes.push(b'"');
    encoded.of(Part::OfMetadata).for_each(|member| push_member(&mut bytes, member));
    bytes.push(b'}');
    for part in [Part::Other, Part::Status] {
        encoded.of(part).for_each(|member| push_member(&mut bytes, member));
    }
    bytes.push(b'}');
    Ok(Draft { bytes, revision_at })
}

/// Whether what is to be stored wants the same as what is: all but `metadata` and `status`.
///
/// # Errors
/// If the bytes are not an object's.
pub(crate) fn want_the_same(stored: &Stored, draft: &Draft) -> serde_json::Result<bool> {
    Ok(wanted(&stored.bytes)? == wanted(&draft.bytes)?)
}

fn wanted(object: &[u8]) -> serde_json::Result<Vec<(&str, &str)>> {
    const APART: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
    let Members(members) = serde_json::from_slice(object)?;
    let wanted = members.into_iter().filter(|(name, _)| !APART.contains(name));
    Ok(wanted.map(|(name, value)| (name, value.get())).collect())
}

/// The JSON of `metadata` within the bytes of a stored object.
pub(crate) fn metadata_of(stored: &Stored) -> &[u8] {
    let start = stored.revision_at - br#"{"resourceVersion":""#.len();
    let rest = &stored.bytes[start..];
    let first = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>().next();
    match first {
        Some(Ok(metadata)) => metadata.get().as_bytes(),
        _ => b"{}",
    }
}

/// Some members of a stored object; the others are not read.
///
/// # Errors
/// If the bytes are not an object's.
pub(crate) fn members_of(
    stored: &Stored,
    names: &[&str],
) -> serde_json::Result<Map<String, Value>> {
    let Members(members) = serde_json::from_slice(&stored.bytes)?;
    let shown = members.into_iter().filter(|(name, _)| names.contains(name));
    let read = |(name, value): (&str, &RawValue)| {
        serde_json::from_str(value.get()).map(|value| (name.to_owned(), value))
    };
    shown.map(read).collect()
}

fn push_member(bytes: &mut Vec<u8>, member: &[u8]) {
    if bytes.last() != Some(&b'{') {
        bytes.push(b',');
    }
    bytes.extend_from_slice(member);
}

/// The members of a JSON object in their order, values unread. Names must need no escapes, as all
/// field names of Kubernetes kinds are.
struct Members<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

/// An object's JSON and where its members are: `"name":value`, without commas.
#[derive(Debug)]
pub(crate) struct Encoded {
    json: Vec<u8>,
    members: Vec<(Part, Range<usize>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    ApiVersion,
    Kind,
    /// A member of `metadata`, whichever but `resourceVersion`.
    OfMetadata,
    Status,
    Other,
}

impl Encoded {
    /// # Errors
    /// As [`AnyObject::to_json`].
    pub(super) fn new(object: &impl Serialize) -> serde_json::Result<Self> {
        let (mut members, at) = (Vec::with_capacity(16), Cell::new(0));
        let tape = Tape { json: Vec::with_capacity(2048), at: &at };
        let surveyor = Surveyor {
            at: &at,
            members: &mut members,
            depth: 0,
            in_name: false,
            in_metadata: false,
            part: None,
            start: 0,
        };
        let mut serializer = Serializer::with_formatter(tape, surveyor);
        object.serialize(&mut serializer)?;
        let json = serializer.into_inner().json;
        Ok(Self { json, members })
    }

    fn of(&self, part: Part) -> impl Iterator<Item = &[u8]> {
        let members = self.members.iter().filter(move |(of, _)| *of == part);
        members.map(|(_, range)| &self.json[range.clone()])
    }
}

/// Counts what is written.
struct Tape<'a> {
    json: Vec<u8>,
    at: &'a Cell<usize>,
}

impl io::Write for Tape<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.json.extend_from_slice(bytes);
        self.at.set(self.json.len());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Notes where members begin and end while they are written.
struct Surveyor<'a> {
    /// How much has been written.
    at: &'a Cell<usize>,
    members: &'a mut Vec<(Part, Range<usize>)>,
    /// Of objects around what is written now.
    depth: usize,
    in_name: bool,
    in_metadata: bool,
    /// Of the member whose name was written last, at the depths that are noted.
    part: Option<Part>,
    /// Where that member begins.
    start: usize,
}

impl Surveyor<'_> {
    /// Whether members of the object that is written now are noted.
    fn notes(&self) -> bool {
        self.depth == 1 || self.depth == 2 && self.in_metadata
    }
}

impl Formatter for Surveyor<'_> {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        if self.notes() {
            (self.in_name, self.start) = (true, self.at.get());
        }
        Ok(())
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_name = false;
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if self.in_name {
            self.part = match (self.depth, fragment) {
                (1, "metadata") => {
                    self.in_metadata = true;
                    None
                }
                (1, "apiVersion") => Some(Part::ApiVersion),
                (1, "kind") => Some(Part::Kind),
                (1, "status") => Some(Part::Status),
                (1, _) => Some(Part::Other),
                (_, "resourceVersion") => None,
                _ => Some(Part::OfMetadata),
            };
        }
        writer.write_all(fragment.as_bytes())
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        if self.notes() {
            self.members.extend(self.part.take().map(|part| (part, self.start..self.at.get())));
            self.in_metadata &= self.depth > 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ControllerRevision;
    use k8s_openapi::api::core::v1::{ConfigMap, Pod};
    use serde_json::json;

    use super::*;
    use crate::control_plane::storage::{Key, Revision};

    fn config_map() -> ConfigMap {
        serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "b", "uid": "u", "resourceVersion": "7",
                "annotations": {"resourceVersion": "\"}{"}},
            "data": {"metadata": "x"},
        }))
        .unwrap()
    }

    fn stored(object: &dyn AnyObject) -> Stored {
        Stored::new(Key("/k".into()), Revision(42), &draft(object).unwrap())
    }

    #[test]
    fn the_hole_is_where_the_revision_goes() {
        let stored = stored(&config_map());
        let value: Value = serde_json::from_slice(&stored.bytes).unwrap();
        let mut expected = serde_json::to_value(config_map()).unwrap();
        expected["metadata"]["resourceVersion"] = json!("42");
        assert_eq!(value, expected);
        assert!(stored.bytes[stored.revision_at..].starts_with(b"42\""));
        let start = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"resourceVersion":""#;
        assert!(stored.bytes.starts_with(start));
    }

    #[test]
    fn what_is_deeper_is_left_as_it_is() {
        let data = json!({"metadata": {"resourceVersion": "1"}, "status": {"kind": []}, "": 1.5});
        let revision: ControllerRevision =
            serde_json::from_value(json!({"metadata": {}, "revision": 3, "data": data})).unwrap();
        let value: Value = serde_json::from_slice(&stored(&revision).bytes).unwrap();
        assert_eq!(value["data"], data);
        assert_eq!(value["metadata"], json!({"resourceVersion": "42"}));
    }

    #[test]
    fn metadata_is_found_in_the_bytes() {
        let stored = stored(&config_map());
        let metadata: Value = serde_json::from_slice(metadata_of(&stored)).unwrap();
        assert_eq!(metadata["annotations"]["resourceVersion"], "\"}{");
        assert_eq!(metadata["resourceVersion"], "42");
    }

    #[test]
    fn only_what_is_wanted_is_compared() {
        let pod = |spec: Value, status: Value| -> Pod {
            let meta = json!({"name": status["phase"]});
            serde_json::from_value(json!({"metadata": meta, "spec": spec, "status": status}))
                .unwrap()
        };
        let first = pod(json!({"containers": [{"name": "a"}]}), json!({"phase": "Pending"}));
        let later = pod(json!({"containers": [{"name": "a"}]}), json!({"phase": "Running"}));
        let other = pod(json!({"containers": [{"name": "b"}]}), json!({"phase": "Pending"}));
        let of_first = stored(&first);
        assert!(want_the_same(&of_first, &draft(&later).unwrap()).unwrap());
        assert!(!want_the_same(&of_first, &draft(&other).unwrap()).unwrap());
        assert!(!want_the_same(&of_first, &draft(&config_map()).unwrap()).unwrap());
    }

    #[test]
    fn members_are_read_by_name() {
        let stored = stored(&config_map());
        let members = Value::Object(members_of(&stored, &["kind", "data", "status"]).unwrap());
        assert_eq!(members, json!({"kind": "ConfigMap", "data": {"metadata": "x"}}));
    }
}
