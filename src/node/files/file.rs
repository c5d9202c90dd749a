use std::fs::FileTimes;
use std::io;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::read::Stat;
use super::{Error, Result};

/// Serialises appends: "go to the end and write" is two steps on portable handles, and all writers
/// of a container's files are in this process.
static APPENDING: Mutex<()> = Mutex::new(());

/// An open regular file. Positions belong to its users.
#[derive(Debug)]
pub struct File {
    pub(super) file: std::fs::File,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl File {
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
        retry(|| position::read_at(&self.file, buffer, offset))
    }

    /// Writes all bytes at `offset`.
    pub fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> Result<()> {
        self.check_writable()?;
        while !bytes.is_empty() {
            let written = retry(|| position::write_at(&self.file, bytes, offset))?;
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }

    /// Writes all bytes at the end, in one piece; answers the new end.
    pub fn append(&self, bytes: &[u8]) -> Result<u64> {
        self.check_writable()?;
        let _one_at_a_time = APPENDING.lock();
        let end = self.len()?;
        self.write_at(bytes, end)?;
        Ok(end + bytes.len() as u64)
    }

    /// Its size in bytes.
    pub fn len(&self) -> Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    pub fn set_len(&self, bytes: u64) -> Result<()> {
        self.check_writable()?;
        Ok(self.file.set_len(bytes)?)
    }

    pub fn sync_all(&self) -> Result<()> {
        Ok(self.file.sync_all()?)
    }

    pub fn sync_data(&self) -> Result<()> {
        Ok(self.file.sync_data()?)
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
        Ok(self.file.set_times(times)?)
    }

    pub fn stat(&self) -> Result<Stat> {
        let metadata = cap_std::fs::Metadata::from_file(&self.file)?;
        Ok(Stat::of(&metadata))
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
