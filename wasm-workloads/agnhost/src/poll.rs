//! poll(2): waiting for several sockets at once.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// A socket and what to wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interest {
    pub(crate) fd: RawFd,
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) fn read(socket: &impl AsRawFd) -> Self {
        Self { fd: socket.as_raw_fd(), write: false }
    }

    pub(crate) fn write(socket: &impl AsRawFd) -> Self {
        Self { fd: socket.as_raw_fd(), write: true }
    }
}

/// Waits until one of these can go on, or so long; an error or an end counts as going on. Answers
/// for each whether it can.
pub(crate) fn poll(interests: &[Interest], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut fds: Vec<libc::pollfd> = interests
        .iter()
        .map(|interest| libc::pollfd {
            fd: interest.fd,
            events: if interest.write { libc::POLLOUT } else { libc::POLLIN },
            revents: 0,
        })
        .collect();
    // Rounded up, so that a time is over when the wait for it is.
    let timeout = timeout.map_or(-1, |timeout| {
        i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    });
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(libc::nfds_t::MAX);
    // SAFETY: `fds` is `count` initialised values, exclusively borrowed for the call.
    #[expect(unsafe_code, reason = "the standard library has no poll")]
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), count, timeout) };
    if ready < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fds.iter().map(|fd| fd.revents != 0).collect())
}
