//! A guest's TCP socket: which of WASI's states it is in, and its options.
//!
//! ```text
//! new ── start-bind ─> binding ── finish ─> bound ── start-listen ─> starting ── finish ─> listening
//!  └──────────────────── start-connect ───────┴─> connecting ── finish ─> connected
//!                                                      └─ failed ─> closed
//! ```

#![expect(clippy::result_large_err, reason = "a state that does not change comes back whole")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::{Pollable, SocketResult};

use super::stream::Connection;
use super::{code, socket_error};
use crate::node::network::{BACKLOG_DEFAULT, Error, Listener, PodNetwork, Stream};
use crate::node::runtime::container::Shared;

const NANOSECONDS: u64 = 1_000_000_000;

pub(super) struct TcpSocket {
    pub(super) network: PodNetwork,
    pub(super) family: IpAddressFamily,
    pub(super) state: State,
    pub(super) options: Options,
}

pub(super) enum State {
    New,
    Binding(Listener),
    Bound(Listener),
    Starting(Listener),
    Listening(Listener),
    Connecting(Connecting),
    Connected {
        connection: Arc<Connection>,
        /// Keeps the port that it was bound to.
        _bound: Option<Listener>,
    },
    Closed,
}

type Attempt = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

pub(super) struct Connecting {
    attempt: Option<Attempt>,
    result: Option<Result<Stream, Error>>,
    bound: Option<Listener>,
}

/// Settings that are remembered: in memory nothing is lost, so nothing must be probed or resent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) backlog: usize,
    pub(super) keep_alive: bool,
    /// Nanoseconds, as the other times.
    pub(super) keep_alive_idle: u64,
    pub(super) keep_alive_interval: u64,
    pub(super) keep_alive_count: u32,
    pub(super) hop_limit: u8,
    pub(super) receive_buffer: u64,
    pub(super) send_buffer: u64,
}

/// Linux' defaults.
impl Default for Options {
    fn default() -> Self {
        Self {
            backlog: BACKLOG_DEFAULT,
            keep_alive: false,
            keep_alive_idle: 7200 * NANOSECONDS,
            keep_alive_interval: 75 * NANOSECONDS,
            keep_alive_count: 9,
            hop_limit: 64,
            receive_buffer: 128 * 1024,
            send_buffer: 128 * 1024,
        }
    }
}

impl Connecting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(attempt) = &mut self.attempt {
            self.result = Some(ready!(attempt.as_mut().poll(cx)));
            self.attempt = None;
        }
        Poll::Ready(())
    }
}

impl TcpSocket {
    pub(super) fn new(network: PodNetwork, family: IpAddressFamily) -> Self {
        Self { network, family, state: State::New, options: Options::default() }
    }

    /// One that a listener has accepted.
    pub(super) fn accepted(&self, connection: Arc<Connection>) -> Self {
        Self {
            network: self.network.clone(),
            family: self.family,
            state: State::Connected { connection, _bound: None },
            options: self.options,
        }
    }

    pub(super) fn start_bind(&mut self, local: SocketAddr) -> SocketResult<()> {
        match self.state {
            State::New => {}
            ref state => return Err(state.refusal()),
        }
        self.state = State::Binding(self.network.bind(local).map_err(socket_error)?);
        Ok(())
    }

    pub(super) fn finish_bind(&mut self) -> SocketResult<()> {
        self.change(|state| match state {
            State::Binding(listener) => Ok(State::Bound(listener)),
            state => Err(state),
        })
    }

    pub(super) fn start_listen(&mut self) -> SocketResult<()> {
        match self.state {
            State::Bound(_) => {}
            ref state => return Err(state.refusal()),
        }
        let backlog = self.options.backlog;
        self.change(|state| match state {
            State::Bound(listener) => {
                listener.set_backlog(backlog);
                listener.start();
                Ok(State::Starting(listener))
            }
            state => Err(state),
        })
    }

    pub(super) fn finish_listen(&mut self) -> SocketResult<()> {
        self.change(|state| match state {
            State::Starting(listener) => Ok(State::Listening(listener)),
            state => Err(state),
        })
    }

    pub(super) fn start_connect(&mut self, remote: SocketAddr) -> SocketResult<()> {
        let bound = match std::mem::replace(&mut self.state, State::Closed) {
            State::New => None,
            State::Bound(listener) => Some(listener),
            state => {
                self.state = state;
                return Err(self.state.refusal());
            }
        };
        let local = bound.as_ref().map(Listener::local_address);
        let network = self.network.clone();
        let attempt = async move { network.connect(local, remote).await };
        let connecting = Connecting { attempt: Some(Box::pin(attempt)), result: None, bound };
        self.state = State::Connecting(connecting);
        Ok(())
    }

    /// Polled here too: a guest need not wait by [`Pollable::ready`].
    pub(super) fn finish_connect(
        &mut self,
        cx: &mut Context<'_>,
        container: Arc<Shared>,
    ) -> SocketResult<Arc<Connection>> {
        let State::Connecting(connecting) = &mut self.state else {
            return Err(ErrorCode::NotInProgress.into());
        };
        if connecting.poll(cx).is_pending() {
            return Err(ErrorCode::WouldBlock.into());
        }
        let bound = connecting.bound.take();
        let result = connecting.result.take();
        // What has failed can only be dropped.
        self.state = State::Closed;
        let stream = result.unwrap_or(Err(Error::Reset)).map_err(socket_error)?;
        let connection = Connection::new(stream, container);
        self.state = State::Connected { connection: connection.clone(), _bound: bound };
        Ok(connection)
    }

    /// # Errors
    /// [`ErrorCode::WouldBlock`] if nobody waits, [`ErrorCode::InvalidState`] if it does not listen.
    pub(super) fn accept(&self) -> SocketResult<Stream> {
        let State::Listening(listener) = &self.state else {
            return Err(ErrorCode::InvalidState.into());
        };
        match listener.try_accept() {
            Ok(Some(stream)) => Ok(stream),
            Ok(None) => Err(ErrorCode::WouldBlock.into()),
            Err(error) => Err(code(error).into()),
        }
    }

    pub(super) fn local_address(&self) -> SocketResult<SocketAddr> {
        match &self.state {
            State::Bound(listener) | State::Starting(listener) | State::Listening(listener) => {
                Ok(listener.local_address())
            }
            State::Connected { connection, .. } => Ok(connection.stream().local_address()),
            State::New | State::Binding(_) | State::Connecting(_) | State::Closed => {
                Err(ErrorCode::InvalidState.into())
            }
        }
    }

    pub(super) fn connection(&self) -> SocketResult<&Arc<Connection>> {
        match &self.state {
            State::Connected { connection, .. } => Ok(connection),
            _ => Err(ErrorCode::InvalidState.into()),
        }
    }

    pub(super) fn set_backlog(&mut self, value: u64) -> SocketResult<()> {
        if value == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let backlog = usize::try_from(value).unwrap_or(usize::MAX).min(BACKLOG_DEFAULT);
        match &self.state {
            State::Starting(listener) | State::Listening(listener) => listener.set_backlog(backlog),
            State::Connecting(_) | State::Connected { .. } | State::Closed => {
                return Err(ErrorCode::InvalidState.into());
            }
            State::New | State::Binding(_) | State::Bound(_) => {}
        }
        self.options.backlog = backlog;
        Ok(())
    }

    /// # Errors
    /// [`ErrorCode::NotInProgress`] where the state is not the one to be changed.
    fn change(&mut self, change: impl FnOnce(State) -> Result<State, State>) -> SocketResult<()> {
        match change(std::mem::replace(&mut self.state, State::Closed)) {
            Ok(state) => {
                self.state = state;
                Ok(())
            }
            Err(state) => {
                self.state = state;
                Err(ErrorCode::NotInProgress.into())
            }
        }
    }
}

impl State {
    /// Why a socket in this state begins nothing new.
    fn refusal(&self) -> wasmtime_wasi::p2::SocketError {
        match self {
            Self::Binding(_) | Self::Starting(_) | Self::Connecting(_) => {
                ErrorCode::ConcurrencyConflict.into()
            }
            _ => ErrorCode::InvalidState.into(),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        match &mut self.state {
            State::Connecting(connecting) => std::future::poll_fn(|cx| connecting.poll(cx)).await,
            State::Listening(listener) => {
                std::future::poll_fn(|cx| listener.poll_acceptable(cx)).await;
            }
            _ => {}
        }
    }
}
