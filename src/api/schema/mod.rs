//! The facts of Kubernetes' API types in one generated table: names, types, protobuf tags, required
//! fields, list types, patch keys, kinds. No descriptions.
//!
//! Enter through [`of`] with a group, version and kind, then walk: [`Type::field`], [`Field::object`].
//! [`strict`] checks a decoded JSON document against it; `api::protobuf` decodes request bodies by
//! it; `api::patch::strategic` asks it for merge keys; OpenAPI takes its extensions from it.
//! The table covers the stable API versions of Kubernetes 1.33; `generate/table.py` writes it.

pub mod strict;
mod table;

pub use table::{Field, Kind, ListType, MapType, Type, TypeId, by_name, of};
