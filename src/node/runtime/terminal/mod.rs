//! Terminals: a user's keyboard and screen at one end, a session of processes at the other.
//!
//! ```text
//! keys ── discipline ──> lines, or keys in raw mode ──> whoever reads
//!             │ ^C: signal for the foreground group
//!             └ echo ─┐
//! screen <────────────┴─ newlines with returns <─────── whoever writes
//! ```

mod discipline;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Weak;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, watch};

use self::discipline::Discipline;
pub(super) use self::discipline::Modes;
use super::container::Shared;
use super::description::{CHUNK_BYTES_MAX, Description, Error};
use super::notice::wait_until;
use super::signals::WINDOW;
use crate::client::node_api::{BoxRead, TerminalSize};

/// Bound: keys taken from the user at a time.
const KEYS_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Terminal {
    /// Locked while something is shown, too: so that echo and output keep their order.
    discipline: Mutex<Discipline>,
    /// Told when there is something to read.
    typed: Notify,
    /// Told when something was read.
    drained: Notify,
    /// Told when there is an echo to be written out.
    echoed: Notify,
    screen: Description,
    size: Mutex<TerminalSize>,
    /// The process group that ^C reaches; 0: none yet.
    foreground: AtomicU32,
    container: Weak<Shared>,
}

/// Who types, and in what window.
pub(super) struct Pump {
    pub(super) keyboard: Option<BoxRead>,
    pub(super) size_rx: watch::Receiver<TerminalSize>,
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}

impl Terminal {
    pub(super) fn new(screen: Description, size: TerminalSize, container: Weak<Shared>) -> Self {
        Self {
            discipline: Mutex::default(),
            typed: Notify::new(),
            drained: Notify::new(),
            echoed: Notify::new(),
            screen,
            size: Mutex::new(size),
            foreground: AtomicU32::new(0),
            container,
        }
    }

    /// Carries keys, their echo and window sizes, until this is dropped.
    pub(super) async fn pump(&self, pump: Pump) {
        let Pump { keyboard, mut size_rx } = pump;
        let keys = async {
            if let Some(keyboard) = keyboard {
                self.take_keys(keyboard).await;
            }
        };
        let sizes = async {
            while size_rx.changed().await.is_ok() {
                self.set_size(*size_rx.borrow_and_update());
            }
        };
        // Apart from the keys: a user whose screen is stuck can still type ^C.
        let echo = async {
            loop {
                self.echoed.notified().await;
                self.flush().await;
            }
        };
        tokio::join!(keys, sizes, echo);
    }

    async fn take_keys(&self, mut keyboard: BoxRead) {
        let mut keys = vec![0; KEYS_MAX];
        loop {
            wait_until(&self.drained, || self.discipline.lock().has_room()).await;
            match keyboard.read(&mut keys).await {
                Ok(len @ 1..) => self.type_in(&keys[..len]),
                // Who types is gone, or closed the keyboard.
                Ok(0) | Err(_) => break,
            }
        }
        self.discipline.lock().end_input();
        self.typed.notify_waiters();
    }

    fn type_in(&self, keys: &[u8]) {
        let signals = {
            let mut discipline = self.discipline.lock();
            let typed = discipline.type_in(keys);
            // A user who does not look at the screen has no need of an echo.
            if !typed.echo.is_empty() && self.screen.room().is_ok_and(|room| room > 0) {
                let _ = self.screen.put(&typed.echo);
            }
            typed.signals
        };
        for signal in signals {
            self.signal(signal);
        }
        self.typed.notify_waiters();
        self.echoed.notify_one();
    }

    /// To the foreground group.
    fn signal(&self, signal: u8) {
        let group = self.foreground.load(Ordering::Relaxed);
        if let Some(container) = self.container.upgrade().filter(|_| group != 0) {
            container.processes.signal_group(group, signal);
        }
    }

    /// `None` if there is nothing yet; empty at an end.
    pub(super) fn try_read(&self, len: usize) -> Option<Bytes> {
        let read = self.discipline.lock().read(len)?;
        self.drained.notify_waiters();
        Some(read)
    }

    /// Until [`Terminal::try_read`] has an answer.
    pub(super) async fn readable(&self) {
        wait_until(&self.typed, || self.discipline.lock().is_readable()).await;
    }

    /// How many bytes a write may have that is to be taken at once; 0: wait.
    pub(super) fn room(&self) -> Result<usize, Error> {
        self.screen.room()
    }

    /// Takes some of the bytes, without waiting.
    pub(super) fn try_write(&self, bytes: &[u8]) -> Result<usize, Error> {
        if self.screen.room()? == 0 {
            return Ok(0);
        }
        let bytes = &bytes[..bytes.len().min(CHUNK_BYTES_MAX)];
        self.put(bytes)?;
        Ok(bytes.len())
    }

    /// Takes all of the bytes.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut discipline = self.discipline.lock();
        let shown = discipline.show(bytes);
        self.screen.put(&shown)
    }

    /// Until there is room on the screen.
    pub(super) async fn writable(&self, len: usize) {
        // Boxed: a screen is a description, which may be a terminal, which has a screen.
        Box::pin(self.screen.writable(len)).await;
    }

    pub(super) async fn flush(&self) {
        Box::pin(self.screen.flush()).await;
    }

    pub(super) fn modes(&self) -> Modes {
        self.discipline.lock().modes()
    }

    pub(super) fn set_modes(&self, modes: Modes) {
        self.discipline.lock().set_modes(modes);
        self.typed.notify_waiters();
    }

    pub(super) fn flush_input(&self) {
        self.discipline.lock().flush_input();
        self.drained.notify_waiters();
    }

    pub(super) fn size(&self) -> TerminalSize {
        *self.size.lock()
    }

    /// Tells the foreground group, also if the size is the same: attaching anew asks for a redraw so.
    pub(super) fn set_size(&self, size: TerminalSize) {
        *self.size.lock() = size;
        self.signal(WINDOW);
    }

    pub(super) fn foreground(&self) -> u32 {
        self.foreground.load(Ordering::Relaxed)
    }

    pub(super) fn set_foreground(&self, group: u32) {
        self.foreground.store(group, Ordering::Relaxed);
    }
}
