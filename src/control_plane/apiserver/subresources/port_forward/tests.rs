//! A client's session with a Pod that answers by the port.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::task::TaskTracker;

use super::door::Door;
use super::tunnel::Tunnel;
use super::{channels, pairs};
use crate::client::clock::Clock;
use crate::client::node_api::{
    BoxDuplex, ContainerRef, LogOptions, NodeApi, NodeError, PodRef, Stats, Streams,
};
use crate::control_plane::apiserver::subresources::websocket;
use crate::control_plane::spdy::client::{Client, Event};

/// Echoes, after the client has finished, what it was sent.
const ECHO: &str = "80";
const REFUSES: &str = "81";
/// Sends [`FLOOD_BYTES`] and closes without reading.
const FLOODS: &str = "82";
/// Says hello, and then nothing; notices when it is left.
const SILENT: &str = "83";

const FLOOD_BYTES: usize = 3_000_000;

#[derive(Default)]
struct Pod {
    tasks: TaskTracker,
    left: Arc<Notify>,
}

#[async_trait]
impl NodeApi for Pod {
    async fn logs(
        &self,
        _: &ContainerRef,
        _: LogOptions,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>, NodeError> {
        unreachable!("nobody asks")
    }

    async fn exec(&self, _: &ContainerRef, _: Vec<String>, _: Streams) -> Result<i32, NodeError> {
        unreachable!("nobody asks")
    }

    async fn attach(&self, _: &ContainerRef, _: Streams) -> Result<(), NodeError> {
        unreachable!("nobody asks")
    }

    async fn port_forward(&self, _: &PodRef, port: u16) -> Result<BoxDuplex, NodeError> {
        let (theirs, mut ours) = tokio::io::duplex(16 * 1024);
        let left = self.left.clone();
        match port.to_string().as_str() {
            ECHO => self.tasks.spawn(async move {
                let mut all = Vec::new();
                ours.read_to_end(&mut all).await.unwrap();
                ours.write_all(&all).await.unwrap();
            }),
            FLOODS => self.tasks.spawn(async move {
                ours.write_all(&vec![b'x'; FLOOD_BYTES]).await.unwrap();
            }),
            SILENT => self.tasks.spawn(async move {
                ours.write_all(b"hello").await.unwrap();
                ours.read_to_end(&mut Vec::new()).await.unwrap();
                left.notify_one();
            }),
            _ => return Err(NodeError::BadRequest("connection refused".to_owned())),
        };
        Ok(Box::new(theirs))
    }

    async fn stats(&self, _: &[PodRef]) -> Stats {
        unreachable!("nobody asks")
    }
}

struct Served {
    pod: Arc<Pod>,
    clock: Clock,
    tasks: TaskTracker,
}

impl Served {
    fn new() -> Self {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        Self { pod: Arc::default(), clock, tasks: TaskTracker::new() }
    }

    fn door(&self) -> Door {
        let pod = PodRef { namespace: "default".into(), name: "web".into(), uid: "u".into() };
        Door::new(self.pod.clone(), pod)
    }

    fn client(&self) -> Client<DuplexStream> {
        let (theirs, ours) = tokio::io::duplex(16 * 1024);
        self.tasks.spawn(pairs::serve_on(ours, self.door(), self.clock.clone()));
        Client::new(theirs)
    }
}

fn headers<'a>(kind: &'a str, port: &'a str, request: &'a str) -> [(&'a str, &'a str); 3] {
    [("streamtype", kind), ("port", port), ("requestid", request)]
}

/// Opens a pair: the error stream `number` and the data stream after it.
async fn open(client: &mut Client<DuplexStream>, number: u32, port: &str) {
    let request = number.to_string();
    client.open(number, &headers("error", port, &request)).await;
    client.finish(number).await;
    client.open(number + 2, &headers("data", port, &request)).await;
}

#[tokio::test]
async fn a_half_closed_connection_is_answered() {
    let served = Served::new();
    let mut client = served.client();
    open(&mut client, 1, ECHO).await;
    client.write(3, "hello").await;
    client.finish(3).await;
    assert_eq!(client.read(3).await, b"hello");
}

#[tokio::test]
async fn a_refused_connection_is_told_and_others_go_on() {
    let served = Served::new();
    let mut client = served.client();
    open(&mut client, 1, ECHO).await;
    open(&mut client, 5, REFUSES).await;
    let text = "error forwarding port 81 to pod web, uid u: connection refused";
    assert_eq!(String::from_utf8(client.read(5).await).unwrap(), text);
    client.write(3, "still here").await;
    client.finish(3).await;
    assert_eq!(client.read(3).await, b"still here");
}

#[tokio::test]
async fn a_stream_that_is_not_read_does_not_hold_up_the_others() {
    let served = Served::new();
    let mut client = served.client();
    open(&mut client, 1, SILENT).await;
    // More than the Pod takes; it waits in the session.
    for _ in 0..10 {
        client.write(3, vec![b'x'; 16 * 1024]).await;
    }
    open(&mut client, 5, FLOODS).await;
    // A Pod that has closed reads nothing of this.
    client.write(7, vec![b'x'; 100_000]).await;
    assert_eq!(client.read(7).await.len(), FLOOD_BYTES);
}

#[tokio::test]
async fn a_reset_reaches_the_pod() {
    let served = Served::new();
    let mut client = served.client();
    open(&mut client, 1, SILENT).await;
    assert_eq!(client.next().await, Event::Opened(1));
    client.reset(3).await;
    served.pod.left.notified().await;
}

#[tokio::test]
async fn a_client_that_goes_takes_its_connections_along() {
    let served = Served::new();
    let mut client = served.client();
    open(&mut client, 1, SILENT).await;
    while client.next().await != Event::Opened(3) {}
    drop(client);
    served.pod.left.notified().await;
    served.tasks.close();
    served.tasks.wait().await;
}

#[tokio::test]
async fn strange_streams_are_turned_down() {
    let served = Served::new();
    let mut client = served.client();
    for (number, kind, port) in
        [(1, "error", "0"), (3, "data", "65536"), (5, "data", "http"), (7, "stdin", "80")]
    {
        client.open(number, &headers(kind, port, "1")).await;
        assert_eq!(client.next().await, Event::Reset(number));
    }
}

#[tokio::test]
async fn a_request_has_one_error_stream_and_gets_its_data_stream_in_time() {
    let served = Served::new();
    let mut client = served.client();
    client.open(1, &headers("error", ECHO, "a")).await;
    client.open(3, &headers("error", ECHO, "a")).await;
    assert_eq!(client.next().await, Event::Opened(1));
    assert_eq!(client.next().await, Event::Opened(3));
    let mut told = [false; 2];
    while told != [true; 2] {
        match client.next().await {
            Event::Data(1, text) => {
                let expect = "error processing stream for request a: error stream already assigned";
                assert_eq!(text, expect);
                told[0] = true;
            }
            Event::Finished(3) => told[1] = true,
            other => panic!("{other:?}"),
        }
    }
    served.clock.advance(std::time::Duration::from_secs(30));
    let text = String::from_utf8(client.read(1).await).unwrap();
    assert_eq!(text, "(request=a) timed out waiting for streams");
}

/// Both ends of a WebSocket, without the handshake.
async fn sockets() -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (theirs, ours) = tokio::io::duplex(16 * 1024);
    let config = Some(websocket::config());
    (
        WebSocketStream::from_raw_socket(theirs, Role::Client, config).await,
        WebSocketStream::from_raw_socket(ours, Role::Server, config).await,
    )
}

#[tokio::test]
async fn a_websocket_carries_spdy() {
    let served = Served::new();
    let (theirs, ours) = sockets().await;
    let session = pairs::serve_on(Tunnel::new(ours), served.door(), served.clock.clone());
    served.tasks.spawn(session);
    let mut client = Client::new(Tunnel::new(theirs));
    let request = "1";
    client.open(1, &headers("error", FLOODS, request)).await;
    client.open(3, &headers("data", FLOODS, request)).await;
    assert_eq!(client.read(3).await.len(), FLOOD_BYTES);
}

#[tokio::test]
async fn channels_begin_with_their_ports() {
    let served = Served::new();
    let (mut client, ours) = sockets().await;
    let door = served.door();
    let session = async move { channels::serve_on(ours, &[82, 81], &door).await };
    served.tasks.spawn(session);
    let mut received = [const { Vec::new() }; 4];
    loop {
        match client.next().await.unwrap().unwrap() {
            Message::Binary(frame) => {
                received[usize::from(frame[0])].extend_from_slice(&frame[1..]);
            }
            Message::Close(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received[0].len(), 2 + FLOOD_BYTES);
    assert_eq!(received[0][..2], [82, 0]);
    assert_eq!(received[1], [82, 0]);
    assert_eq!(received[2], [81, 0]);
    let text = b"\x51\0error forwarding port 81 to pod web, uid u: connection refused";
    assert_eq!(received[3], text);
    client.close(None).await.ok();
}

#[tokio::test]
async fn what_the_client_sends_on_a_channel_reaches_the_pod() {
    let served = Served::new();
    let (mut client, ours) = sockets().await;
    let door = served.door();
    served.tasks.spawn(async move { channels::serve_on(ours, &[83], &door).await });
    client.send(Message::Binary(Bytes::from_static(b"\0hello"))).await.unwrap();
    for expect in [&b"\0\x53\0"[..], b"\x01\x53\0", b"\0hello"] {
        let frame = client.next().await.unwrap().unwrap();
        assert_eq!(frame, Message::Binary(Bytes::copy_from_slice(expect)));
    }
    client.send(websocket::goodbye()).await.unwrap();
    served.pod.left.notified().await;
}
