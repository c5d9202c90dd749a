//! What a field of an object is, as far as merging asks.

use crate::api::schema::{Field, Kind, Type};

/// What is known of a map in an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// An object of an API type.
    Fields(&'static Type),
    /// A map with string keys; all values are of one kind.
    Map(&'static Kind),
    /// Nothing: not an API type's business.
    Opaque,
}

/// How the value of one field merges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// Of the value if it is a map, of its items if it is a list of maps.
    pub(super) shape: Shape,
    /// A list is merged, not replaced.
    pub(super) merge: bool,
    /// What names an item of a merged list of maps.
    pub(super) merge_key: Option<&'static str>,
}

impl Shape {
    /// The member called `name`.
    ///
    /// # Errors
    /// A field that the type does not have, worded as upstream.
    pub(super) fn member(self, name: &str) -> Result<Member, String> {
        match self {
            Self::Fields(of) => of.field(name).map(member).ok_or_else(|| {
                let of = of.bare_name();
                format!("unable to find api field in struct {of} for the json field {name:?}")
            }),
            Self::Map(kind) => Ok(Member { shape: shape(kind), merge: false, merge_key: None }),
            Self::Opaque => Ok(Member { shape: Self::Opaque, merge: false, merge_key: None }),
        }
    }
}

fn member(field: &'static Field) -> Member {
    Member { shape: shape(&field.kind), merge: field.merge, merge_key: field.merge_key }
}

fn shape(kind: &'static Kind) -> Shape {
    match kind {
        Kind::Object(id) => Shape::Fields(id.get()),
        Kind::List(inner) => shape(inner),
        Kind::Map(inner) => Shape::Map(inner),
        _ => Shape::Opaque,
    }
}
