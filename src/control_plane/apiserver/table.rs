//! `meta.k8s.io` Tables: what `kubectl get` prints, computed by the server.
//!
//! Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/response.go` (`asTable`).

use bytes::Bytes;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use serde_json::json;

use super::call::Call;
use super::negotiation::MetaVersion;
use super::render::{Shown, json as encode};
use super::status::{Failure, Outcome};
use crate::control_plane::registry::AnyResource;

/// What `rows[].object` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Include {
    None,
    Metadata,
    Object,
}

/// How one request's Tables are made.
pub(crate) struct Table<'a> {
    resource: &'a dyn AnyResource,
    include: Include,
    now: Timestamp,
    /// Whether the columns are described; in a watch only the first Table does it.
    pub(crate) columns: bool,
}

impl<'a> Table<'a> {
    /// # Errors
    /// 400 for an unknown `includeObject`.
    pub(crate) fn new(call: &'a Call) -> Outcome<Self> {
        let include = match call.query.text("includeObject") {
            None | Some("Metadata") => Include::Metadata,
            Some("None") => Include::None,
            Some("Object") => Include::Object,
            Some(other) => {
                return Err(Failure::bad_request(format!(
                    "unrecognized includeObject value: {other:?}"
                )));
            }
        };
        let now = call.server.clock().now();
        Ok(Self { resource: call.resource, include, now, columns: true })
    }

    /// The Table up to its rows, which follow separated by commas, then `]}`.
    pub(crate) fn head(&self, version: MetaVersion, meta: &ListMeta) -> Outcome<Vec<u8>> {
        let columns = match self.columns {
            true => encode(&self.resource.columns().iter().map(definition).collect::<Vec<_>>())?,
            false => Bytes::from_static(b"null"),
        };
        let head =
            format!(r#"{{"kind":"Table","apiVersion":"{}","metadata":"#, version.api_version());
        let meta = encode(meta)?;
        Ok([head.as_bytes(), &meta, br#","columnDefinitions":"#, &columns, br#","rows":["#]
            .concat())
    }

    pub(crate) fn row(&self, version: MetaVersion, shown: &Shown) -> Outcome<Bytes> {
        let cells = encode(&shown.row(self.resource, self.now)?)?;
        let object = match self.include {
            Include::None => Bytes::from_static(b"null"),
            Include::Metadata => shown.partial(version)?,
            Include::Object => shown.json()?,
        };
        Ok([br#"{"cells":"#, &cells[..], br#","object":"#, &object, b"}"].concat().into())
    }
}

fn definition(column: &crate::control_plane::registry::Column) -> serde_json::Value {
    json!({
        "name": column.name,
        "type": column.type_,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    })
}
