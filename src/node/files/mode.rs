//! What who may do with a file, as far as the host keeps it. There is one user in a container; modes
//! are kept for those who look at them.

use cap_std::fs::{Metadata, Permissions};

/// What guests may set: no file of the host runs as its owner for their sake.
const SETTABLE: u32 = 0o777;
/// The host itself reads and writes files, and enters directories.
const FILE_MIN: u32 = 0o600;
const DIRECTORY_MIN: u32 = 0o700;

/// Permission bits.
#[cfg(unix)]
pub(super) fn of(metadata: &Metadata) -> Option<u32> {
    use cap_std::fs::PermissionsExt;
    Some(metadata.permissions().mode() & 0o7777)
}

/// What is set where `mode` is asked for.
#[cfg(unix)]
pub(super) fn permissions(mode: u32, is_directory: bool) -> Option<Permissions> {
    use cap_std::fs::PermissionsExt;
    let min = if is_directory { DIRECTORY_MIN } else { FILE_MIN };
    Some(Permissions::from_mode(mode & SETTABLE | min))
}

#[cfg(not(unix))]
pub(super) fn of(_: &Metadata) -> Option<u32> {
    None
}

#[cfg(not(unix))]
pub(super) fn permissions(mode: u32, is_directory: bool) -> Option<Permissions> {
    let _ = (mode & SETTABLE, is_directory, FILE_MIN, DIRECTORY_MIN);
    None
}
