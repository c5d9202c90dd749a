//! The container's files, asked of the host without the C library between: it would ask twice for
//! each `stat`.

use std::cell::OnceCell;

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};
use wasip2::io::streams::InputStream;

use super::{Failure, Kind, Stat};

#[derive(Debug)]
pub(crate) struct File(Descriptor);

thread_local! {
    static ROOT: OnceCell<Option<Descriptor>> = const { OnceCell::new() };
}

/// Runs `ask` with the root directory and the path below it.
fn at<T>(
    path: &str,
    ask: impl FnOnce(&Descriptor, &str) -> Result<T, ErrorCode>,
) -> Result<T, Failure> {
    let path = path.trim_start_matches('/');
    let path = if path.is_empty() { "." } else { path };
    ROOT.with(|root| {
        let root = root.get_or_init(|| {
            let directories = get_directories();
            directories.into_iter().find_map(|(root, name)| (name == "/").then_some(root))
        });
        let root = root.as_ref().ok_or(Failure::NotFound)?;
        ask(root, path).map_err(failure)
    })
}

fn open_as(path: &str, how: OpenFlags, rights: DescriptorFlags) -> Result<Descriptor, Failure> {
    at(path, |root, path| root.open_at(PathFlags::SYMLINK_FOLLOW, path, how, rights))
}

pub(crate) fn stat(path: &str) -> Result<Stat, Failure> {
    at(path, |root, path| root.stat_at(PathFlags::SYMLINK_FOLLOW, path)).map(|stat| stat_of(&stat))
}

pub(crate) fn open(path: &str) -> Result<File, Failure> {
    open_as(path, OpenFlags::empty(), DescriptorFlags::READ).map(File)
}

/// Names in a directory and what they are, unsorted.
pub(crate) fn list(path: &str) -> Result<Vec<(String, Stat)>, Failure> {
    let directory = open_as(path, OpenFlags::DIRECTORY, DescriptorFlags::READ)?;
    let entries = directory.read_directory().map_err(failure)?;
    let mut named = Vec::new();
    while let Some(entry) = entries.read_directory_entry().map_err(failure)? {
        // A symlink to nothing is not shown.
        if let Ok(stat) = directory.stat_at(PathFlags::SYMLINK_FOLLOW, &entry.name) {
            named.push((entry.name, stat_of(&stat)));
        }
    }
    Ok(named)
}

/// The text of a symlink.
pub(crate) fn link_target(path: &str) -> Option<String> {
    at(path, Descriptor::readlink_at).ok()
}

/// Puts a line at a file's end; makes the file if it is not there.
pub(crate) fn append(path: &str, line: &str) -> Result<(), Failure> {
    let file = open_as(path, OpenFlags::CREATE, DescriptorFlags::WRITE)?;
    let stream = file.append_via_stream().map_err(failure)?;
    crate::server::write_all(&stream, line.as_bytes()).map_err(|()| Failure::Other)
}

impl File {
    /// At most so many bytes from an offset on.
    pub(crate) fn read(&self, mut offset: u64, bytes_max: u64) -> Result<Vec<u8>, Failure> {
        let mut content = Vec::new();
        loop {
            let left = bytes_max - content.len() as u64;
            let (bytes, end) = self.0.read(left.min(1 << 16), offset).map_err(failure)?;
            offset += bytes.len() as u64;
            content.extend_from_slice(&bytes);
            if end || bytes.is_empty() || content.len() as u64 == bytes_max {
                return Ok(content);
            }
        }
    }

    pub(crate) fn stream(&self, offset: u64) -> Result<InputStream, Failure> {
        self.0.read_via_stream(offset).map_err(failure)
    }
}

fn stat_of(stat: &DescriptorStat) -> Stat {
    let kind = match stat.type_ {
        DescriptorType::RegularFile => Kind::File,
        DescriptorType::Directory => Kind::Directory,
        _ => Kind::Other,
    };
    let modified = stat.data_modification_timestamp;
    let modified = modified.map_or((0, 0), |time| (time.seconds, time.nanoseconds));
    Stat { kind, bytes: stat.size, modified }
}

fn failure(code: ErrorCode) -> Failure {
    match code {
        ErrorCode::NoEntry | ErrorCode::NameTooLong => Failure::NotFound,
        ErrorCode::NotDirectory => Failure::NotDirectory,
        ErrorCode::Access | ErrorCode::NotPermitted => Failure::Denied,
        _ => Failure::Other,
    }
}
