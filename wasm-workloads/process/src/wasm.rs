//! The host's interfaces.

use crate::{Command, Error, OpenMode, SpawnError};

#[allow(clippy::all, unsafe_code, unused_qualifications, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "program", generate_all });
}

use bindings::sampan::process::{io, process};
pub(crate) use bindings::sampan::process::{signals, system, terminal};

/// An open file description; clones share its position.
#[derive(Debug)]
pub struct Handle(pub(crate) io::Handle);

impl Handle {
    /// Waits until there is something; nothing is the end. At most 64 KiB at a time.
    pub fn read(&self, len: u32) -> Result<Vec<u8>, Error> {
        self.0.read(len).map_err(error)
    }

    /// Waits until everything is taken.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(bytes).map_err(error)
    }

    pub fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }

    /// Waits until a read would answer at once, at most so many milliseconds; whether it would.
    pub fn wait_readable(&self, timeout_ms: u32) -> Result<bool, Error> {
        self.0.wait_readable(timeout_ms).map_err(error)
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self(self.0.duplicate())
    }
}

/// Opens an absolute path.
pub fn open(path: &str, mode: OpenMode) -> Result<Handle, Error> {
    let mode = match mode {
        OpenMode::Read => io::OpenMode::Read,
        OpenMode::Write => io::OpenMode::Write,
        OpenMode::Append => io::OpenMode::Append,
        OpenMode::WriteNew => io::OpenMode::WriteNew,
        OpenMode::ReadWrite => io::OpenMode::ReadWrite,
    };
    io::open(path, mode).map(Handle).map_err(error)
}

/// The reading and the writing end of a new pipe of 64 KiB.
pub fn pipe() -> Result<(Handle, Handle), Error> {
    io::pipe().map(|(read, write)| (Handle(read), Handle(write))).map_err(error)
}

pub fn stdin() -> Handle {
    Handle(io::stdin())
}

pub fn stdout() -> Handle {
    Handle(io::stdout())
}

pub fn stderr() -> Handle {
    Handle(io::stderr())
}

pub fn null() -> Handle {
    Handle(io::null())
}

/// A started program. Dropping it does not end it.
#[derive(Debug)]
pub struct Child(process::Child);

impl Child {
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// The exit code, 128+n for a kill by signal n; the same answer each time.
    pub fn wait(&self) -> i32 {
        self.0.wait()
    }

    /// The same, but a caught signal ends the wait: nothing.
    pub fn wait_or_signal(&self) -> Option<i32> {
        self.0.wait_or_signal()
    }

    pub fn try_wait(&self) -> Option<i32> {
        self.0.try_wait()
    }

    pub fn kill(&self, signal: u8) {
        self.0.kill(signal);
    }
}

/// Starts a program with these three streams and the command's others.
pub fn spawn(
    command: Command,
    stdin: &Handle,
    stdout: &Handle,
    stderr: &Handle,
) -> Result<Child, SpawnError> {
    let others: Vec<_> = command.others.iter().map(|(fd, handle)| (*fd, &handle.0)).collect();
    let command = process::Command {
        program: command.program,
        args: command.args,
        env: command.env,
        cwd: command.cwd,
        state: command.state,
        group: command.group,
    };
    process::spawn(&command, &stdin.0, &stdout.0, &stderr.0, &others).map(Child).map_err(|err| {
        match err {
            process::SpawnError::NotFound => SpawnError::NotFound,
            process::SpawnError::NotExecutable(why) => SpawnError::NotExecutable(why),
            process::SpawnError::Limit => SpawnError::Limit,
            process::SpawnError::Other(why) => SpawnError::Other(why),
        }
    })
}

/// What the parent handed over.
pub fn state() -> Option<Vec<u8>> {
    process::state()
}

/// Streams beyond the three that the parent gave; nothing when asked again.
pub fn inherited() -> Vec<(u32, Handle)> {
    process::inherited().into_iter().map(|(fd, handle)| (fd, Handle(handle))).collect()
}

pub fn pid() -> u32 {
    process::pid()
}

/// 0 if this process was started from outside the container.
pub fn parent() -> u32 {
    process::parent()
}

/// The process group.
pub fn group() -> u32 {
    process::group()
}

/// Ends this process.
pub fn exit(code: u8) -> ! {
    process::exit(code);
    unreachable!("the host does not return from exit")
}

/// Where the running shell's own program lies.
pub fn own_program() -> String {
    "/bin/sh".to_owned()
}

pub(crate) fn error(err: io::Error) -> Error {
    match err {
        io::Error::NotFound => Error::NotFound,
        io::Error::Exists => Error::Exists,
        io::Error::IsDirectory => Error::IsDirectory,
        io::Error::NotDirectory => Error::NotDirectory,
        io::Error::Access => Error::Access,
        io::Error::NoSpace => Error::NoSpace,
        io::Error::BrokenPipe => Error::BrokenPipe,
        io::Error::Limit => Error::Limit,
        io::Error::Interrupted => Error::Interrupted,
        io::Error::Other(text) => Error::Other(text),
    }
}
