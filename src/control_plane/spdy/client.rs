//! A client's side, by hand, for the tests of those who serve sessions.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::codec::{Decoder, Encoder};
use super::frame::{Frame, ResetStatus, StreamId, SynStream};
use super::headers::Headers;

#[derive(Debug)]
pub(crate) struct Client<T> {
    frames: FramedRead<ReadHalf<T>, Decoder>,
    sink: FramedWrite<WriteHalf<T>, Encoder>,
}

/// What the server did, by the stream's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Opened(u32),
    Data(u32, Bytes),
    Finished(u32),
    Reset(u32),
    GoAway,
}

impl<T: AsyncRead + AsyncWrite + Send> Client<T> {
    pub(crate) fn new(connection: T) -> Self {
        let (reader, writer) = tokio::io::split(connection);
        let frames = FramedRead::new(reader, Decoder::new());
        Self { frames, sink: FramedWrite::new(writer, Encoder::new()) }
    }

    pub(crate) async fn open(&mut self, number: u32, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers = Headers::from_iter(headers);
        let stream = id(number);
        self.send(Frame::SynStream(SynStream {
            stream,
            fin: false,
            unidirectional: false,
            headers,
        }))
        .await;
    }

    pub(crate) async fn write(&mut self, number: u32, bytes: impl Into<Bytes>) {
        self.send(Frame::Data { stream: id(number), fin: false, bytes: bytes.into() }).await;
    }

    pub(crate) async fn finish(&mut self, number: u32) {
        self.send(Frame::Data { stream: id(number), fin: true, bytes: Bytes::new() }).await;
    }

    pub(crate) async fn reset(&mut self, number: u32) {
        self.send(Frame::RstStream { stream: id(number), status: ResetStatus::CANCEL }).await;
    }

    async fn send(&mut self, frame: Frame) {
        self.sink.send(frame).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Event {
        loop {
            return match self.frames.next().await.expect("the server has gone").unwrap() {
                Frame::SynReply { stream, .. } => Event::Opened(stream.number()),
                Frame::Data { stream, fin: true, .. } => Event::Finished(stream.number()),
                Frame::Data { stream, bytes, .. } => Event::Data(stream.number(), bytes),
                Frame::RstStream { stream, .. } => Event::Reset(stream.number()),
                Frame::GoAway { .. } => Event::GoAway,
                _ => continue,
            };
        }
    }

    /// All that the server sends on a stream to its end; what it does with others is dropped.
    pub(crate) async fn read(&mut self, number: u32) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Event::Data(of, bytes) if of == number => all.extend_from_slice(&bytes),
                Event::Finished(of) if of == number => return all,
                Event::Reset(of) if of == number => panic!("stream {of} was reset"),
                _ => {}
            }
        }
    }
}

fn id(number: u32) -> StreamId {
    StreamId::new(number).unwrap()
}
