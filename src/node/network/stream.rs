//! A connection's end: two pipes in memory, or a socket of the host's.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime;

use super::buffered::Buffered;
use super::connections::Slot;
use super::fair::Permit;
use super::pipe::Pipe;
use super::{Error, HostSocket, Reserved};
use crate::telemetry::OpenConnection;

/// A read from a socket of the host's takes at most so many bytes.
const HOST_READ_MAX: usize = 64 * 1024;
/// What a write to a socket of the host's is told to be room for, and the same while the Pod that writes
/// has too much on its way already.
const HOST_WRITE_ROOM: usize = 64 * 1024;
const HOST_WRITE_ROOM_WHEN_SHORT: usize = 4 * 1024;

/// One end of a TCP connection. All methods take `&self`: reading, writing and closing may happen in
/// different hands (`Arc<Stream>`). Dropping it closes both directions; what the other side sends
/// afterwards resets the connection, as a kernel does.
#[derive(Debug)]
pub struct Stream {
    local: SocketAddr,
    peer: SocketAddr,
    way: Way,
    /// Accounts for what this side writes.
    buffered: Arc<Buffered>,
    /// The Pods' accounts of open connections.
    _slots: Vec<Slot>,
    /// The account of the Service that it was opened to.
    _counted: Option<OpenConnection>,
}

#[derive(Debug)]
enum Way {
    Memory(Ends),
    Host(Host),
}

#[derive(Debug)]
struct Host {
    socket: TcpStream,
    permit: Permit,
    finished: AtomicBool,
    /// Which waits for the socket.
    runtime: Option<runtime::Id>,
}

/// What one side holds of two pipes.
#[derive(Debug)]
struct Ends {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

/// What makes one end of a connection in memory.
pub(super) struct End<'a> {
    pub(super) address: SocketAddr,
    pub(super) slots: Vec<Slot>,
    /// Accounts for what it writes.
    pub(super) buffered: &'a Arc<Buffered>,
}

impl Stream {
    /// Both ends of a new connection in memory; the first is `client`'s.
    pub(super) fn pair(client: End<'_>, server: End<'_>) -> (Self, Self) {
        let pipe = |writer: &Arc<Buffered>| Arc::new(Pipe::new(writer.clone()));
        let (there, back) = (pipe(client.buffered), pipe(server.buffered));
        let end = |local, peer, ends, buffered: &Arc<Buffered>, slots| Self {
            local,
            peer,
            way: Way::Memory(ends),
            buffered: buffered.clone(),
            _slots: slots,
            _counted: None,
        };
        let ends = Ends { incoming: back.clone(), outgoing: there.clone() };
        let (from, to) = (client.address, server.address);
        let ours = end(from, to, ends, client.buffered, client.slots);
        let ends = Ends { incoming: there, outgoing: back };
        (ours, end(to, from, ends, server.buffered, server.slots))
    }

    /// A socket of the host's as an end of a Pod's connection, under the addresses the Pod sees.
    pub(super) fn host(
        socket: HostSocket,
        local: SocketAddr,
        peer: SocketAddr,
        slots: Vec<Slot>,
        buffered: &Arc<Buffered>,
    ) -> Self {
        let HostSocket { socket, permit } = socket;
        // Small answers must not wait for an acknowledgement; a socket that refuses is as good.
        let _ = socket.set_nodelay(true);
        let (finished, runtime) = (AtomicBool::new(false), current_runtime());
        let way = Way::Host(Host { socket, permit, finished, runtime });
        Self { local, peer, way, buffered: buffered.clone(), _slots: slots, _counted: None }
    }

    /// The same, as a Service's.
    #[must_use]
    pub(super) fn counted(self, counted: Option<OpenConnection>) -> Self {
        Self { _counted: counted, ..self }
    }

    /// The same, but with the address that its opener asked for as its peer (a Service's).
    #[must_use]
    pub(super) fn seen_as(mut self, peer: SocketAddr) -> Self {
        self.peer = peer;
        self
    }

    /// Has a socket of the host's waited for where it is used from now on: else each of its bytes
    /// wakes a thread of the runtime that accepted it first, and by it one of the other.
    ///
    /// # Errors
    /// The kernel's: it cannot wait for the socket.
    pub(super) fn settle(self) -> io::Result<Self> {
        let here = current_runtime();
        let way = match self.way {
            Way::Host(host) if here.is_some() && here != host.runtime => {
                let socket = TcpStream::from_std(host.socket.into_std()?)?;
                Way::Host(Host { socket, runtime: here, ..host })
            }
            way => way,
        };
        Ok(Self { way, ..self })
    }

    /// The host's socket, if it is one, for whoever passes bytes on.
    pub fn host_mut(&mut self) -> Option<&mut TcpStream> {
        match &mut self.way {
            Way::Memory(_) => None,
            Way::Host(Host { socket, .. }) => Some(socket),
        }
    }

    /// The host's socket, if it is one.
    pub(super) fn into_host(self) -> Option<HostSocket> {
        match self.way {
            Way::Memory(_) => None,
            Way::Host(Host { socket, permit, .. }) => Some(HostSocket { socket, permit }),
        }
    }

    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    pub fn peer_address(&self) -> SocketAddr {
        self.peer
    }

    /// At most `max` bytes, handed over rather than copied where both ends are in this process;
    /// empty at the end; `None` if there is nothing yet.
    ///
    /// # Errors
    /// [`Error::Reset`]
    pub fn try_read(&self, max: usize) -> Result<Option<Bytes>, Error> {
        match &self.way {
            Way::Memory(Ends { incoming, .. }) => incoming.try_read(max),
            Way::Host(Host { socket, .. }) => {
                let mut buffer = BytesMut::with_capacity(max.min(HOST_READ_MAX));
                match drain(socket, &mut buffer) {
                    Ok(()) => Ok(Some(buffer.freeze())),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Ready when [`Stream::try_read`] would answer something (it may still be `None` once).
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.way {
            Way::Memory(Ends { incoming, .. }) => incoming.poll_readable(cx),
            Way::Host(Host { socket, .. }) => socket.poll_read_ready(cx).map(drop),
        }
    }

    /// How many bytes [`Stream::try_write`] would take now.
    ///
    /// # Errors
    /// [`Error::BrokenPipe`] if nobody reads them any more, [`Error::Reset`].
    pub fn room(&self) -> Result<usize, Error> {
        match &self.way {
            Way::Memory(Ends { outgoing, .. }) => outgoing.room(),
            Way::Host(Host { finished, .. }) if finished.load(Ordering::Relaxed) => {
                Err(Error::BrokenPipe)
            }
            // Whoever was told of room and finds none, keeps what is left.
            Way::Host(_) if self.buffered.is_short() => Ok(HOST_WRITE_ROOM_WHEN_SHORT),
            Way::Host(_) => Ok(HOST_WRITE_ROOM),
        }
    }

    /// Accounts for so many bytes that wait outside the connection to be written.
    pub fn reserve(&self, bytes: usize) -> Reserved {
        self.buffered.reserve(bytes)
    }

    /// Takes what there is room for and leaves the rest in `bytes`.
    ///
    /// # Errors
    /// As [`Stream::room`].
    pub fn try_write(&self, bytes: &mut Bytes) -> Result<usize, Error> {
        match &self.way {
            Way::Memory(Ends { outgoing, .. }) => outgoing.try_write(bytes),
            Way::Host(Host { socket, finished, .. }) => {
                if finished.load(Ordering::Relaxed) {
                    return Err(Error::BrokenPipe);
                }
                match socket.try_write(bytes) {
                    Ok(count) => {
                        bytes::Buf::advance(bytes, count);
                        Ok(count)
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Ready when [`Stream::try_write`] would take something or fail.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.way {
            Way::Memory(Ends { outgoing, .. }) => outgoing.poll_writable(cx),
            Way::Host(Host { socket, .. }) => socket.poll_write_ready(cx).map(drop),
        }
    }

    pub async fn readable(&self) {
        std::future::poll_fn(|cx| self.poll_readable(cx)).await;
    }

    pub async fn writable(&self) {
        std::future::poll_fn(|cx| self.poll_writable(cx)).await;
    }

    /// Says that nothing more will be written; the other side reads its end. Reading goes on.
    pub fn finish(&self) {
        match &self.way {
            Way::Memory(Ends { outgoing, .. }) => outgoing.finish(),
            Way::Host(Host { socket, finished, .. }) => {
                if !finished.swap(true, Ordering::Relaxed) {
                    shut_down(socket);
                }
            }
        }
    }

    /// Says that nothing more will be read: the other side's writes fail.
    pub fn refuse(&self) {
        if let Way::Memory(Ends { incoming, .. }) = &self.way {
            incoming.refuse();
        }
    }

    /// Breaks the connection off: the other side reads [`Error::Reset`].
    pub fn reset(&self) {
        match &self.way {
            Way::Memory(Ends { incoming, outgoing }) => {
                incoming.refuse();
                outgoing.reset();
            }
            Way::Host(Host { socket, .. }) => {
                // Closed with this, a socket sends RST. One that refuses is closed in good manners.
                let _ = socket.set_zero_linger();
            }
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        let unread = self.incoming.refuse();
        if unread { self.outgoing.reset() } else { self.outgoing.finish() }
    }
}

fn current_runtime() -> Option<runtime::Id> {
    runtime::Handle::try_current().ok().map(|handle| handle.id())
}

/// tokio closes the writing half of an owned socket only.
fn shut_down(socket: &TcpStream) {
    // Fails only where the other side has gone already.
    let _ = socket2::SockRef::from(socket).shutdown(Shutdown::Write);
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Memory(Ends { incoming, .. }) => {
                incoming.poll_read(cx, buffer).map_err(io::Error::from)
            }
            Way::Host(Host { socket, .. }) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.way {
            Way::Memory(Ends { outgoing, .. }) => {
                outgoing.poll_write(cx, bytes).map_err(io::Error::from)
            }
            Way::Host(Host { socket, .. }) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

/// Reads what is there. A read that does not fill the buffer has drained the socket (epoll and kqueue
/// tell of what comes next), so it need not be asked again only to hear that there is nothing.
fn drain(socket: &TcpStream, buffer: &mut BytesMut) -> io::Result<()> {
    let (room, mut has_read) = (buffer.capacity() - buffer.len(), false);
    let drained = socket.try_io(Interest::READABLE, || {
        let read = socket.try_read_buf(buffer)?;
        has_read = true;
        if cfg!(unix) && (1..room).contains(&read) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    if has_read { Ok(()) } else { drained }
}
