//! What can go wrong on the Pod network, as a kernel would say it.

use std::io;

/// Worded as the C library words the error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody listens there.
    #[error("Connection refused")]
    Refused,
    /// The other side went without a goodbye, or left what it was sent unread.
    #[error("Connection reset by peer")]
    Reset,
    /// Writing to a connection whose other side no longer reads, or after a shutdown of one's own.
    #[error("Broken pipe")]
    BrokenPipe,
    #[error("Connection timed out")]
    TimedOut,
    #[error("Address already in use")]
    AddressInUse,
    /// The address is not one of the Pod's.
    #[error("Cannot assign requested address")]
    AddressNotAvailable,
    /// No Pod has this address.
    #[error("No route to host")]
    HostUnreachable,
    #[error("Network is unreachable")]
    NetworkUnreachable,
    /// The rules for what lies outside the cluster.
    #[error("Permission denied")]
    Denied,
    /// A NetworkPolicy is against it: who sent it hears nothing. Connections become
    /// [`Error::TimedOut`] of it.
    #[error("Connection timed out")]
    Dropped,
    /// A bound of the Pod's own: too many connections, sockets or ports.
    #[error("Too many open files")]
    LimitReached,
    /// The Pod's network is gone.
    #[error("Network is down")]
    Down,
    /// A datagram longer than [`super::DATAGRAM_BYTES_MAX`].
    #[error("Message too long")]
    MessageTooLong,
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Refused => io::ErrorKind::ConnectionRefused,
            Error::Reset => io::ErrorKind::ConnectionReset,
            Error::BrokenPipe => io::ErrorKind::BrokenPipe,
            Error::TimedOut | Error::Dropped => io::ErrorKind::TimedOut,
            Error::AddressInUse => io::ErrorKind::AddrInUse,
            Error::AddressNotAvailable => io::ErrorKind::AddrNotAvailable,
            Error::HostUnreachable => io::ErrorKind::HostUnreachable,
            Error::NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
            Error::Denied => io::ErrorKind::PermissionDenied,
            Error::LimitReached => io::ErrorKind::QuotaExceeded,
            Error::Down => io::ErrorKind::NetworkDown,
            Error::MessageTooLong => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

/// Of a socket of the host's.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => Self::BrokenPipe,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::AddrInUse => Self::AddressInUse,
            io::ErrorKind::AddrNotAvailable => Self::AddressNotAvailable,
            io::ErrorKind::HostUnreachable => Self::HostUnreachable,
            io::ErrorKind::NetworkUnreachable => Self::NetworkUnreachable,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::NetworkDown => Self::Down,
            _ => Self::Reset,
        }
    }
}
