//! A session and a client that speaks the frames by hand.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;
use tokio_util::codec::{Decoder as _, Encoder as _, FramedRead, FramedWrite};

use super::codec::{Decoder, Encoder};
use super::frame::{Frame, FrameError, GoAwayStatus, ResetStatus, StreamId, SynStream};
use super::headers::Headers;
use super::{Incoming, Session, Stream};
use crate::client::clock::Clock;

/// Between the two; small, so that a side that does not read is felt soon.
const WIRE_BYTES: usize = 16 * 1024;

struct Client {
    frames: FramedRead<ReadHalf<DuplexStream>, Decoder>,
    sink: FramedWrite<WriteHalf<DuplexStream>, Encoder>,
}

struct Server {
    incoming: Incoming,
    clock: Clock,
    run: JoinHandle<Result<(), FrameError>>,
}

#[expect(clippy::disallowed_methods, reason = "the test waits for it")]
fn start() -> (Client, Server) {
    let (theirs, ours) = tokio::io::duplex(WIRE_BYTES);
    let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
    let accepts = |headers: &Headers| headers.get("streamtype") != Some("unwanted");
    let (session, incoming) = Session::new(ours, clock.clone(), accepts);
    let (reader, writer) = tokio::io::split(theirs);
    let frames = FramedRead::new(reader, Decoder::new());
    let sink = FramedWrite::new(writer, Encoder::new());
    let run = tokio::spawn(session.run());
    (Client { frames, sink }, Server { incoming, clock, run })
}

fn id(number: u32) -> StreamId {
    StreamId::new(number).unwrap()
}

pub(super) fn opening(number: u32, kind: &str) -> Frame {
    let headers = Headers::from_iter([("streamtype".to_owned(), kind.to_owned())]);
    let stream = id(number);
    Frame::SynStream(SynStream { stream, fin: false, unidirectional: false, headers })
}

fn data(number: u32, bytes: impl Into<Bytes>, fin: bool) -> Frame {
    Frame::Data { stream: id(number), fin, bytes: bytes.into() }
}

fn reset(number: u32, status: ResetStatus) -> Frame {
    Frame::RstStream { stream: id(number), status }
}

impl Client {
    async fn send(&mut self, frame: Frame) {
        self.sink.send(frame).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        self.frames.next().await.expect("the server has gone").unwrap()
    }

    async fn open(&mut self, server: &mut Server, number: u32, kind: &str) -> Stream {
        self.send(opening(number, kind)).await;
        let reply = Frame::SynReply { stream: id(number), fin: false, headers: Headers::default() };
        assert_eq!(self.next().await, reply);
        server.incoming.recv().await.unwrap()
    }

    /// The bytes of data frames up to `length` or the stream's end.
    async fn read(&mut self, length: usize) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        while all.len() < length {
            match self.next().await {
                Frame::Data { fin, bytes, .. } => {
                    all.extend_from_slice(&bytes);
                    if fin {
                        return (all, true);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        (all, false)
    }
}

async fn text(stream: &mut Stream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn halves_close_apart() {
    let (mut client, mut server) = start();
    let mut stream = client.open(&mut server, 1, "stdin").await;
    assert_eq!(stream.headers().get("streamtype"), Some("stdin"));
    client.send(data(1, "hel", false)).await;
    client.send(data(1, "lo", true)).await;
    assert_eq!(text(&mut stream).await, "hello");
    stream.write_all(b"and back").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(client.read(usize::MAX).await, (b"and back".to_vec(), true));
}

#[tokio::test]
async fn the_session_ends_when_all_is_sent() {
    let (mut client, mut server) = start();
    let mut stream = client.open(&mut server, 1, "stdout").await;
    stream.write_all(b"last words").await.unwrap();
    drop((stream, server.incoming));
    assert_eq!(client.read(usize::MAX).await, (b"last words".to_vec(), true));
    assert_eq!(client.next().await, Frame::GoAway { last: 1, status: GoAwayStatus::OK });
    // The client may still be sending.
    client.send(data(1, "more", false)).await;
    assert!(client.frames.next().await.is_none());
    drop(client);
    server.run.await.unwrap().unwrap();
}

#[tokio::test]
async fn owners_learn_that_the_client_has_gone() {
    let (mut client, mut server) = start();
    let mut stream = client.open(&mut server, 1, "stdin").await;
    client.send(data(1, "so far", false)).await;
    drop(client);
    assert_eq!(text(&mut stream).await, "so far");
    assert!(stream.write_all(b"x").await.is_err());
    assert!(server.incoming.recv().await.is_none());
    server.run.await.unwrap().unwrap();
}

#[tokio::test]
async fn streams_that_may_not_be_are_reset() {
    let (mut client, mut server) = start();
    client.send(opening(1, "unwanted")).await;
    assert_eq!(client.next().await, reset(1, ResetStatus::REFUSED_STREAM));
    let _stream = client.open(&mut server, 5, "stdin").await;
    for wrong in [2, 3] {
        client.send(opening(wrong, "stdin")).await;
        assert_eq!(client.next().await, reset(wrong, ResetStatus::PROTOCOL_ERROR));
    }
    client.send(data(7, "x", false)).await;
    assert_eq!(client.next().await, reset(7, ResetStatus::INVALID_STREAM));
    // What crosses the end of a stream is no fault.
    client.send(data(1, "x", false)).await;
    client.send(Frame::Ping(9)).await;
    assert_eq!(client.next().await, Frame::Ping(9));
    client.send(data(5, "", true)).await;
    client.send(data(5, "x", false)).await;
    assert_eq!(client.next().await, reset(5, ResetStatus::STREAM_ALREADY_CLOSED));
}

#[tokio::test]
async fn either_side_resets() {
    let (mut client, mut server) = start();
    let mut first = client.open(&mut server, 1, "data").await;
    client.send(data(1, "x", false)).await;
    client.send(reset(1, ResetStatus::CANCEL)).await;
    assert_eq!(text(&mut first).await, "x");
    let second = client.open(&mut server, 3, "data").await;
    second.reset();
    assert_eq!(client.next().await, reset(3, ResetStatus::CANCEL));
}

#[tokio::test]
async fn streams_at_once_are_bounded() {
    let (mut client, mut server) = start();
    let mut streams = Vec::new();
    for number in 0..256 {
        streams.push(client.open(&mut server, 2 * number + 1, "data").await);
    }
    client.send(opening(513, "data")).await;
    assert_eq!(client.next().await, reset(513, ResetStatus::REFUSED_STREAM));
    client.send(reset(1, ResetStatus::CANCEL)).await;
    streams.push(client.open(&mut server, 515, "data").await);
}

#[tokio::test]
async fn a_client_without_windows_is_sent_everything() {
    let (mut client, mut server) = start();
    let mut stream = client.open(&mut server, 1, "stdout").await;
    let bytes = vec![7; 1_000_000];
    let (written, read) = tokio::join!(stream.write_all(&bytes), client.read(1_000_000));
    written.unwrap();
    assert!(read.0 == bytes);
}

#[tokio::test]
async fn a_client_with_windows_is_waited_for() {
    let (mut client, mut server) = start();
    client.send(Frame::Settings(vec![(7, 1000)])).await;
    let mut stream = client.open(&mut server, 1, "stdout").await;
    stream.write_all(&[7; 3000]).await.unwrap();
    assert_eq!(client.read(1000).await.0.len(), 1000);
    client.send(Frame::Ping(1)).await;
    assert_eq!(client.next().await, Frame::Ping(1), "no more data before the window opens");
    client.send(Frame::WindowUpdate { stream: Some(id(1)), delta: 5000 }).await;
    assert_eq!(client.read(2000).await.0.len(), 2000);
}

#[tokio::test]
async fn a_client_with_windows_is_told_to_go_on() {
    let (mut client, mut server) = start();
    client.send(Frame::Settings(Vec::new())).await;
    let mut stream = client.open(&mut server, 1, "stdin").await;
    client.send(data(1, vec![7; 40_000], false)).await;
    stream.read_exact(&mut vec![0; 40_000]).await.unwrap();
    let mut granted = [0, 0];
    while granted[0] < 32 * 1024 || granted[1] < 32 * 1024 {
        let Frame::WindowUpdate { stream, delta } = client.next().await else {
            panic!("no update")
        };
        granted[usize::from(stream.is_some())] += delta;
    }
}

/// Sends until nothing more is taken; answers how much that was.
async fn flood(client: &mut Client, number: u32) -> usize {
    let mut sent = 0;
    let patience = Duration::from_millis(300);
    while tokio::time::timeout(patience, client.send(data(number, vec![7; 10_000], false)))
        .await
        .is_ok()
    {
        sent += 10_000;
        assert!(sent < 10_000_000, "nothing holds the client back");
    }
    sent
}

#[tokio::test]
async fn an_owner_that_does_not_read_holds_the_client_back() {
    let (mut client, mut server) = start();
    let slow = client.open(&mut server, 1, "data").await;
    let mut quick = client.open(&mut server, 3, "data").await;
    client.send(data(1, vec![7; 500_000], false)).await;
    client.send(data(3, "quick", true)).await;
    assert_eq!(text(&mut quick).await, "quick", "one slow owner does not stop the others");
    let sent = 500_000 + flood(&mut client, 1).await;
    assert!((1_000_000..1_400_000).contains(&sent), "{sent}");
    // A client that vanishes now is noticed, though nothing is read from it.
    drop(client);
    server.clock.advance(Duration::from_secs(10));
    assert!(matches!(server.run.await.unwrap(), Err(FrameError::Io(_))));
    drop(slow);
}

#[tokio::test]
async fn an_owner_that_has_gone_holds_nobody_back() {
    let (mut client, mut server) = start();
    drop(client.open(&mut server, 1, "stdin").await);
    assert_eq!(client.next().await, data(1, "", true));
    client.send(data(1, vec![7; 3_000_000], true)).await;
    client.send(Frame::Ping(1)).await;
    assert_eq!(client.next().await, Frame::Ping(1));
}

#[tokio::test]
async fn nonsense_ends_the_session_with_a_reason() {
    let (mut client, mut server) = start();
    let mut stream = client.open(&mut server, 1, "stdin").await;
    client.sink.get_mut().write_all(&[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]).await.unwrap();
    let mut last = None;
    while let Some(frame) = client.frames.next().await {
        last = Some(frame.unwrap());
    }
    assert_eq!(text(&mut stream).await, "");
    drop(client);
    assert!(matches!(last, Some(Frame::GoAway { status: GoAwayStatus::PROTOCOL_ERROR, .. })));
    assert!(server.run.await.unwrap().is_err());
}

#[tokio::test]
async fn a_goodbye_ends_the_session() {
    let (mut client, mut server) = start();
    let stream = client.open(&mut server, 1, "stdin").await;
    client.send(Frame::GoAway { last: 0, status: GoAwayStatus::OK }).await;
    assert!(server.incoming.recv().await.is_none());
    drop(stream);
    assert_eq!(client.next().await, data(1, "", true));
    assert_eq!(client.next().await, Frame::GoAway { last: 1, status: GoAwayStatus::OK });
    // A client that does not hang up is not waited for.
    server.clock.advance(Duration::from_secs(2));
    server.run.await.unwrap().unwrap();
}

pub(super) fn any_frame() -> impl Strategy<Value = Frame> {
    let stream = || (1..0x8000_0000_u32).prop_map(id);
    let number = any::<u32>;
    let headers = || {
        let pairs = proptest::collection::btree_map("[a-z-]{1,8}", "\\PC{0,20}", 0..5);
        pairs.prop_map(Headers::from_iter)
    };
    let bytes = proptest::collection::vec(any::<u8>(), 0..3000).prop_map(Bytes::from);
    prop_oneof![
        (stream(), any::<[bool; 2]>(), headers()).prop_map(
            |(stream, [fin, unidirectional], headers)| {
                Frame::SynStream(SynStream { stream, fin, unidirectional, headers })
            }
        ),
        (stream(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Frame::SynReply {
            stream,
            fin,
            headers
        }),
        (stream(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Frame::Headers {
            stream,
            fin,
            headers
        }),
        (stream(), number())
            .prop_map(|(stream, status)| Frame::RstStream { stream, status: ResetStatus(status) }),
        proptest::collection::vec((0..1_u32 << 24, number()), 0..5).prop_map(Frame::Settings),
        number().prop_map(Frame::Ping),
        (number(), number())
            .prop_map(|(last, status)| Frame::GoAway { last, status: GoAwayStatus(status) }),
        (proptest::option::of(stream()), 0..0x8000_0000_u32)
            .prop_map(|(stream, delta)| Frame::WindowUpdate { stream, delta }),
        (stream(), any::<bool>(), bytes).prop_map(|(stream, fin, bytes)| Frame::Data {
            stream,
            fin,
            bytes
        }),
    ]
}

/// Decodes what arrives in portions of so many bytes.
fn decoded(wire: &[u8], portion: usize) -> Vec<Frame> {
    let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::new());
    let mut frames = Vec::new();
    for arrived in wire.chunks(portion) {
        buffer.extend_from_slice(arrived);
        while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
            frames.push(frame);
        }
    }
    assert!(buffer.is_empty());
    frames
}

proptest! {
    #[test]
    fn frames_survive_the_wire(
        frames in proptest::collection::vec(any_frame(), 0..10),
        portion in 1..5000_usize,
    ) {
        let (mut encoder, mut wire) = (Encoder::new(), BytesMut::new());
        for frame in &frames {
            encoder.encode(frame.clone(), &mut wire).unwrap();
        }
        prop_assert_eq!(joined(decoded(&wire, portion)), joined(frames));
    }
}

/// Neighbouring data of one stream as one frame.
fn joined(frames: Vec<Frame>) -> Vec<Frame> {
    let mut all: Vec<Frame> = Vec::new();
    for frame in frames {
        match (all.last_mut(), frame) {
            (
                Some(Frame::Data { stream: last, fin: last_fin @ false, bytes: before }),
                Frame::Data { stream, fin, bytes },
            ) if *last == stream => {
                *before = [&before[..], &bytes[..]].concat().into();
                *last_fin = fin;
            }
            (_, frame) => all.push(frame),
        }
    }
    all
}
