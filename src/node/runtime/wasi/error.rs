//! Errors of files as WASI names them.

use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::node::files::Error;

pub(super) fn code(error: Error) -> ErrorCode {
    match error {
        Error::Access => ErrorCode::Access,
        Error::BadDescriptor => ErrorCode::BadDescriptor,
        Error::Busy => ErrorCode::Busy,
        Error::CrossDevice => ErrorCode::CrossDevice,
        Error::Exists => ErrorCode::Exist,
        Error::FileTooLarge => ErrorCode::FileTooLarge,
        Error::IllegalBytes => ErrorCode::IllegalByteSequence,
        Error::Interrupted => ErrorCode::Interrupted,
        Error::Invalid => ErrorCode::Invalid,
        Error::Io => ErrorCode::Io,
        Error::IsDirectory => ErrorCode::IsDirectory,
        Error::Loop => ErrorCode::Loop,
        Error::NameTooLong => ErrorCode::NameTooLong,
        Error::NoDevice => ErrorCode::NoSuchDevice,
        Error::NoMemory => ErrorCode::InsufficientMemory,
        Error::NoSpace => ErrorCode::InsufficientSpace,
        Error::NotDirectory => ErrorCode::NotDirectory,
        Error::NotEmpty => ErrorCode::NotEmpty,
        Error::NotFound => ErrorCode::NoEntry,
        Error::NotPermitted => ErrorCode::NotPermitted,
        Error::NotSupported => ErrorCode::Unsupported,
        Error::Quota => ErrorCode::Quota,
        Error::ReadOnly => ErrorCode::ReadOnly,
        Error::TextBusy => ErrorCode::TextFileBusy,
        Error::TooManyLinks => ErrorCode::TooManyLinks,
    }
}

pub(super) fn fs_error(error: Error) -> FsError {
    code(error).into()
}
