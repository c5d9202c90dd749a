//! What goes wrong with a guest's request, as wasi:http names it.

use std::error::Error as _;
use std::io;

use wasmtime_wasi_http::Error;

use crate::node::network::{self, ResolveError};

pub(super) fn of_name(error: ResolveError) -> Error {
    let dns = |rcode: &str| Error::DnsError { rcode: Some(rcode.to_owned()), info_code: None };
    match error {
        ResolveError::NotFound => dns("NXDOMAIN"),
        ResolveError::TryAgain => Error::DnsTimeout,
        ResolveError::Invalid => dns("FORMERR"),
    }
}

pub(super) fn of_network(error: network::Error) -> Error {
    use network::Error as Network;
    match error {
        Network::Refused => Error::ConnectionRefused,
        Network::Reset | Network::BrokenPipe => Error::ConnectionTerminated,
        Network::TimedOut | Network::Dropped => Error::ConnectionTimeout,
        Network::HostUnreachable | Network::NetworkUnreachable => Error::DestinationIpUnroutable,
        Network::Denied => Error::DestinationIpProhibited,
        Network::LimitReached | Network::AddressInUse => Error::ConnectionLimitReached,
        Network::Down | Network::AddressNotAvailable => Error::DestinationUnavailable,
        Network::MessageTooLong => Error::InternalError(None),
    }
}

/// Of a handshake.
pub(super) fn of_tls(error: &io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Error::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(alert)) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        Some(_) => Error::TlsProtocolError,
        None => of_io(error),
    }
}

pub(super) fn of_hyper(error: &hyper::Error) -> Error {
    if let Some(error) = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
        return of_io(error);
    }
    if error.is_parse_too_large() {
        return Error::HttpResponseHeaderSectionSize(None);
    }
    if error.is_incomplete_message() {
        return Error::HttpResponseIncomplete;
    }
    if error.is_closed() || error.is_canceled() {
        return Error::ConnectionTerminated;
    }
    if error.is_timeout() { Error::HttpResponseTimeout } else { Error::HttpProtocolError }
}

fn of_io(error: &io::Error) -> Error {
    let network = error.get_ref().and_then(|inner| inner.downcast_ref::<network::Error>());
    match (network, error.kind()) {
        (Some(error), _) => of_network(*error),
        (None, io::ErrorKind::TimedOut) => Error::ConnectionReadTimeout,
        (None, io::ErrorKind::UnexpectedEof) => Error::ConnectionTerminated,
        (None, io::ErrorKind::InvalidData) => Error::TlsProtocolError,
        _ => Error::ConnectionTerminated,
    }
}
