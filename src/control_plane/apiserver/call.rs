//! One request for a resource, as the verbs see it.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

use super::ApiServer;
use super::negotiation::Output;
use super::query::Query;
use super::request_info::ResourceRequest;
use super::status::{Failure, Outcome};
use crate::api::fields::{FieldError, Path};
use crate::api::object::{GroupKind, GroupResource};
use crate::api::status;
use crate::control_plane::auth::Identity;
use crate::control_plane::registry::{AnyResource, Scope};
use crate::control_plane::storage::Key;

/// Everything a verb needs to know and to have.
pub(crate) struct Call {
    pub(crate) server: ApiServer,
    pub(crate) identity: Arc<Identity>,
    pub(crate) request: ResourceRequest,
    pub(crate) resource: &'static dyn AnyResource,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    /// Empty for GET.
    pub(crate) body: Bytes,
    pub(crate) output: Output,
    /// For `Warning:` headers.
    pub(crate) warnings: Vec<String>,
    /// When the request came, in whole seconds, as times in metadata are.
    pub(crate) now: Timestamp,
}

impl Call {
    /// The same request, as it were, for another object of its namespace.
    pub(crate) fn about(
        &self,
        resource: &'static dyn AnyResource,
        name: &str,
        subresource: &str,
    ) -> Self {
        let request = ResourceRequest {
            verb: "update",
            group: resource.group().to_owned(),
            version: resource.version().to_owned(),
            namespace: self.request.namespace.clone(),
            resource: resource.names().plural.to_owned(),
            subresource: Some(subresource.to_owned()),
            name: Some(name.to_owned()),
            rest: Vec::new(),
        };
        Self {
            server: self.server.clone(),
            identity: self.identity.clone(),
            request,
            resource,
            query: Query::default(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            output: self.output,
            warnings: Vec::new(),
            now: self.now,
        }
    }

    /// The name in the path; the router sends collections elsewhere.
    pub(crate) fn name(&self) -> &str {
        self.request.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        match self.resource.scope() {
            Scope::Namespaced => &self.request.namespace,
            Scope::Cluster => "",
        }
    }

    pub(crate) fn key(&self) -> Key {
        self.resource.key(self.namespace(), self.name())
    }

    pub(crate) fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.resource.group(), self.resource.names().plural)
    }

    pub(crate) fn not_found(&self) -> Failure {
        status::not_found(&self.group_resource(), self.name()).into()
    }

    pub(crate) fn invalid(&self, name: &str, faults: &[FieldError]) -> Failure {
        status::invalid(&GroupKind::new(self.resource.group(), self.resource.kind()), name, faults)
            .into()
    }

    pub(crate) fn conflict(&self, cause: impl std::fmt::Display) -> Failure {
        status::conflict(&self.group_resource(), self.name(), cause).into()
    }

    /// Whether nothing shall be stored.
    ///
    /// # Errors
    /// 422 for another value than `All`; `options` is the kind of the options, for the text.
    pub(crate) fn dry_run(&self, options: &str) -> Outcome<bool> {
        dry_run(self.query.all("dryRun"), options)
    }
}

/// Whether the values of `dryRun` ask for a rehearsal.
///
/// # Errors
/// 422 for another value than `All`.
pub(crate) fn dry_run<'a>(values: impl Iterator<Item = &'a str>, options: &str) -> Outcome<bool> {
    let mut dry = false;
    let mut faults = Vec::new();
    for value in values {
        match value {
            "All" => dry = true,
            other => {
                faults.push(FieldError::not_supported(Path::new("dryRun"), other, &["All"]));
            }
        }
    }
    if faults.is_empty() {
        return Ok(dry);
    }
    Err(status::invalid(&GroupKind::new("meta.k8s.io", options), "", &faults).into())
}
