//! What the operating system is asked about processes: a small `cfg` island.

use std::io;
use std::process::Command;

use tokio::sync::watch;

/// Asks a sampan process to stop in order (SIGTERM).
#[cfg(unix)]
pub fn request_stop(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("not a process id"))?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
}

/// Ends a sampan process. Windows has no SIGTERM; state on disk is safe at any moment.
#[cfg(not(unix))]
pub fn request_stop(pid: u32) -> io::Result<()> {
    let status =
        std::process::Command::new("taskkill").args(["/F", "/PID", &pid.to_string()]).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("taskkill answered {status}")))
    }
}

/// Raises the limit on open files as far as allowed: macOS gives 256, a node of many Pods needs more.
#[cfg(unix)]
pub fn raise_open_files_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // macOS refuses "unlimited" here, and more than OPEN_MAX.
    let wanted = limit.maximum.unwrap_or(1 << 20).min(1 << 20);
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    if limit.current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, wanted, "Could not raise the limit on open files");
    }
}

#[cfg(not(unix))]
pub fn raise_open_files_limit() {}

/// How many files, sockets among them, this process may hold open; `None` without a limit.
#[cfg(unix)]
pub(super) fn open_files_max() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
pub(super) fn open_files_max() -> Option<u64> {
    None
}

/// Makes a child outlive its parent's terminal: ^C there does not reach it.
#[cfg(unix)]
pub fn detach(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(windows)]
pub fn detach(command: &mut Command) {
    /// `DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP` of `winbase.h`.
    const DETACHED: u32 = 0x0000_0008 | 0x0000_0200;
    std::os::windows::process::CommandExt::creation_flags(command, DETACHED);
}

/// The requests to stop that this process gets: SIGINT and SIGTERM, or Ctrl-C.
#[derive(Debug)]
pub struct Signals {
    count_rx: watch::Receiver<u32>,
}

impl Signals {
    /// Listens from now on; the signals no longer end the process by themselves.
    pub fn new() -> io::Result<Self> {
        let (count_tx, count_rx) = watch::channel(0);
        let mut stop_requests = StopRequests::new()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "lives as long as the process, beyond any tracker"
        )]
        tokio::spawn(async move {
            while stop_requests.next().await {
                count_tx.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count_rx })
    }

    /// Waits for the first request: stop in order.
    pub async fn first(&self) {
        self.reached(1).await;
    }

    /// Waits for the second request: stop at once.
    pub async fn second(&self) {
        self.reached(2).await;
    }

    async fn reached(&self, wanted: u32) {
        if self.count_rx.clone().wait_for(|count| *count >= wanted).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct StopRequests {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopRequests {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> bool {
        tokio::select! {
            it = self.interrupt.recv() => it.is_some(),
            it = self.terminate.recv() => it.is_some(),
        }
    }
}

#[cfg(not(unix))]
struct StopRequests;

#[cfg(not(unix))]
impl StopRequests {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
