//! Open files, pipe ends and standard streams as handles.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Resource;

use super::Handle;
use super::wit::io;
use crate::node::files::{Error as FileError, OpenOptions, Opened, Place};
use crate::node::runtime::description::{Description, Error};
use crate::node::runtime::pipe::pipe;
use crate::node::runtime::process::Process;

impl io::Host for Process {
    fn open(
        &mut self,
        path: String,
        mode: io::OpenMode,
    ) -> wasmtime::Result<Result<Resource<Handle>, io::Error>> {
        let opened = self.root.open(&Place::root(), &path, options(mode));
        let description = match opened {
            Ok(Opened::File(file)) => {
                Arc::new(Description::file(file, matches!(mode, io::OpenMode::Append)))
            }
            Ok(Opened::Device(device)) => match self.device(device) {
                Ok(description) => description,
                Err(error) => return Ok(Err(file_error(error))),
            },
            Ok(Opened::Directory(_)) => return Ok(Err(io::Error::IsDirectory)),
            Err(error) => return Ok(Err(file_error(error))),
        };
        Ok(self.new_handle(description))
    }

    fn pipe(
        &mut self,
    ) -> wasmtime::Result<Result<(Resource<Handle>, Resource<Handle>), io::Error>> {
        let (reader, writer) = pipe();
        let reader = match self.new_handle(Arc::new(Description::PipeReader(reader))) {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error)),
        };
        match self.new_handle(Arc::new(Description::PipeWriter(writer))) {
            Ok(writer) => Ok(Ok((reader, writer))),
            Err(error) => {
                self.table.delete(reader)?;
                Ok(Err(error))
            }
        }
    }

    fn stdin(&mut self) -> wasmtime::Result<Resource<Handle>> {
        Ok(self.table.push(Handle(self.stdin.clone()))?)
    }

    fn stdout(&mut self) -> wasmtime::Result<Resource<Handle>> {
        Ok(self.table.push(Handle(self.stdout.clone()))?)
    }

    fn stderr(&mut self) -> wasmtime::Result<Resource<Handle>> {
        Ok(self.table.push(Handle(self.stderr.clone()))?)
    }

    fn null(&mut self) -> wasmtime::Result<Resource<Handle>> {
        Ok(self.table.push(Handle(Arc::new(Description::Null)))?)
    }
}

impl io::HostHandle for Process {
    async fn read(
        &mut self,
        handle: Resource<Handle>,
        len: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, io::Error>> {
        let description = self.handle(&handle)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        loop {
            match description.try_read(len) {
                Ok(Some(bytes)) => return Ok(Ok(bytes.into())),
                Ok(None) => {}
                Err(failed) => return Ok(Err(error(failed))),
            }
            tokio::select! {
                biased;
                () = self.entry.signals.caught() => return Ok(Err(io::Error::Interrupted)),
                () = description.readable() => {}
            }
        }
    }

    async fn write(
        &mut self,
        handle: Resource<Handle>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), io::Error>> {
        Ok(self.handle(&handle)?.write(&bytes).await.map_err(error))
    }

    fn duplicate(&mut self, handle: Resource<Handle>) -> wasmtime::Result<Resource<Handle>> {
        let description = self.handle(&handle)?;
        Ok(self.table.push(Handle(description))?)
    }

    fn is_terminal(&mut self, handle: Resource<Handle>) -> wasmtime::Result<bool> {
        Ok(self.handle(&handle)?.terminal().is_some())
    }

    async fn wait_readable(
        &mut self,
        handle: Resource<Handle>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<bool, io::Error>> {
        let description = self.handle(&handle)?;
        let timeout = Duration::from_millis(timeout_ms.into());
        let readable = tokio::select! {
            biased;
            () = description.readable() => Ok(true),
            () = self.entry.signals.caught() => Err(io::Error::Interrupted),
            () = self.clock().sleep(timeout) => Ok(false),
        };
        Ok(readable)
    }

    fn drop(&mut self, handle: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

fn options(mode: io::OpenMode) -> OpenOptions {
    let write = OpenOptions { write: true, create: true, ..OpenOptions::default() };
    match mode {
        io::OpenMode::Read => OpenOptions { read: true, ..OpenOptions::default() },
        io::OpenMode::Write => OpenOptions { truncate: true, ..write },
        io::OpenMode::Append => write,
        io::OpenMode::WriteNew => OpenOptions { exclusive: true, ..write },
        io::OpenMode::ReadWrite => OpenOptions { read: true, ..write },
    }
}

fn error(error: Error) -> io::Error {
    match error {
        Error::BrokenPipe => io::Error::BrokenPipe,
        Error::File(error) => file_error(error),
    }
}

pub(super) fn file_error(error: FileError) -> io::Error {
    match error {
        FileError::NotFound => io::Error::NotFound,
        FileError::Exists => io::Error::Exists,
        FileError::IsDirectory => io::Error::IsDirectory,
        FileError::NotDirectory => io::Error::NotDirectory,
        FileError::Access | FileError::NotPermitted => io::Error::Access,
        FileError::NoSpace | FileError::Quota => io::Error::NoSpace,
        other => io::Error::Other(capitalised(&other.to_string())),
    }
}

/// As the C library words errors.
fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}", first.to_uppercase())
}
