//! Who sent a request, and may they send it.

use std::sync::Arc;

use http::{HeaderMap, header};
use rustls::pki_types::CertificateDer;
use tracing::debug;

use super::ApiServer;
use super::request_info::{RequestInfo, ResourceRequest};
use super::status::Outcome;
use crate::api::object::GroupResource;
use crate::api::status;
use crate::control_plane::auth::{Attributes, BoundTo, Decision, Identity, authenticate};

/// What the connection knows of the other end.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// A client certificate that our CA signed says so, or it is a component of this process.
    Known(Arc<Identity>),
    /// Showed no certificate; a token may follow with each request.
    Nobody,
    /// Showed a certificate that names nobody.
    Refused,
}

impl ApiServer {
    /// Reads the certificate once for all requests of a connection.
    pub(super) fn peer(&self, certificate: Option<&CertificateDer<'_>>) -> Peer {
        let Some(certificate) = certificate else { return Peer::Nobody };
        match authenticate(Some(certificate), None, self.tokens(), self.clock().now()) {
            Ok(credential) => Peer::Known(Arc::new(credential.identity)),
            Err(err) => {
                debug!(%err, "Client certificate refused");
                Peer::Refused
            }
        }
    }

    /// # Errors
    /// 401 for a credential that is no good.
    pub(super) async fn identify(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
    ) -> Outcome<Arc<Identity>> {
        match peer {
            Peer::Known(identity) => return Ok(Arc::clone(identity)),
            Peer::Refused => return Err(status::unauthorized().into()),
            Peer::Nobody => {}
        }
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let credential = authenticate(None, header, self.tokens(), self.clock().now());
        let credential = credential.map_err(|err| {
            debug!(%err, "Token refused");
            status::unauthorized()
        })?;
        for bound_to in &credential.bound_to {
            self.check_bound(bound_to).await?;
        }
        Ok(Arc::new(credential.identity))
    }

    /// A token dies with the object that it is bound to.
    async fn check_bound(&self, bound_to: &BoundTo) -> Outcome<()> {
        let refused = || status::unauthorized().into();
        let resource = self.resource("", "v1", bound_to.resource).ok_or_else(refused)?;
        let key = resource.key(&bound_to.namespace, &bound_to.name);
        let stored = self.storage().get(&key).await?.ok_or_else(refused)?;
        let object = resource.decoded(&stored)?;
        if object.metadata().uid.as_deref() == Some(&bound_to.uid) {
            Ok(())
        } else {
            Err(refused())
        }
    }
}

impl ApiServer {
    /// # Errors
    /// 403 if `identity` may not do what the request asks for.
    pub(super) fn permit(&self, identity: &Identity, info: &RequestInfo) -> Outcome<()> {
        match info {
            RequestInfo::Path { verb, path } => {
                let attributes = Attributes::Path { verb, path };
                self.require(identity, &attributes)
            }
            RequestInfo::Resource(request) => {
                self.require(identity, &request.attributes(request.verb))
            }
        }
    }

    /// # Errors
    /// 403 if `identity` may not do what `attributes` say, about the resource that they name.
    pub(super) fn require(&self, identity: &Identity, attributes: &Attributes<'_>) -> Outcome<()> {
        let Decision::Deny { cause } = self.authorizer().authorize(identity, attributes) else {
            return Ok(());
        };
        let (resource, name) = match *attributes {
            Attributes::Path { .. } => (GroupResource::default(), ""),
            Attributes::Resource { group, resource, name, .. } => {
                (GroupResource::new(group, resource), name)
            }
        };
        Err(status::forbidden(&resource, name, cause).into())
    }
}

impl ResourceRequest {
    /// What the request asks for, if its verb were this one.
    pub(super) fn attributes<'a>(&'a self, verb: &'a str) -> Attributes<'a> {
        Attributes::Resource {
            verb,
            group: &self.group,
            resource: &self.resource,
            subresource: self.subresource.as_deref().unwrap_or_default(),
            namespace: &self.namespace,
            name: self.name.as_deref().unwrap_or_default(),
        }
    }
}
