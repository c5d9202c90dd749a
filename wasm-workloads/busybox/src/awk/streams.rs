//! Files and commands that a program reads from and writes to, by name.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};

use sampan_process::{self as process, Child};

use crate::call::{Call, Failure, output, reason};
use crate::stream::{BUFFER_BYTES, Input, Stream};

use super::program::Redirect;
use super::reader::Reader;

enum Open {
    Writer(Box<dyn Write>, Option<Child>),
    Reader(Reader, Option<Child>),
}

pub struct Streams<'a> {
    call: &'a Call,
    out: BufWriter<Stream>,
    /// A terminal is shown everything at once.
    at_once: bool,
    open: Vec<(String, Open)>,
}

impl<'a> Streams<'a> {
    pub fn new(call: &'a Call) -> Self {
        let at_once = process::stdout().is_terminal();
        Self { call, out: output(), at_once, open: Vec::new() }
    }

    /// Writes to standard output.
    pub fn print(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes)?;
        if self.at_once { Ok(self.out.flush()?) } else { Ok(()) }
    }

    pub fn print_to(&mut self, how: Redirect, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        if how != Redirect::Pipe && matches!(name, "/dev/stdout" | "-") {
            return self.print(bytes);
        }
        if how != Redirect::Pipe && name == "/dev/stderr" {
            self.out.flush()?;
            return Ok(io::stderr().write_all(bytes)?);
        }
        let known = self.place(name, |open| matches!(open, Open::Writer(..)));
        let place = match known {
            Some(place) => place,
            None => {
                let writer = self.writer(how, name)?;
                self.open.push((name.to_owned(), writer));
                self.open.len() - 1
            }
        };
        match &mut self.open[place].1 {
            Open::Writer(writer, _) => Ok(writer.write_all(bytes)?),
            Open::Reader(..) => Ok(()),
        }
    }

    fn place(&self, name: &str, kind: fn(&Open) -> bool) -> Option<usize> {
        self.open.iter().position(|(known, open)| known == name && kind(open))
    }

    fn writer(&mut self, how: Redirect, name: &str) -> Result<Open, Failure> {
        if how == Redirect::Pipe {
            self.flush(None)?;
            let (read, write) = process::pipe().map_err(|err| Failure::Message(err.to_string()))?;
            let child = crate::run::shell_command(self.call, name, &read, &process::stdout())
                .map_err(Failure::Message)?;
            let writer = BufWriter::with_capacity(BUFFER_BYTES, Stream(write));
            return Ok(Open::Writer(Box::new(writer), Some(child)));
        }
        let mut options = OpenOptions::new();
        match how {
            Redirect::Append => options.append(true).create(true),
            _ => options.write(true).create(true).truncate(true),
        };
        let file = options.open(self.call.path(name));
        let file =
            file.map_err(|err| Failure::Message(format!("can't open '{name}': {}", reason(&err))))?;
        Ok(Open::Writer(Box::new(BufWriter::new(file)), None))
    }

    /// The reader of a file or a command; `None` if it cannot be opened.
    pub fn reader(&mut self, name: &str, command: bool) -> Result<Option<&mut Reader>, Failure> {
        let place = match self.place(name, |open| matches!(open, Open::Reader(..))) {
            Some(place) => place,
            None if command => {
                self.flush(None)?;
                let (read, write) =
                    process::pipe().map_err(|err| Failure::Message(err.to_string()))?;
                let child = crate::run::shell_command(self.call, name, &process::stdin(), &write)
                    .map_err(Failure::Message)?;
                let reader = Reader::new(Input::of(Stream(read)));
                self.open.push((name.to_owned(), Open::Reader(reader, Some(child))));
                self.open.len() - 1
            }
            None => {
                let name = if name == "/dev/stdin" { "-" } else { name };
                let Ok(input) = self.call.try_open(name) else { return Ok(None) };
                self.open.push((name.to_owned(), Open::Reader(Reader::new(input), None)));
                self.open.len() - 1
            }
        };
        match &mut self.open[place].1 {
            Open::Reader(reader, _) => Ok(Some(reader)),
            Open::Writer(..) => Ok(None),
        }
    }

    /// Writes out what was printed: all of it, or to one target; whether there is that one.
    pub fn flush(&mut self, name: Option<&str>) -> Result<bool, Failure> {
        let mut found = name.is_none();
        if name.is_none_or(|name| name == "/dev/stdout") {
            self.out.flush()?;
            found = true;
        }
        for (known, open) in &mut self.open {
            if let Open::Writer(writer, _) = open
                && name.is_none_or(|name| name == known)
            {
                writer.flush()?;
                found = true;
            }
        }
        Ok(found)
    }

    /// The exit code of what was closed; -1 if nothing had this name.
    pub fn close(&mut self, name: &str) -> Result<i32, Failure> {
        let Some(place) = self.open.iter().position(|(known, _)| known == name) else {
            return Ok(-1);
        };
        self.out.flush()?;
        let (_, open) = self.open.remove(place);
        let (written, child) = match open {
            Open::Writer(mut writer, child) => (writer.flush(), child),
            // Its pipe is closed here, which ends what still writes into it.
            Open::Reader(_, child) => (Ok(()), child),
        };
        let code = child.map_or(0, |child| child.wait());
        Ok(if written.is_err() { -1 } else { code })
    }

    pub fn close_all(&mut self) -> Result<(), Failure> {
        self.out.flush()?;
        while let Some((name, _)) = self.open.first() {
            let name = name.clone();
            self.close(&name)?;
        }
        Ok(())
    }

    /// `system`
    pub fn system(&mut self, command: &str) -> Result<i32, Failure> {
        self.flush(None)?;
        let child =
            crate::run::shell_command(self.call, command, &process::stdin(), &process::stdout());
        Ok(child.map_err(Failure::Message)?.wait())
    }
}
