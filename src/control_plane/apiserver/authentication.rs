//! Who sent a request.

use rustls::pki_types::CertificateDer;

use crate::control_plane::auth::Identity;

/// What the connection knows of the other end.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// Came over TLS, with or without a client certificate that our CA signed.
    Certificate(Option<CertificateDer<'static>>),
    /// A component of this process.
    Known(Identity),
}
