//! Starting other programs of the container, and waiting for them.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::I32Exit;

use super::wit::process;
use super::{ChildResource, Handle};
use crate::node::files::{Follow, Place, Root};
use crate::node::runtime::container::{Child, Kinship, Launch, LimitReached, Shared};
use crate::node::runtime::description::Description;
use crate::node::runtime::process::Process;
use crate::node::runtime::processes::Entry;
use crate::node::runtime::program::find;
use crate::node::runtime::{Exit, StartError};

/// The streams a child gets.
struct Given {
    standard: [Arc<Description>; 3],
    others: Vec<(u32, Arc<Description>)>,
}

/// Free of the store: its data cannot be shared across an await.
async fn try_spawn(
    container: Arc<Shared>,
    root: Arc<Root>,
    parent: Arc<Entry>,
    command: process::Command,
    streams: Given,
) -> Result<Child, process::SpawnError> {
    let working_place = root.locate(&Place::root(), &command.cwd, Follow::Yes);
    let (working_place, ..) =
        working_place.map_err(|error| process::SpawnError::Other(error.to_string()))?;
    let found = find::at(&root, &working_place, &command.program)?;
    let (program, argv) = container.load(&root, found, command.args).await?;
    let [stdin, stdout, stderr] = streams.standard;
    let launch = Launch {
        argv,
        env: command.env,
        root,
        working_dir: command.cwd,
        working_place,
        stdin,
        stdout,
        stderr,
        others: streams.others,
        state: command.state,
        ready: None,
        kinship: Kinship {
            parent: parent.pid,
            group: command
                .group
                .map_or(Some(parent.group), |group| Some(group).filter(|it| *it != 0)),
            terminal: parent.terminal.clone(),
            ignored: parent.signals.ignored(),
        },
    };
    container.spawn(program, launch).map_err(|error| match error {
        LimitReached::Processes | LimitReached::Instances => process::SpawnError::Limit,
    })
}

impl process::Host for Process {
    async fn spawn(
        &mut self,
        command: process::Command,
        stdin: Resource<Handle>,
        stdout: Resource<Handle>,
        stderr: Resource<Handle>,
        others: Vec<(u32, Resource<Handle>)>,
    ) -> wasmtime::Result<Result<Resource<ChildResource>, process::SpawnError>> {
        let others = others.iter().map(|(fd, handle)| Ok((*fd, self.handle(handle)?)));
        let streams = Given {
            standard: [self.handle(&stdin)?, self.handle(&stdout)?, self.handle(&stderr)?],
            others: others.collect::<wasmtime::Result<_>>()?,
        };
        let parent = self.entry.clone();
        let (container, root) = (self.container.clone(), self.root.clone());
        let child = match try_spawn(container, root, parent, command, streams).await {
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

    fn inherited(&mut self) -> wasmtime::Result<Vec<(u32, Resource<Handle>)>> {
        let others = std::mem::take(&mut self.others);
        let handles =
            others.into_iter().map(|(fd, stream)| Ok((fd, self.table.push(Handle(stream))?)));
        handles.collect()
    }

    fn pid(&mut self) -> wasmtime::Result<u32> {
        Ok(self.entry.pid)
    }

    fn parent(&mut self) -> wasmtime::Result<u32> {
        Ok(self.entry.parent)
    }

    fn group(&mut self) -> wasmtime::Result<u32> {
        Ok(self.entry.group)
    }

    fn exit(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(I32Exit(code.into()).into())
    }
}

impl process::HostChild for Process {
    fn pid(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&child)?.0.entry.pid)
    }

    async fn wait(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<i32> {
        let child = self.table.get(&child)?.0.clone();
        Ok(child.wait().await.code)
    }

    async fn wait_or_signal(
        &mut self,
        child: Resource<ChildResource>,
    ) -> wasmtime::Result<Option<i32>> {
        let child = self.table.get(&child)?.0.clone();
        let code = tokio::select! {
            biased;
            exit = child.wait() => Some(exit.code),
            () = self.entry.signals.caught() => None,
        };
        Ok(code)
    }

    fn try_wait(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<Option<i32>> {
        Ok(self.table.get(&child)?.0.try_wait().map(|Exit { code, .. }| code))
    }

    fn kill(&mut self, child: Resource<ChildResource>, signal: u8) -> wasmtime::Result<()> {
        self.table.get(&child)?.0.entry.signals.deliver(signal);
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
