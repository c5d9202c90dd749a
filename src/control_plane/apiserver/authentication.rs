//! Who sent a request, and may they send it.

use std::sync::Arc;

use http::{HeaderMap, header};
use rustls::pki_types::CertificateDer;
use tracing::debug;

use super::ApiServer;
use super::request_info::RequestInfo;
use super::status::Outcome;
use crate::api::object::GroupResource;
use crate::api::status;
use crate::control_plane::auth::{
    Attributes, BoundTo, Decision, Identity, authenticate, authorize,
};

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

/// # Errors
/// 403 if `identity` may not do what the request asks for.
pub(super) fn permit(identity: &Identity, info: &RequestInfo) -> Outcome<()> {
    let attributes = match info {
        RequestInfo::Path { verb, path } => Attributes::Path { verb, path },
        RequestInfo::Resource(request) => Attributes::Resource {
            verb: request.verb,
            group: &request.group,
            resource: &request.resource,
            subresource: request.subresource.as_deref().unwrap_or_default(),
            namespace: &request.namespace,
            name: request.name.as_deref().unwrap_or_default(),
        },
    };
    let Decision::Deny { cause } = authorize(identity, &attributes) else { return Ok(()) };
    let (resource, name) = match info {
        RequestInfo::Path { .. } => (GroupResource::default(), ""),
        RequestInfo::Resource(request) => {
            let name = request.name.as_deref().unwrap_or_default();
            (GroupResource::new(request.group.clone(), request.resource.clone()), name)
        }
    };
    Err(status::forbidden(&resource, name, cause).into())
}
