//! Where lines go: standard output, the edited file, the files of `w`.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::call::{Call, Failure, reason};
use crate::stream::Stream;

use super::script::Script;

pub enum Target {
    Stdout(BufWriter<Stream>),
    Stderr,
    Memory(Vec<u8>),
    File(BufWriter<File>),
}

/// A target, and whether its last line lacks its end.
pub struct Output {
    target: Target,
    unended: Option<u8>,
}

/// The files of `w` with their names; `/dev/stdout` among them is the output itself.
pub type Targets = Vec<(String, Output)>;

pub fn open_targets(call: &Call, script: &Script) -> Result<Targets, Failure> {
    let open = |name: &String| {
        let target = match name.as_str() {
            // The run sends these to its own output.
            "/dev/stdout" => Target::Memory(Vec::new()),
            "/dev/stderr" => Target::Stderr,
            name => {
                let file = File::create(call.path(name));
                let file =
                    file.map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))?;
                Target::File(BufWriter::new(file))
            }
        };
        Ok((name.clone(), Output::new(target)))
    };
    script.files.iter().map(open).collect()
}

impl Output {
    pub fn new(target: Target) -> Self {
        Self { target, unended: None }
    }

    /// A line, with its end if it had one.
    pub fn line(&mut self, line: &[u8], end: u8, ended: bool) -> io::Result<()> {
        self.text(line)?;
        if ended {
            return self.raw(&[end]);
        }
        self.unended = Some(end);
        Ok(())
    }

    /// Text as it is; a line before it gets the end it lacks.
    pub fn text(&mut self, text: &[u8]) -> io::Result<()> {
        if let Some(end) = self.unended.take() {
            self.raw(&[end])?;
        }
        self.raw(text)
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.target {
            Target::Stdout(out) => out.write_all(bytes),
            Target::Stderr => io::stderr().write_all(bytes),
            Target::Memory(memory) => memory.write_all(bytes),
            Target::File(file) => file.write_all(bytes),
        }
    }

    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Stdout(out) => out.flush(),
            Target::File(file) => file.flush(),
            Target::Stderr | Target::Memory(_) => Ok(()),
        }
    }

    /// What was kept in memory.
    pub fn into_bytes(self) -> Vec<u8> {
        if let Target::Memory(bytes) = self.target { bytes } else { Vec::new() }
    }
}
