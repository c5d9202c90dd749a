//! Where a page goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use sampan_process as process;

use super::{Failure, UNWRITTEN};
use crate::call::{Call, reason};
use crate::stream::Stream;

pub struct Output<'a> {
    call: &'a Call,
    silent: bool,
    /// Standard output without one.
    pub name: Option<String>,
    /// Made when the first byte comes.
    file: Option<File>,
    pub bytes: u64,
}

impl<'a> Output<'a> {
    pub fn new(call: &'a Call, silent: bool, name: Option<String>) -> Self {
        Self { call, silent, name, file: None, bytes: 0 }
    }

    /// Whether the user sees it come.
    pub fn is_terminal(&self) -> bool {
        self.name.is_none() && process::stdout().is_terminal()
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let failed = |_| Failure::new(UNWRITTEN, "Failure writing output to destination");
        self.bytes += bytes.len() as u64;
        match &self.name {
            None => Stream(process::stdout()).write_all(bytes).map_err(failed),
            Some(_) => self.file()?.write_all(bytes).map_err(failed),
        }
    }

    /// An empty page is a file too.
    pub fn end(&mut self) -> Result<(), Failure> {
        if self.name.is_some() {
            self.file()?;
        }
        Ok(())
    }

    fn file(&mut self) -> Result<&mut File, Failure> {
        if self.file.is_none() {
            let (name, silent) = (self.name.clone().unwrap_or_default(), self.silent);
            let opened = create(self.call, &name);
            let file = opened.map_err(|err| {
                if !silent {
                    eprintln!("Warning: Failed to open the file {name}: {}", reason(&err));
                }
                Failure::new(UNWRITTEN, "Failure writing output to destination")
            })?;
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| Failure::new(UNWRITTEN, "no output"))
    }
}

fn create(call: &Call, name: &str) -> io::Result<File> {
    // Not `File::create`: it would have to be able to truncate /dev/null.
    let mut how = OpenOptions::new();
    how.write(true).create(true).truncate(name != "/dev/null");
    how.open(call.path(name))
}
