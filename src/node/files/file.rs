use std::fs::FileTimes;
use std::io;
use std::time::SystemTime;

use bytes::Bytes;
use cap_std::fs::{Metadata, Permissions};
use parking_lot::Mutex;

use super::quota::{Counted, Quota};
use super::read::Stat;
use super::{Error, Result, mode};

/// Serialises appends to files that are not counted: "go to the end and write" is two steps on
/// portable handles, and all writers of a container's files are in this process.
static APPENDING: Mutex<()> = Mutex::new(());

/// An open regular file. Positions belong to its users.
#[derive(Debug)]
pub struct File {
    /// In a volume with a quota. Before the file itself, as fields are dropped: once that is closed,
    /// its inode may be another's.
    counted: Option<Counted>,
    content: Content,
    readable: bool,
    writable: bool,
}

#[derive(Debug)]
enum Content {
    Host(std::fs::File),
    /// Of the host's making, as it was when it was opened.
    Made {
        bytes: Bytes,
        stat: Stat,
    },
}

impl File {
    pub(super) fn made(bytes: Bytes, stat: Stat) -> Self {
        let content = Content::Made { bytes, stat };
        Self { content, counted: None, readable: true, writable: false }
    }

    pub(super) fn plain(file: std::fs::File) -> Self {
        Self::counted(file, None)
    }

    pub(super) fn counted(file: std::fs::File, counted: Option<Counted>) -> Self {
        Self { content: Content::Host(file), counted, readable: true, writable: true }
    }

    /// What its user may do with it.
    pub(super) fn allow(self, readable: bool, writable: bool) -> Self {
        Self { readable, writable: writable && self.writable, ..self }
    }

    /// The same file once more.
    pub(super) fn reopen(&self) -> Result<Self> {
        Ok(Self::counted(self.host()?.try_clone()?, self.counted.clone()))
    }

    pub(super) fn quota(&self) -> Option<&Quota> {
        self.counted.as_ref().map(Counted::quota)
    }

    pub fn readable(&self) -> bool {
        self.readable
    }

    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Reads some bytes at `offset`; 0 is the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        if !self.readable {
            return Err(Error::BadDescriptor);
        }
        match &self.content {
            Content::Host(file) => retry(|| position::read_at(file, buffer, offset)),
            Content::Made { bytes, .. } => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let read = buffer.len().min(bytes.len() - from);
                buffer[..read].copy_from_slice(&bytes[from..from + read]);
                Ok(read)
            }
        }
    }

    /// Writes all bytes at `offset`.
    ///
    /// # Errors
    /// [`Error::NoSpace`] after as many bytes as there was room for.
    pub fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> Result<()> {
        self.check_writable()?;
        while !bytes.is_empty() {
            let written = self.write_some_at(bytes, offset)?;
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }

    /// Writes some bytes at `offset`, at least one of any.
    pub fn write_some_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.check_writable()?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let Some(counted) = &self.counted else { return self.write_to_host(bytes, offset) };
        let end = offset.checked_add(bytes.len() as u64).ok_or(Error::FileTooLarge)?;
        {
            let len = counted.len.read();
            if end <= *len {
                return self.write_to_host(bytes, offset);
            }
        }
        let len = &mut counted.len.write();
        self.write_growing(counted.quota(), len, bytes, offset)
    }

    /// Writes all bytes at the end, in one piece as far as there is room; answers the new end.
    pub fn append(&self, bytes: &[u8]) -> Result<u64> {
        self.check_writable()?;
        let Some(counted) = &self.counted else {
            let _one_at_a_time = APPENDING.lock();
            let end = self.len()?;
            self.write_at(bytes, end)?;
            return Ok(end + bytes.len() as u64);
        };
        let len = &mut counted.len.write();
        let mut left = bytes;
        while !left.is_empty() {
            let end = **len;
            let written = self.write_growing(counted.quota(), len, left, end)?;
            left = &left[written..];
        }
        Ok(**len)
    }

    /// How many of `most` bytes a write at `offset`, or at the end, would take: more can have come
    /// in between.
    pub fn room_at(&self, offset: Option<u64>, most: usize) -> usize {
        let Some(counted) = &self.counted else { return most };
        let len = *counted.len.read();
        let end = len + counted.quota().usage().bytes_free();
        let room = end.saturating_sub(offset.unwrap_or(len));
        usize::try_from(room).unwrap_or(usize::MAX).min(most)
    }

    /// Writes what there is room for. `len` is the file's length, held for writing.
    fn write_growing(
        &self,
        quota: &Quota,
        len: &mut u64,
        bytes: &[u8],
        offset: u64,
    ) -> Result<usize> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Error::FileTooLarge)?;
        let taken = quota.take_up_to(end.saturating_sub(*len));
        let room = (*len + taken).saturating_sub(offset);
        let fitting = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let written = match fitting {
            0 => Err(Error::NoSpace),
            _ => self.write_to_host(&bytes[..fitting], offset),
        };
        let new_len = written.map_or(*len, |written| (offset + written as u64).max(*len));
        quota.give_back(taken - (new_len - *len));
        *len = new_len;
        written
    }

    fn write_to_host(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        let file = self.host()?;
        match retry(|| position::write_at(file, bytes, offset))? {
            0 => Err(Error::Io),
            written => Ok(written),
        }
    }

    /// Its size in bytes.
    pub fn len(&self) -> Result<u64> {
        match &self.content {
            Content::Host(file) => Ok(file.metadata()?.len()),
            Content::Made { bytes, .. } => Ok(bytes.len() as u64),
        }
    }

    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// # Errors
    /// [`Error::NoSpace`] if there is not room for all of it, holes included.
    pub fn set_len(&self, bytes: u64) -> Result<()> {
        self.check_writable()?;
        let Some(counted) = &self.counted else { return Ok(self.host()?.set_len(bytes)?) };
        let len = &mut *counted.len.write();
        let more = bytes.saturating_sub(*len);
        counted.quota().take(more)?;
        if let Err(error) = self.host()?.set_len(bytes) {
            counted.quota().give_back(more);
            return Err(error.into());
        }
        counted.quota().give_back(len.saturating_sub(bytes));
        *len = bytes;
        Ok(())
    }

    pub(super) fn set_permissions(&self, wanted: Option<Permissions>) -> Result<()> {
        let Some(wanted) = wanted else { return Ok(()) };
        let file = self.host()?;
        Ok(file.set_permissions(wanted.into_std(file)?)?)
    }

    /// Fills a new file with all of another, its mode and its times.
    pub(super) fn copy_from(&self, mut source: std::fs::File) -> Result<()> {
        let metadata = source.metadata()?;
        // Before the first byte, so that nothing is copied in vain.
        self.set_len(metadata.len())?;
        io::copy(&mut source, &mut self.host()?)?;
        let mode = mode::of(&Metadata::from_just_metadata(metadata.clone()));
        self.set_permissions(mode.and_then(|mode| mode::permissions(mode, false)))?;
        self.set_times(metadata.accessed().ok(), metadata.modified().ok())
    }

    pub fn sync_all(&self) -> Result<()> {
        self.host().map_or(Ok(()), |file| Ok(file.sync_all()?))
    }

    pub fn sync_data(&self) -> Result<()> {
        self.host().map_or(Ok(()), |file| Ok(file.sync_data()?))
    }

    /// `None` leaves a time as it is.
    pub fn set_times(
        &self,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        let mut times = FileTimes::new();
        if let Some(accessed) = accessed {
            times = times.set_accessed(accessed);
        }
        if let Some(modified) = modified {
            times = times.set_modified(modified);
        }
        Ok(self.host()?.set_times(times)?)
    }

    pub fn stat(&self) -> Result<Stat> {
        match &self.content {
            Content::Host(_) => Ok(Stat::of(&self.metadata()?)),
            Content::Made { stat, .. } => Ok(stat.clone()),
        }
    }

    pub(super) fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata::from_file(self.host()?)?)
    }

    /// # Errors
    /// If it is of the host's making: nothing about it can be changed.
    fn host(&self) -> Result<&std::fs::File> {
        match &self.content {
            Content::Host(file) => Ok(file),
            Content::Made { .. } => Err(Error::NotPermitted),
        }
    }

    fn check_writable(&self) -> Result<()> {
        if self.writable { Ok(()) } else { Err(Error::BadDescriptor) }
    }
}

fn retry(mut step: impl FnMut() -> io::Result<usize>) -> Result<usize> {
    loop {
        match step() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(unix)]
mod position {
    use std::os::unix::fs::FileExt;

    pub(super) fn read_at(
        file: &std::fs::File,
        buffer: &mut [u8],
        offset: u64,
    ) -> std::io::Result<usize> {
        file.read_at(buffer, offset)
    }

    pub(super) fn write_at(
        file: &std::fs::File,
        bytes: &[u8],
        offset: u64,
    ) -> std::io::Result<usize> {
        file.write_at(bytes, offset)
    }
}

/// Windows moves the handle's own position as well; nobody here uses that one.
#[cfg(windows)]
mod position {
    use std::os::windows::fs::FileExt;

    pub(super) fn read_at(
        file: &std::fs::File,
        buffer: &mut [u8],
        offset: u64,
    ) -> std::io::Result<usize> {
        file.seek_read(buffer, offset)
    }

    pub(super) fn write_at(
        file: &std::fs::File,
        bytes: &[u8],
        offset: u64,
    ) -> std::io::Result<usize> {
        file.seek_write(bytes, offset)
    }
}
