//! sampan:process: how a guest of one of our images opens handles and starts other programs.

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::I32Exit;

use super::super::container::{Child, Launch, LimitReached, Shared};
use super::super::description::{Description, Error as DescriptionError};
use super::super::pipe::pipe;
use super::super::process::Process;
use super::super::program::find;
use super::super::{Exit, StartError};
use crate::node::files::{Error as FileError, Follow, OpenOptions, Opened, Place};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wasm-workloads/wit/process.wit",
        world: "sampan:process/program",
        imports: {
            "sampan:process/io.[method]handle.read": async | trappable,
            "sampan:process/io.[method]handle.write": async | trappable,
            "sampan:process/process.[method]child.wait": async | trappable,
            "sampan:process/process.spawn": async | trappable,
            default: trappable,
        },
        with: {
            "sampan:process/io.handle": super::Handle,
            "sampan:process/process.child": super::ChildResource,
        },
    });
}

use bindings::sampan::process::{io, process};

/// One reference to an open file description.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Handle(Arc<Description>);

/// A process that this one started.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct ChildResource(Child);

pub(super) fn add_to_linker(linker: &mut Linker<Process>) -> wasmtime::Result<()> {
    io::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)?;
    process::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)
}

impl Process {
    fn handle(&self, handle: &Resource<Handle>) -> wasmtime::Result<Arc<Description>> {
        Ok(self.table.get(handle)?.0.clone())
    }

    /// `Err(limit)` if this process holds too many already.
    fn new_handle(&mut self, description: Arc<Description>) -> Result<Resource<Handle>, io::Error> {
        self.table.push(Handle(description)).map_err(|_| io::Error::Limit)
    }
}

/// Free of the store: its data cannot be shared across an await.
async fn try_spawn(
    container: Arc<Shared>,
    command: process::Command,
    [stdin, stdout, stderr]: [Arc<Description>; 3],
) -> Result<Child, process::SpawnError> {
    let working_place = container.root.locate(&Place::root(), &command.cwd, Follow::Yes);
    let (working_place, ..) =
        working_place.map_err(|error| process::SpawnError::Other(error.to_string()))?;
    let found = find::at(&container.root, &working_place, &command.program)?;
    let (program, argv) = container.load(found, command.args).await?;
    let launch = Launch {
        argv,
        env: command.env,
        working_dir: command.cwd,
        working_place,
        stdin,
        stdout,
        stderr,
        state: command.state,
    };
    container.spawn(program, launch).map_err(|error| match error {
        LimitReached::Processes | LimitReached::Instances => process::SpawnError::Limit,
    })
}

impl io::Host for Process {
    fn open(
        &mut self,
        path: String,
        mode: io::OpenMode,
    ) -> wasmtime::Result<Result<Resource<Handle>, io::Error>> {
        let opened = self.container.root.open(&Place::root(), &path, options(mode));
        let description = match opened {
            Ok(Opened::File(file)) => {
                Arc::new(Description::file(file, matches!(mode, io::OpenMode::Append)))
            }
            Ok(Opened::Device(device)) => self.device(device),
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
        Ok(description.read(len).await.map(Vec::from).map_err(error))
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
        // Terminals come with `exec -t`; until then nothing is one.
        self.handle(&handle).map(|_| false)
    }

    fn drop(&mut self, handle: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl process::Host for Process {
    async fn spawn(
        &mut self,
        command: process::Command,
        stdin: Resource<Handle>,
        stdout: Resource<Handle>,
        stderr: Resource<Handle>,
    ) -> wasmtime::Result<Result<Resource<ChildResource>, process::SpawnError>> {
        let streams = [self.handle(&stdin)?, self.handle(&stdout)?, self.handle(&stderr)?];
        let child = match try_spawn(self.container.clone(), command, streams).await {
            Ok(child) => child,
            Err(error) => return Ok(Err(error)),
        };
        let kill = child.kill.clone();
        Ok(self.table.push(ChildResource(child)).map_err(|_| {
            kill.kill(9);
            process::SpawnError::Limit
        }))
    }

    fn state(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.state.clone())
    }

    fn pid(&mut self) -> wasmtime::Result<u32> {
        Ok(self.pid)
    }

    fn exit(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(I32Exit(code.into()).into())
    }
}

impl process::HostChild for Process {
    fn pid(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&child)?.0.pid)
    }

    async fn wait(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<i32> {
        let child = self.table.get(&child)?.0.clone();
        Ok(child.wait().await.code)
    }

    fn try_wait(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<Option<i32>> {
        Ok(self.table.get(&child)?.0.try_wait().map(|Exit { code, .. }| code))
    }

    fn kill(&mut self, child: Resource<ChildResource>, signal: u8) -> wasmtime::Result<()> {
        self.table.get(&child)?.0.kill.kill(signal.clamp(1, 64));
        Ok(())
    }

    fn drop(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<()> {
        // It goes on in the background, and ends with the container.
        self.table.delete(child)?;
        Ok(())
    }
}

impl From<StartError> for process::SpawnError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::NotFound(_) => Self::NotFound,
            StartError::NotExecutable(text) => Self::NotExecutable(text),
            StartError::Host(text) => Self::Other(text),
        }
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

fn error(error: DescriptionError) -> io::Error {
    match error {
        DescriptionError::BrokenPipe => io::Error::BrokenPipe,
        DescriptionError::File(error) => file_error(error),
    }
}

fn file_error(error: FileError) -> io::Error {
    match error {
        FileError::NotFound => io::Error::NotFound,
        FileError::Exists => io::Error::Exists,
        FileError::IsDirectory => io::Error::IsDirectory,
        FileError::NotDirectory => io::Error::NotDirectory,
        FileError::Access | FileError::NotPermitted => io::Error::Access,
        FileError::NoSpace | FileError::Quota => io::Error::NoSpace,
        other => io::Error::Other(other.to_string()),
    }
}
