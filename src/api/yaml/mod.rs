//! YAML as kubectl reads and writes it: YAML 1.1 scalars, merge keys, several documents in a file.
//!
//! Enter by [`parse`] (one document), [`parse_all`] (a file of them) and [`to_string`]. The result is
//! what `sigs.k8s.io/yaml` would have turned into JSON: `0644` is 420, `yes` is true, keys are
//! strings. The crate's event reader is used below its serde layer, which speaks YAML 1.2 only.
//!
//! Upstream: `sigs.k8s.io/yaml` (`yaml.go`, `goyaml.v2/resolve.go`, `goyaml.v2/decode.go`).

#[cfg(test)]
mod properties;
mod read;
mod scalar;
mod write;

pub use read::{Document, Error, parse, parse_all};
pub use write::to_string;
