use std::io::{self, ErrorKind};

/// Why an operation on files failed, in POSIX' terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("permission denied")]
    Access,
    #[error("bad file descriptor")]
    BadDescriptor,
    #[error("resource busy")]
    Busy,
    #[error("invalid cross-device link")]
    CrossDevice,
    #[error("file exists")]
    Exists,
    #[error("file too large")]
    FileTooLarge,
    #[error("illegal byte sequence")]
    IllegalBytes,
    #[error("interrupted system call")]
    Interrupted,
    #[error("invalid argument")]
    Invalid,
    #[error("input/output error")]
    Io,
    #[error("is a directory")]
    IsDirectory,
    #[error("too many levels of symbolic links")]
    Loop,
    #[error("file name too long")]
    NameTooLong,
    #[error("no such device or address")]
    NoDevice,
    #[error("cannot allocate memory")]
    NoMemory,
    #[error("no space left on device")]
    NoSpace,
    #[error("not a directory")]
    NotDirectory,
    #[error("directory not empty")]
    NotEmpty,
    #[error("no such file or directory")]
    NotFound,
    #[error("operation not permitted")]
    NotPermitted,
    #[error("operation not supported")]
    NotSupported,
    #[error("disk quota exceeded")]
    Quota,
    #[error("read-only file system")]
    ReadOnly,
    #[error("text file busy")]
    TextBusy,
    #[error("too many links")]
    TooManyLinks,
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::PermissionDenied => Self::Access,
            ErrorKind::AlreadyExists => Self::Exists,
            ErrorKind::InvalidInput => Self::Invalid,
            ErrorKind::InvalidData => Self::IllegalBytes,
            ErrorKind::StorageFull => Self::NoSpace,
            ErrorKind::QuotaExceeded => Self::Quota,
            ErrorKind::FileTooLarge => Self::FileTooLarge,
            ErrorKind::ResourceBusy => Self::Busy,
            ErrorKind::ExecutableFileBusy => Self::TextBusy,
            ErrorKind::TooManyLinks => Self::TooManyLinks,
            ErrorKind::InvalidFilename => Self::NameTooLong,
            ErrorKind::NotADirectory => Self::NotDirectory,
            ErrorKind::IsADirectory => Self::IsDirectory,
            ErrorKind::DirectoryNotEmpty => Self::NotEmpty,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::CrossesDevices => Self::CrossDevice,
            ErrorKind::Interrupted => Self::Interrupted,
            ErrorKind::Unsupported => Self::NotSupported,
            ErrorKind::OutOfMemory => Self::NoMemory,
            _ => Self::Io,
        }
    }
}
