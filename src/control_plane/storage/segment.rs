//! One file of the journal, open for appending.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Revision;
use super::journal::file_path;
use super::reserve::Reserve;

pub(super) const LOG: &str = "log";
pub(super) const SNAPSHOT: &str = "snapshot";

/// What the files begin with; the digit is the layout's version.
pub(super) const LOG_HEADER: [u8; 16] = *b"sampan log 1\n\0\0\0";
pub(super) const SNAPSHOT_HEADER: [u8; 16] = *b"sampan state 1\n\0";

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// How many bytes of the file are known to be on disk.
    pub(super) synced: u64,
    file: File,
    len: u64,
    reserve: Reserve,
    #[cfg(test)]
    pub(super) fault: Option<Fault>,
}

/// What the disk does wrong, for tests.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Writes half of what comes next, and is full; so many times.
    Full(u32),
    /// The next sync fails.
    Sync,
}

impl Segment {
    /// A new log for what follows `revision`, already on disk.
    pub(super) fn create(directory: &Path, revision: Revision) -> io::Result<Self> {
        let segment = Self::create_with(file_path(directory, revision, LOG), &LOG_HEADER)?;
        sync_directory(directory)?;
        Ok(segment)
    }

    pub(super) fn create_snapshot(path: &Path) -> io::Result<Self> {
        Self::create_with(path.to_owned(), &SNAPSHOT_HEADER)
    }

    fn create_with(path: PathBuf, header: &[u8]) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        let mut segment = Self::new(path, file, 0);
        segment.append(header)?;
        segment.sync()?;
        Ok(segment)
    }

    /// Goes on with a log of which the first `len` bytes are good; the rest is cut off.
    pub(super) fn reopen(path: PathBuf, len: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(len)?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        let mut segment = Self::new(path, file, len);
        // What an earlier life handed to the operating system may not be on disk yet.
        segment.sync()?;
        Ok(segment)
    }

    fn new(path: PathBuf, file: File, len: u64) -> Self {
        #[cfg(test)]
        let fault = None;
        Self {
            path,
            synced: 0,
            file,
            len,
            reserve: Reserve::default(),
            #[cfg(test)]
            fault,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// # Errors
    /// Then [`Self::cut`] must come next, or nothing more.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Some(Fault::Full(times @ 1..)) = &mut self.fault {
            *times -= 1;
            self.file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        // Half of it would cost the reserve, and be cut off.
        if !self.reserve.takes(self.len + bytes.len() as u64) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Cuts off what an append that failed has left.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() > self.len {
            self.file.set_len(self.len)?;
            self.reserve = Reserve::default();
        }
        io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.len))?;
        Ok(())
    }

    /// Sees to it that there is room for what must be written even if the disk is full; answers whether
    /// there is.
    pub(super) fn reserve(&mut self) -> bool {
        self.reserve.keep_ahead(&self.file, self.len)
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if matches!(self.fault, Some(Fault::Sync)) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.sync_data()?;
        self.synced = self.len;
        Ok(())
    }
}

/// Makes new and renamed files of the directory last. Windows knows no such call, and needs none.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
