//! The session: one task's work, without locks. It reads frames, hands their bytes to the streams'
//! owners, collects what these write, and writes frames.
//!
//! Nothing here waits for one thing only: while an owner does not read or the client does not
//! read, everything else goes on until a bound is met; then the connection itself pushes back.

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_util::codec::{Encoder as _, FramedRead};

use super::channel::{self, Channel, Drawn, Fed, Inlet, Outlet, Output, Tap};
use super::codec::{Decoder, Encoder};
use super::flow::Flow;
use super::frame::{
    Frame, FrameError, GoAwayStatus, INITIAL_WINDOW_SIZE, ResetStatus, StreamId, SynStream,
};
use super::headers::Headers;
use super::stream::Incoming;
use crate::client::clock::Clock;

/// Bound: streams at once. exec has five; port-forward two for each connection, and a browser makes
/// some dozens. Each may have 128 KiB in its pipe.
const STREAMS_MAX: usize = 256;

/// Bound: bytes read that the streams' owners have not taken, all streams together. One slow owner
/// may lag behind by this before the others wait for it.
const UNREAD_BYTES_MAX: usize = 1024 * 1024;

/// Bound: bytes waiting to be written; over it nothing more is collected from the owners.
const OUT_BYTES_MAX: usize = 64 * 1024;

/// Bound: the same with answers to the client; over it nothing more is read. It is larger, so that
/// a client that does not read for a while can still send, and its leaving is noticed.
const ANSWERED_BYTES_MAX: usize = OUT_BYTES_MAX + 64 * 1024;

const READ_BYTES: usize = 32 * 1024;

/// How often the client is pinged: while an owner does not read we do not either, and a
/// client that has vanished is noticed only by writing to it.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// How long a client has to take our last words and close, after the session is over.
const LINGER_MAX: Duration = Duration::from_secs(2);

pub(crate) struct Session<T> {
    frames: FramedRead<ReadHalf<T>, Decoder>,
    writer: WriteHalf<T>,
    encoder: Encoder,
    out: BytesMut,
    /// Something was written since the last flush.
    is_unflushed: bool,
    accepts: fn(&Headers) -> bool,
    /// `None` once no stream may come any more.
    incoming_tx: Option<mpsc::Sender<super::Stream>>,
    channels: BTreeMap<StreamId, Channel>,
    /// The client's newest stream.
    last: u32,
    unread_bytes: usize,
    flow: Flow,
    feeds: FuturesUnordered<BoxFuture<'static, Fed>>,
    taps: FuturesUnordered<BoxFuture<'static, Drawn>>,
    clock: Clock,
    pings: u32,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All that the owners wrote has been sent.
    Done,
    /// The connection is closed.
    ClientLeft,
}

impl<T: AsyncRead + AsyncWrite + Send> Session<T> {
    /// A session on a connection, and the streams that its client will open. `accepts` looks at a
    /// stream's headers; what it turns down is reset.
    pub(crate) fn new(io: T, clock: Clock, accepts: fn(&Headers) -> bool) -> (Self, Incoming) {
        let (incoming_tx, incoming) = mpsc::channel(STREAMS_MAX);
        let (reader, writer) = tokio::io::split(io);
        let session = Self {
            frames: FramedRead::with_capacity(reader, Decoder::new(), READ_BYTES),
            writer,
            encoder: Encoder::new(),
            out: BytesMut::new(),
            is_unflushed: false,
            accepts,
            incoming_tx: Some(incoming_tx),
            channels: BTreeMap::new(),
            last: 0,
            unread_bytes: 0,
            flow: Flow::new(),
            feeds: FuturesUnordered::new(),
            taps: FuturesUnordered::new(),
            clock,
            pings: 0,
        };
        (session, incoming)
    }

    /// Does the session's work until the client leaves, or [`Incoming`] is dropped and all that the
    /// streams' owners wrote has been sent. Dropping it ends all streams at once.
    ///
    /// # Errors
    /// The connection broke, or the client does not speak SPDY/3.1; it is told so.
    pub(crate) async fn run(mut self) -> Result<(), FrameError> {
        let ended = self.serve().await;
        if ended.is_ok() {
            self.hand_over()?;
        }
        // Owners learn of the end before the client has taken its leave.
        self.incoming_tx = None;
        self.channels.clear();
        self.feeds.clear();
        self.taps.clear();
        let status = match &ended {
            Ok(End::ClientLeft) | Err(FrameError::Io(_)) => return ended.map(drop),
            Ok(End::Done) => GoAwayStatus::OK,
            Err(_) => GoAwayStatus::PROTOCOL_ERROR,
        };
        let clock = self.clock.clone();
        tokio::select! {
            // The session is over; whether the client heard so changes nothing.
            _ = self.leave(status) => {}
            () = clock.sleep(LINGER_MAX) => {}
        }
        ended.map(drop)
    }

    /// What came last reaches the owners as far as their pipes have room.
    fn hand_over(&mut self) -> Result<(), FrameError> {
        while let Some(Some(fed)) = self.feeds.next().now_or_never() {
            self.fed(fed)?;
        }
        Ok(())
    }

    async fn serve(&mut self) -> Result<End, FrameError> {
        let clock = self.clock.clone();
        let mut ping = pin!(clock.sleep(PING_INTERVAL));
        loop {
            let has_room = self.out.len() < OUT_BYTES_MAX;
            let listens =
                self.out.len() < ANSWERED_BYTES_MAX && self.unread_bytes < UNREAD_BYTES_MAX;
            if has_room {
                self.release_held()?;
            }
            if self.is_done() {
                return Ok(End::Done);
            }
            tokio::select! {
                unflushed = write(&mut self.writer, &mut self.out), if self.has_output() => {
                    self.is_unflushed = unflushed?;
                }
                frame = self.frames.next(), if listens => {
                    let Some(frame) = frame else { return Ok(End::ClientLeft) };
                    self.receive(frame?)?;
                }
                Some(fed) = self.feeds.next() => self.fed(fed)?,
                Some(drawn) = self.taps.next(), if has_room => self.drawn(drawn)?,
                () = abandoned(self.incoming_tx.as_ref()) => self.incoming_tx = None,
                () = &mut ping => {
                    self.ping()?;
                    ping.set(clock.sleep(PING_INTERVAL));
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        let is_closed = |channel: &Channel| matches!(channel.outlet, Outlet::Closed);
        self.incoming_tx.is_none() && !self.has_output() && self.channels.values().all(is_closed)
    }

    fn has_output(&self) -> bool {
        !self.out.is_empty() || self.is_unflushed
    }

    fn receive(&mut self, frame: Frame) -> Result<(), FrameError> {
        match frame {
            Frame::SynStream(opening) => self.open(opening)?,
            Frame::Data { stream, fin, bytes } => self.data(stream, fin, bytes)?,
            // Later headers mean nothing to anyone; their end of stream does.
            Frame::Headers { stream, fin, .. } => self.data(stream, fin, Bytes::new())?,
            Frame::RstStream { stream, .. } => self.forget(stream),
            Frame::Settings(settings) => {
                let size = settings.iter().find(|(name, _)| *name == INITIAL_WINDOW_SIZE);
                self.flow.set_initial(size.map(|(_, value)| *value));
            }
            Frame::WindowUpdate { stream, delta } => self.flow.widen(stream, delta),
            // Ours have even numbers.
            Frame::Ping(number) if number % 2 == 1 => self.put(Frame::Ping(number))?,
            Frame::GoAway { .. } => self.incoming_tx = None,
            // We open no streams.
            Frame::Ping(_) | Frame::SynReply { .. } => {}
        }
        Ok(())
    }

    fn open(&mut self, opening: SynStream) -> Result<(), FrameError> {
        let SynStream { stream, fin, unidirectional, headers } = opening;
        if !stream.is_clients() || stream.number() <= self.last {
            self.forget(stream);
            return self.reset(stream, ResetStatus::PROTOCOL_ERROR);
        }
        self.last = stream.number();
        let is_welcome =
            !unidirectional && self.channels.len() < STREAMS_MAX && (self.accepts)(&headers);
        let incoming_tx = self.incoming_tx.as_ref().filter(|_| is_welcome);
        let Some(place) = incoming_tx.and_then(|incoming_tx| incoming_tx.try_reserve().ok()) else {
            return self.reset(stream, ResetStatus::REFUSED_STREAM);
        };
        let (mut channel, tap, theirs) = channel::open(stream, headers);
        place.send(theirs);
        channel.is_finished = fin;
        self.channels.insert(stream, channel);
        self.flow.open(stream);
        self.taps.push(Box::pin(tap.draw()));
        self.put(Frame::SynReply { stream, fin: false, headers: Headers::default() })?;
        self.pump(stream)
    }

    fn data(&mut self, stream: StreamId, fin: bool, bytes: Bytes) -> Result<(), FrameError> {
        let Some(channel) = self.channels.get_mut(&stream) else {
            if stream.is_clients() && stream.number() <= self.last {
                // It crossed the stream's end on its way.
                return self.took(stream, bytes.len());
            }
            return self.reset(stream, ResetStatus::INVALID_STREAM);
        };
        if channel.is_finished {
            self.forget(stream);
            return self.reset(stream, ResetStatus::STREAM_ALREADY_CLOSED);
        }
        channel.is_finished = fin;
        self.unread_bytes += bytes.len();
        if channel.unread.is_empty() {
            channel.unread = bytes.into();
        } else {
            channel.unread.extend_from_slice(&bytes);
        }
        self.pump(stream)
    }

    /// Begins to hand on what the client sent, if the owner is ready for it.
    fn pump(&mut self, stream: StreamId) -> Result<(), FrameError> {
        let Some(channel) = self.channels.get_mut(&stream) else { return Ok(()) };
        let has_work = !channel.unread.is_empty() || channel.is_finished;
        match std::mem::replace(&mut channel.inlet, Inlet::Busy) {
            Inlet::Idle(writer) if has_work => {
                let bytes = channel.unread.split().freeze();
                let bytes = (!bytes.is_empty()).then_some(bytes);
                self.feeds.push(Box::pin(channel::feed(stream, writer, bytes)));
                Ok(())
            }
            Inlet::Closed => {
                channel.inlet = Inlet::Closed;
                let length = channel.unread.split().len();
                if channel.is_over() {
                    self.forget(stream);
                }
                self.unread_bytes -= length;
                self.took(stream, length)
            }
            inlet => {
                channel.inlet = inlet;
                Ok(())
            }
        }
    }

    fn fed(&mut self, fed: Fed) -> Result<(), FrameError> {
        self.unread_bytes -= fed.length;
        if let Some(channel) = self.channels.get_mut(&fed.stream) {
            channel.inlet = fed.inlet;
        }
        self.took(fed.stream, fed.length)?;
        self.pump(fed.stream)
    }

    /// Tells the client to go on, if it needs telling.
    fn took(&mut self, stream: StreamId, length: usize) -> Result<(), FrameError> {
        let grants = self.flow.took(stream, length);
        if let Some(delta) = grants.stream {
            self.put(Frame::WindowUpdate { stream: Some(stream), delta })?;
        }
        if let Some(delta) = grants.session {
            self.put(Frame::WindowUpdate { stream: None, delta })?;
        }
        Ok(())
    }

    fn drawn(&mut self, drawn: Drawn) -> Result<(), FrameError> {
        let Drawn { stream, output } = drawn;
        let Some(channel) = self.channels.get_mut(&stream) else { return Ok(()) };
        match output {
            Output::Bytes(tap, bytes) => self.send(stream, tap, bytes),
            Output::End => {
                channel.outlet = Outlet::Closed;
                if channel.is_over() {
                    self.forget(stream);
                }
                self.put(Frame::Data { stream, fin: true, bytes: Bytes::new() })
            }
            Output::Reset => {
                self.forget(stream);
                self.reset(stream, ResetStatus::CANCEL)
            }
        }
    }

    /// Sends what the client's windows allow, and holds the rest.
    fn send(&mut self, stream: StreamId, tap: Tap, mut bytes: Bytes) -> Result<(), FrameError> {
        let allowed = bytes.split_to(self.flow.room(stream).min(bytes.len()));
        let outlet = match bytes.is_empty() {
            true => {
                self.taps.push(Box::pin(tap.draw()));
                Outlet::Busy
            }
            false => Outlet::Held(tap, bytes),
        };
        if let Some(channel) = self.channels.get_mut(&stream) {
            channel.outlet = outlet;
        }
        if allowed.is_empty() {
            return Ok(());
        }
        self.flow.sent(stream, allowed.len());
        self.put(Frame::Data { stream, fin: false, bytes: allowed })
    }

    /// Sends what was held, where the client's windows have opened.
    fn release_held(&mut self) -> Result<(), FrameError> {
        let is_ready = |(stream, channel): (&StreamId, &Channel)| {
            let is_held = matches!(channel.outlet, Outlet::Held(..));
            (is_held && self.flow.room(*stream) > 0).then_some(*stream)
        };
        let Some(stream) = self.channels.iter().find_map(is_ready) else { return Ok(()) };
        let Some(channel) = self.channels.get_mut(&stream) else { return Ok(()) };
        match std::mem::replace(&mut channel.outlet, Outlet::Busy) {
            Outlet::Held(tap, bytes) => self.send(stream, tap, bytes),
            Outlet::Busy | Outlet::Closed => Ok(()),
        }
    }

    /// Ends a stream without a word to the client. Its owner reads what is in its pipe, then the end.
    fn forget(&mut self, stream: StreamId) {
        if let Some(channel) = self.channels.remove(&stream) {
            self.unread_bytes -= channel.unread.len();
            channel.reset.cancel();
        }
        self.flow.close(stream);
    }

    fn reset(&mut self, stream: StreamId, status: ResetStatus) -> Result<(), FrameError> {
        self.put(Frame::RstStream { stream, status })
    }

    fn ping(&mut self) -> Result<(), FrameError> {
        if !self.out.is_empty() {
            // What waits to be written tells as much.
            return Ok(());
        }
        self.pings = self.pings.wrapping_add(2).max(2);
        self.put(Frame::Ping(self.pings))
    }

    fn put(&mut self, frame: Frame) -> Result<(), FrameError> {
        self.encoder.encode(frame, &mut self.out)
    }

    /// Says goodbye, and waits for the client to close: what it has sent and nobody read would
    /// otherwise make the system reset the connection, and the client lose our last words.
    async fn leave(&mut self, status: GoAwayStatus) -> Result<(), FrameError> {
        self.put(Frame::GoAway { last: self.last, status })?;
        self.writer.write_all_buf(&mut self.out).await?;
        self.writer.shutdown().await?;
        tokio::io::copy(self.frames.get_mut(), &mut tokio::io::sink()).await?;
        Ok(())
    }
}

/// Writes some, or flushes if all is written; answers whether a flush is due.
async fn write(writer: &mut (impl AsyncWrite + Unpin), out: &mut BytesMut) -> io::Result<bool> {
    if out.is_empty() {
        writer.flush().await?;
        return Ok(false);
    }
    match writer.write_buf(out).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(true),
    }
}

/// Nobody wants the client's streams any more.
async fn abandoned(incoming_tx: Option<&mpsc::Sender<super::Stream>>) {
    match incoming_tx {
        Some(incoming_tx) => incoming_tx.closed().await,
        None => std::future::pending().await,
    }
}
