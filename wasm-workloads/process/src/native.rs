//! The same with the developer's own system (Unix): processes, pipes and files of the kernel.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{self, Stdio};
use std::rc::Rc;

use crate::{Command, Error, OpenMode, SpawnError};

/// Names the file that stands in for `command.state`.
const STATE: &str = "SAMPAN_SH_STATE";
/// Names the streams beyond the three, as `number=number here`.
const OTHERS: &str = "SAMPAN_SH_STREAMS";

/// An open file description; clones share its position.
#[derive(Debug, Clone)]
pub struct Handle(pub(crate) Rc<File>);

impl Handle {
    fn of(fd: &impl AsFd) -> Self {
        let fd = fd.as_fd().try_clone_to_owned();
        fd.map_or_else(|_| null(), |fd| Self(Rc::new(File::from(fd))))
    }

    /// Waits until there is something; nothing is the end.
    pub fn read(&self, len: u32) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len.min(65536) as usize];
        let n = (&*self.0).read(&mut bytes).map_err(|err| error(&err))?;
        bytes.truncate(n);
        Ok(bytes)
    }

    /// Waits until everything is taken.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        (&*self.0).write_all(bytes).map_err(|err| error(&err))
    }

    pub fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }

    /// Waits until a read would answer at once, at most so many milliseconds; whether it would.
    pub fn wait_readable(&self, timeout_ms: u32) -> Result<bool, Error> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&*self.0, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: i64::from(timeout_ms / 1000),
            tv_nsec: i64::from(timeout_ms % 1000) * 1_000_000,
        };
        poll(&mut fds, Some(&timeout)).map(|ready| ready > 0).map_err(|err| error(&err.into()))
    }

    fn stdio(&self) -> Stdio {
        self.0.try_clone().map_or_else(|_| Stdio::null(), Stdio::from)
    }
}

/// Opens an absolute path.
pub fn open(path: &str, mode: OpenMode) -> Result<Handle, Error> {
    let mut options = OpenOptions::new();
    match mode {
        OpenMode::Read => options.read(true),
        OpenMode::Write => options.write(true).create(true).truncate(true),
        OpenMode::Append => options.append(true).create(true),
        OpenMode::WriteNew => options.write(true).create_new(true),
        OpenMode::ReadWrite => options.read(true).write(true).create(true).truncate(false),
    };
    options.open(path).map(|file| Handle(Rc::new(file))).map_err(|err| error(&err))
}

/// The reading and the writing end of a new pipe.
pub fn pipe() -> Result<(Handle, Handle), Error> {
    let (read, write) = io::pipe().map_err(|err| error(&err))?;
    let handle = |fd: OwnedFd| Handle(Rc::new(File::from(fd)));
    Ok((handle(read.into()), handle(write.into())))
}

pub fn stdin() -> Handle {
    Handle::of(&io::stdin())
}

pub fn stdout() -> Handle {
    Handle::of(&io::stdout())
}

pub fn stderr() -> Handle {
    Handle::of(&io::stderr())
}

pub fn null() -> Handle {
    open("/dev/null", OpenMode::ReadWrite).expect("Unix has a null device")
}

/// A started program. Dropping it does not end it.
#[derive(Debug)]
pub struct Child(RefCell<process::Child>);

impl Child {
    pub fn pid(&self) -> u32 {
        self.0.borrow().id()
    }

    /// The exit code, 128+n for a kill by signal n; the same answer each time.
    pub fn wait(&self) -> i32 {
        self.0.borrow_mut().wait().map_or(127, code)
    }

    /// The same: signals cannot be caught here.
    pub fn wait_or_signal(&self) -> Option<i32> {
        Some(self.wait())
    }

    pub fn try_wait(&self) -> Option<i32> {
        self.0.borrow_mut().try_wait().ok().flatten().map(code)
    }

    pub fn kill(&self, signal: u8) {
        // Only SIGKILL is to be had without `unsafe`; a plain kill(1) does the others.
        let pid = self.pid().to_string();
        let sent = process::Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        if !sent.is_ok_and(|status| status.success()) {
            let _ = self.0.borrow_mut().kill();
        }
    }
}

fn code(status: process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Starts a program with these three streams.
pub fn spawn(
    command: Command,
    stdin: &Handle,
    stdout: &Handle,
    stderr: &Handle,
) -> Result<Child, SpawnError> {
    use std::os::unix::process::CommandExt;
    let mut child = process::Command::new(&command.program);
    if let Some((name, rest)) = command.args.split_first() {
        child.arg0(name).args(rest);
    }
    child.env_clear().envs(command.env).current_dir(&command.cwd);
    child.stdin(stdin.stdio()).stdout(stdout.stdio()).stderr(stderr.stdio());
    if let Some(group) = command.group {
        child.process_group(group as i32);
    }
    let lent = lend(&command.others).map_err(|err| SpawnError::Other(err.to_string()))?;
    child.env(
        OTHERS,
        lent.iter().map(|(fd, at)| format!("{fd}={} ", at.as_raw_fd())).collect::<String>(),
    );
    if let Some(state) = command.state {
        let path = keep(&state).map_err(|err| SpawnError::Other(err.to_string()))?;
        child.env(STATE, path);
    }
    child.spawn().map(|child| Child(RefCell::new(child))).map_err(|err| match err.kind() {
        ErrorKind::NotFound => SpawnError::NotFound,
        _ => SpawnError::NotExecutable(error(&err).to_string()),
    })
}

/// Duplicates that a child inherits under the numbers they have here.
fn lend(others: &[(u32, Handle)]) -> io::Result<Vec<(u32, OwnedFd)>> {
    let lend = |(fd, handle): &(u32, Handle)| {
        let duplicate = handle.0.as_fd().try_clone_to_owned()?;
        rustix::io::fcntl_setfd(&duplicate, rustix::io::FdFlags::empty())?;
        Ok((*fd, duplicate))
    };
    others.iter().map(lend).collect()
}

/// Streams beyond the three that the parent gave. A file's position is not shared here.
pub fn inherited() -> Vec<(u32, Handle)> {
    let names = std::env::var(OTHERS).unwrap_or_default();
    let open = |name: &str| {
        let (fd, at) = name.split_once('=')?;
        let path = format!("/dev/fd/{at}");
        let handle =
            [OpenMode::Append, OpenMode::Read].into_iter().find_map(|mode| open(&path, mode).ok());
        Some((fd.parse().ok()?, handle?))
    };
    names.split_whitespace().filter_map(open).collect()
}

fn keep(state: &[u8]) -> io::Result<String> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("sampan-sh-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, state)?;
    Ok(path.to_string_lossy().into_owned())
}

/// What the parent handed over.
pub fn state() -> Option<Vec<u8>> {
    let path = std::env::var_os(STATE)?;
    let state = std::fs::read(&path).ok();
    let _ = std::fs::remove_file(&path);
    state
}

pub fn pid() -> u32 {
    process::id()
}

pub fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// The process group.
pub fn group() -> u32 {
    rustix::process::getpgrp().as_raw_nonzero().get() as u32
}

/// Ends this process.
pub fn exit(code: u8) -> ! {
    process::exit(i32::from(code))
}

/// Where the running shell's own program lies.
pub fn own_program() -> String {
    std::env::current_exe()
        .map_or_else(|_| "/bin/sh".to_owned(), |path| path.to_string_lossy().into_owned())
}

fn error(err: &io::Error) -> Error {
    match err.kind() {
        ErrorKind::NotFound => Error::NotFound,
        ErrorKind::AlreadyExists => Error::Exists,
        ErrorKind::IsADirectory => Error::IsDirectory,
        ErrorKind::NotADirectory => Error::NotDirectory,
        ErrorKind::PermissionDenied => Error::Access,
        ErrorKind::StorageFull => Error::NoSpace,
        ErrorKind::BrokenPipe => Error::BrokenPipe,
        _ => Error::Other(err.to_string()),
    }
}
