//! Where a Pod accepts connections.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use parking_lot::Mutex;

use super::connections::Slot;
use super::pod::Pod;
use super::wakers::Wakers;
use super::{Error, Stream};

/// Connections that may wait to be accepted, unless the listener says otherwise; Linux' `somaxconn`.
pub const BACKLOG_DEFAULT: usize = 4096;

/// A bound socket of a Pod, listening or about to; its port is free again when it is dropped.
#[derive(Debug)]
pub struct Listener {
    local: SocketAddr,
    pub(super) backlog: Arc<Backlog>,
    pub(super) pod: Weak<Pod>,
    /// The Pod's account of open sockets.
    _slot: Slot,
}

/// Connections that wait to be accepted.
#[derive(Debug)]
pub(super) struct Backlog(Mutex<State>);

#[derive(Debug)]
struct State {
    waiting: VecDeque<Stream>,
    max: usize,
    listening: bool,
    closed: bool,
    acceptors: Wakers,
}

impl Listener {
    pub(super) fn new(
        local: SocketAddr,
        backlog: Arc<Backlog>,
        pod: Weak<Pod>,
        slot: Slot,
    ) -> Self {
        Self { local, backlog, pod, _slot: slot }
    }

    /// Takes connections from now on.
    pub fn start(&self) {
        self.backlog.0.lock().listening = true;
        if let Some(pod) = self.pod.upgrade() {
            pod.began_to_listen();
        }
    }

    /// With the port that was asked for or found.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// How many connections may wait; at least 1.
    pub fn set_backlog(&self, max: usize) {
        self.backlog.0.lock().max = max.clamp(1, BACKLOG_DEFAULT);
    }

    /// The next connection; `None` if none waits.
    ///
    /// # Errors
    /// [`Error::Down`] when the Pod's network is gone.
    pub fn try_accept(&self) -> Result<Option<Stream>, Error> {
        loop {
            let mut state = self.backlog.0.lock();
            let stream = match state.waiting.pop_front() {
                None if state.closed => return Err(Error::Down),
                None => return Ok(None),
                Some(stream) => stream,
            };
            drop(state);
            // One that cannot be waited for here is lost; the next one may be in luck.
            if let Ok(stream) = stream.settle() {
                return Ok(Some(stream));
            }
        }
    }

    /// Ready when [`Listener::try_accept`] would answer something.
    pub fn poll_acceptable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.backlog.0.lock();
        if state.closed || !state.waiting.is_empty() {
            return Poll::Ready(());
        }
        state.acceptors.register(cx);
        Poll::Pending
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// As [`Listener::try_accept`].
    pub async fn accept(&self) -> Result<Stream, Error> {
        loop {
            if let Some(stream) = self.try_accept()? {
                return Ok(stream);
            }
            std::future::poll_fn(|cx| self.poll_acceptable(cx)).await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(pod) = self.pod.upgrade() {
            pod.listeners.free(self.local.port(), &self.backlog);
        }
        self.backlog.close();
    }
}

impl Default for Backlog {
    fn default() -> Self {
        Self(Mutex::new(State {
            waiting: VecDeque::new(),
            max: BACKLOG_DEFAULT,
            listening: false,
            closed: false,
            acceptors: Wakers::default(),
        }))
    }
}

impl Backlog {
    pub(super) fn is_listening(&self) -> bool {
        let state = self.0.lock();
        state.listening && !state.closed
    }

    /// # Errors
    /// With the stream back: [`Error::Refused`] if nobody accepts any more; [`Error::TimedOut`] if too
    /// many wait, as a kernel's client would find out.
    #[expect(clippy::result_large_err, reason = "the connection comes back, for another endpoint")]
    pub(super) fn push(&self, stream: Stream) -> Result<(), (Error, Stream)> {
        let mut state = self.0.lock();
        if state.closed || !state.listening {
            return Err((Error::Refused, stream));
        }
        if state.waiting.len() >= state.max {
            return Err((Error::TimedOut, stream));
        }
        state.waiting.push_back(stream);
        let woken = state.acceptors.take();
        drop(state);
        drop(woken);
        Ok(())
    }

    /// Breaks off what waits and takes nothing more.
    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        let woken = state.acceptors.take();
        drop(state);
        drop(woken);
        waiting.iter().for_each(Stream::reset);
    }
}
