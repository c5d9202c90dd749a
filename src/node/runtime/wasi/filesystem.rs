//! wasi:filesystem over a container's [`Root`]. Calls are small and run on the guest's thread, but for
//! those that wait for the host's disk.
//!
//! The bindings are wasmtime-wasi's, and name its own descriptor type; ours stands in the table under
//! the same number, and no value of theirs is ever made.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::{JoinHandle, spawn_blocking};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::super::description::{CHUNK_BYTES_MAX, Description};
use super::super::process::Process;
use super::error::{code, fs_error};
use super::file_stream::{FileInput, FileOutput};
use super::stdio::{Input, Output};
use crate::node::files::{
    self, Device, Entry, Error, File, Follow, Kind, OpenOptions, Opened, Place, Root, Stat,
};

/// What a guest's descriptor refers to.
#[derive(Debug, Clone)]
pub(super) enum Descriptor {
    File { file: Arc<File>, flags: DescriptorFlags },
    Directory { place: Place, flags: DescriptorFlags },
    Device { device: Device, flags: DescriptorFlags },
}

/// The rest of a listing.
struct Listing(std::vec::IntoIter<Entry>);

type Fd = Resource<types::Descriptor>;
type ListingFd = Resource<types::DirectoryEntryStream>;

impl Process {
    fn root(&self) -> Arc<Root> {
        self.root.clone()
    }

    fn descriptor(&self, fd: &Fd) -> FsResult<&Descriptor> {
        Ok(self.table.get(&Resource::<Descriptor>::new_borrow(fd.rep()))?)
    }

    /// Has the host write a file or a directory to its disk, where that keeps no other guest from
    /// running; a device has nothing to be written.
    fn sync_by(
        &self,
        fd: &Fd,
        file_by: fn(&File) -> files::Result<()>,
    ) -> FsResult<Option<JoinHandle<files::Result<()>>>> {
        Ok(match self.descriptor(fd)? {
            Descriptor::File { file, .. } => {
                let file = file.clone();
                Some(spawn_blocking(move || file_by(&file)))
            }
            Descriptor::Directory { place, .. } => {
                let (root, place) = (self.root(), place.clone());
                Some(spawn_blocking(move || root.sync_directory(&place)))
            }
            Descriptor::Device { .. } => None,
        })
    }

    fn push_descriptor(&mut self, descriptor: Descriptor) -> FsResult<Fd> {
        Ok(Resource::new_own(self.table.push(descriptor)?.rep()))
    }

    fn file(&self, fd: &Fd) -> FsResult<&Arc<File>> {
        match self.descriptor(fd)? {
            Descriptor::File { file, .. } => Ok(file),
            Descriptor::Directory { .. } => Err(ErrorCode::IsDirectory.into()),
            Descriptor::Device { .. } => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    fn directory(&self, fd: &Fd) -> FsResult<Place> {
        match self.descriptor(fd)? {
            Descriptor::Directory { place, .. } => Ok(place.clone()),
            _ => Err(ErrorCode::NotDirectory.into()),
        }
    }

    /// The directory that a path starts from; absolute paths do not exist in WASI.
    fn directory_for(&self, fd: &Fd, path: &str) -> FsResult<Place> {
        if path.starts_with('/') {
            return Err(ErrorCode::NotPermitted.into());
        }
        self.directory(fd)
    }

    fn stat_of(&self, fd: &Fd) -> FsResult<Stat> {
        match self.descriptor(fd)? {
            Descriptor::File { file, .. } => file.stat().map_err(fs_error),
            Descriptor::Directory { place, .. } => {
                self.root().stat(place, ".", Follow::No).map_err(fs_error)
            }
            Descriptor::Device { device, .. } => Ok(device_stat(*device)),
        }
    }

    /// What a device stands for, as a stream of this process.
    ///
    /// # Errors
    /// For the terminal of a process that has none.
    pub(super) fn device(&self, device: Device) -> Result<Arc<Description>, Error> {
        let terminal = || self.entry.terminal.clone().map(Description::Terminal).map(Arc::new);
        match device {
            Device::Stdin => Ok(self.stdin.clone()),
            Device::Stdout => Ok(self.stdout.clone()),
            Device::Stderr => Ok(self.stderr.clone()),
            Device::Tty => terminal().ok_or(Error::NoDevice),
            other => Ok(Arc::new(Description::device(other).unwrap_or(Description::Null))),
        }
    }

    fn time(&self, time: NewTimestamp) -> Option<SystemTime> {
        match time {
            NewTimestamp::NoChange => None,
            NewTimestamp::Now => Some(self.clock().now().into()),
            NewTimestamp::Timestamp(time) => SystemTime::UNIX_EPOCH
                .checked_add(Duration::new(time.seconds, time.nanoseconds.min(999_999_999))),
        }
    }
}

impl preopens::Host for Process {
    /// `/` comes last: wasi-libc strips the `/` and the `./` of both, and prefers the later one, so
    /// that absolute paths are right everywhere and relative ones start at `/` until `chdir`.
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        let mut directories = Vec::with_capacity(2);
        for (name, place) in [(".", self.working_place.clone()), ("/", Place::root())] {
            let fd = self.table.push(Descriptor::Directory { place, flags })?;
            directories.push((Resource::new_own(fd.rep()), name.to_owned()));
        }
        Ok(directories)
    }
}

impl types::Host for Process {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<Error>().copied().map(code))
    }
}

impl types::HostDescriptor for Process {
    fn read_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        let stream: DynInputStream = match self.descriptor(&fd)? {
            Descriptor::Directory { .. } => return Err(ErrorCode::IsDirectory.into()),
            Descriptor::Device { device, .. } => {
                Box::new(Input(self.device(*device).map_err(fs_error)?))
            }
            Descriptor::File { file, .. } if !file.readable() => {
                return Err(ErrorCode::BadDescriptor.into());
            }
            Descriptor::File { file, .. } => Box::new(FileInput::new(file.clone(), offset)),
        };
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        self.push_output(&fd, Some(offset))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.push_output(&fd, None)
    }

    async fn advise(&mut self, fd: Fd, _: u64, _: u64, _: Advice) -> FsResult<()> {
        // Advice may be ignored; a bad descriptor may not.
        self.file(&fd).map(drop)
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        synced(self.sync_by(&fd, File::sync_data)?).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        synced(self.sync_by(&fd, File::sync_all)?).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        Ok(match self.descriptor(&fd)? {
            Descriptor::File { flags, .. }
            | Descriptor::Directory { flags, .. }
            | Descriptor::Device { flags, .. } => *flags,
        })
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        Ok(match self.descriptor(&fd)? {
            Descriptor::File { .. } => DescriptorType::RegularFile,
            Descriptor::Directory { .. } => DescriptorType::Directory,
            Descriptor::Device { .. } => DescriptorType::CharacterDevice,
        })
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        self.file(&fd)?.set_len(size).map_err(fs_error)
    }

    async fn set_times(&mut self, fd: Fd, a: NewTimestamp, m: NewTimestamp) -> FsResult<()> {
        let (accessed, modified) = (self.time(a), self.time(m));
        match self.descriptor(&fd)? {
            Descriptor::File { file, .. } => file.set_times(accessed, modified).map_err(fs_error),
            Descriptor::Directory { place, .. } => {
                self.root().set_times(place, ".", Follow::No, accessed, modified).map_err(fs_error)
            }
            Descriptor::Device { .. } => Ok(()),
        }
    }

    async fn read(&mut self, fd: Fd, len: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(CHUNK_BYTES_MAX);
        let file = match self.descriptor(&fd)? {
            Descriptor::Device { device, .. } => {
                let device = self.device(*device).map_err(fs_error)?;
                let bytes = device.read(len).await.map_err(description_error)?;
                return Ok((bytes.to_vec(), bytes.is_empty()));
            }
            _ => self.file(&fd)?,
        };
        let mut buffer = vec![0; len];
        let read = file.read_at(&mut buffer, offset).map_err(fs_error)?;
        buffer.truncate(read);
        Ok((buffer, read == 0))
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        let written = match self.descriptor(&fd)? {
            Descriptor::Device { device, .. } => {
                let device = self.device(*device).map_err(fs_error)?;
                device.write(&bytes).await.map_err(description_error)?;
                bytes.len()
            }
            _ => self.file(&fd)?.write_some_at(&bytes, offset).map_err(fs_error)?,
        };
        Ok(written as u64)
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<ListingFd> {
        let place = self.directory(&fd)?;
        let entries = self.root().list(&place).map_err(fs_error)?;
        let listing = self.table.push(Listing(entries.into_iter()))?;
        Ok(Resource::new_own(listing.rep()))
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let from = self.directory_for(&fd, &path)?;
        self.root().create_directory(&from, &path).map_err(fs_error)
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        Ok(descriptor_stat(&self.stat_of(&fd)?))
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let from = self.directory_for(&fd, &path)?;
        let stat = self.root().stat(&from, &path, follow(flags)).map_err(fs_error)?;
        Ok(descriptor_stat(&stat))
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let from = self.directory_for(&fd, &path)?;
        let (accessed, modified) = (self.time(accessed), self.time(modified));
        self.root().set_times(&from, &path, follow(flags), accessed, modified).map_err(fs_error)
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        old: String,
        new_fd: Fd,
        new: String,
    ) -> FsResult<()> {
        let from = self.directory_for(&fd, &old)?;
        let to = self.directory_for(&new_fd, &new)?;
        self.root().link(&from, &old, follow(flags), &to, &new).map_err(fs_error)
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let from = self.directory_for(&fd, &path)?;
        let options = OpenOptions {
            read: flags.contains(DescriptorFlags::READ),
            write: flags.contains(DescriptorFlags::WRITE),
            create: open_flags.contains(OpenFlags::CREATE),
            exclusive: open_flags.contains(OpenFlags::EXCLUSIVE),
            truncate: open_flags.contains(OpenFlags::TRUNCATE),
            directory: open_flags.contains(OpenFlags::DIRECTORY),
            no_follow: follow(path_flags) == Follow::No,
        };
        let opened = self.root().open(&from, &path, options).map_err(fs_error)?;
        self.push_descriptor(match opened {
            Opened::File(file) => Descriptor::File { file: Arc::new(file), flags },
            // Whether a directory may be changed is its mount's business; libc does not ask for it.
            Opened::Directory(place) => {
                Descriptor::Directory { place, flags: flags | DescriptorFlags::MUTATE_DIRECTORY }
            }
            Opened::Device(device) => {
                self.device(device).map_err(fs_error)?;
                Descriptor::Device { device, flags }
            }
        })
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let from = self.directory_for(&fd, &path)?;
        self.root().read_link(&from, &path).map_err(fs_error)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let from = self.directory_for(&fd, &path)?;
        self.root().remove_directory(&from, &path).map_err(fs_error)
    }

    async fn rename_at(&mut self, fd: Fd, old: String, new_fd: Fd, new: String) -> FsResult<()> {
        let from = self.directory_for(&fd, &old)?;
        let to = self.directory_for(&new_fd, &new)?;
        self.root().rename(&from, &old, &to, &new).map_err(fs_error)
    }

    async fn symlink_at(&mut self, fd: Fd, text: String, path: String) -> FsResult<()> {
        let from = self.directory_for(&fd, &path)?;
        self.root().symlink(&text, &from, &path).map_err(fs_error)
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let from = self.directory_for(&fd, &path)?;
        self.root().unlink(&from, &path).map_err(fs_error)
    }

    async fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        match (self.stat_of(&a), self.stat_of(&b)) {
            (Ok(a), Ok(b)) => Ok(a.identity == b.identity),
            _ => Ok(false),
        }
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        Ok(metadata_hash(&self.stat_of(&fd)?))
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let from = self.directory_for(&fd, &path)?;
        let stat = self.root().stat(&from, &path, follow(flags)).map_err(fs_error)?;
        Ok(metadata_hash(&stat))
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Descriptor>::new_own(fd.rep()))?;
        Ok(())
    }
}

impl Process {
    /// That there is no room is told here already if it is known: wasi-libc reads every error of a
    /// stream as EIO, and only that of making one as what it is.
    fn push_output(
        &mut self,
        fd: &Fd,
        position: Option<u64>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let stream: DynOutputStream = match self.descriptor(fd)? {
            Descriptor::Directory { .. } => return Err(ErrorCode::IsDirectory.into()),
            Descriptor::Device { device: Device::Full, .. } => {
                return Err(ErrorCode::InsufficientSpace.into());
            }
            Descriptor::Device { device, .. } => {
                Box::new(Output(self.device(*device).map_err(fs_error)?))
            }
            Descriptor::File { file, .. } if !file.writable() => {
                return Err(ErrorCode::BadDescriptor.into());
            }
            Descriptor::File { file, .. } if file.room_at(position, 1) == 0 => {
                return Err(ErrorCode::InsufficientSpace.into());
            }
            Descriptor::File { file, .. } => Box::new(FileOutput::new(file.clone(), position)),
        };
        Ok(self.table.push(stream)?)
    }
}

impl types::HostDirectoryEntryStream for Process {
    async fn read_directory_entry(&mut self, fd: ListingFd) -> FsResult<Option<DirectoryEntry>> {
        let listing = self.table.get_mut(&Resource::<Listing>::new_borrow(fd.rep()))?;
        Ok(listing
            .0
            .next()
            .map(|Entry { name, kind }| DirectoryEntry { type_: descriptor_type(kind), name }))
    }

    fn drop(&mut self, fd: ListingFd) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Listing>::new_own(fd.rep()))?;
        Ok(())
    }
}

async fn synced(under_way: Option<JoinHandle<files::Result<()>>>) -> FsResult<()> {
    match under_way {
        None => Ok(()),
        Some(work) => work.await.map_err(|_| ErrorCode::Io)?.map_err(fs_error),
    }
}

fn follow(flags: PathFlags) -> Follow {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) { Follow::Yes } else { Follow::No }
}

fn descriptor_type(kind: Kind) -> DescriptorType {
    match kind {
        Kind::File => DescriptorType::RegularFile,
        Kind::Directory => DescriptorType::Directory,
        Kind::Symlink => DescriptorType::SymbolicLink,
        Kind::Device(_) => DescriptorType::CharacterDevice,
        Kind::Other => DescriptorType::Unknown,
    }
}

fn descriptor_stat(stat: &Stat) -> DescriptorStat {
    DescriptorStat {
        type_: descriptor_type(stat.kind),
        link_count: stat.links,
        size: stat.size,
        data_access_timestamp: stat.accessed.map(datetime),
        data_modification_timestamp: stat.modified.map(datetime),
        status_change_timestamp: stat.changed.map(datetime),
    }
}

/// Times before 1970 have no representation in WASI.
fn datetime(time: SystemTime) -> Datetime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Datetime { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() }
}

fn device_stat(device: Device) -> Stat {
    Stat {
        kind: Kind::Device(device),
        size: 0,
        mode: None,
        links: 1,
        accessed: None,
        modified: None,
        changed: None,
        identity: (0, device as u64),
    }
}

/// Guests use it as device and inode.
fn metadata_hash(stat: &Stat) -> MetadataHashValue {
    MetadataHashValue { lower: stat.identity.1, upper: stat.identity.0 }
}

fn description_error(error: super::super::description::Error) -> FsError {
    match error {
        super::super::description::Error::BrokenPipe => ErrorCode::Pipe.into(),
        super::super::description::Error::File(error) => fs_error(error),
    }
}
