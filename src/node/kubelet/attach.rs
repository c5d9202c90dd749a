//! A running container's standard streams, for whoever attaches to it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use k8s_openapi::api::core::v1::Container;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::logs::Stream;
use crate::client::node_api::{BoxRead, BoxWrite, Streams, TerminalSize};

/// Writes of the guest that an attached client has yet to take. Bound: with at most 64 KiB each,
/// 16 MiB; a slower client is cut off, and the container's log has what it missed.
const PENDING_MAX: usize = 256;
/// What a client has sent and the guest has not read.
const STDIN_BYTES_MAX: usize = 64 << 10;

/// The guest's ends of its streams that come from clients.
pub(super) struct Ends {
    pub(super) stdin: Option<BoxRead>,
    /// The terminal's window, if it is to have one.
    pub(super) terminal: Option<watch::Receiver<TerminalSize>>,
}

/// Joins one container run and its attached clients.
pub(super) struct Hub {
    /// Kept beside the list, so that a guest nobody watches pays one load per write.
    attached: AtomicUsize,
    clients: Mutex<Vec<mpsc::Sender<(Stream, Bytes)>>>,
    /// Whoever writes holds the inner lock; `None` once it is closed, or if there never was one.
    stdin: Mutex<Option<Arc<AsyncMutex<DuplexStream>>>>,
    stdin_once: bool,
    /// With a terminal: its window, as the client who came last has it.
    size_tx: Option<watch::Sender<TerminalSize>>,
    ended: CancellationToken,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("attached", &self.attached).finish_non_exhaustive()
    }
}

impl Hub {
    /// And the guest's ends of it.
    pub(super) fn new(spec: &Container) -> (Arc<Self>, Ends) {
        let pipe = spec.stdin.unwrap_or(false).then(|| tokio::io::duplex(STDIN_BYTES_MAX));
        let (ours, theirs) = pipe.unzip();
        let sizes = spec.tty.unwrap_or(false).then(|| watch::channel(TerminalSize::default()));
        let (size_tx, size_rx) = sizes.unzip();
        let hub = Self {
            attached: AtomicUsize::new(0),
            clients: Mutex::new(Vec::new()),
            stdin: Mutex::new(ours.map(|ours| Arc::new(AsyncMutex::new(ours)))),
            stdin_once: spec.stdin_once.unwrap_or(false),
            size_tx,
            ended: CancellationToken::new(),
        };
        let stdin = theirs.map(|theirs| Box::new(theirs) as BoxRead);
        (Arc::new(hub), Ends { stdin, terminal: size_rx })
    }

    /// Shows the clients what the guest wrote. Never blocks: a client that is behind is cut off.
    pub(super) fn publish(&self, stream: Stream, bytes: &[u8]) {
        if self.attached.load(Ordering::Relaxed) == 0 {
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let mut clients = self.clients.lock();
        clients.retain(|client| client.try_send((stream, bytes.clone())).is_ok());
        self.attached.store(clients.len(), Ordering::Relaxed);
    }

    /// The run is over: clients get what is left and end.
    pub(super) fn end(&self) {
        self.ended.cancel();
        self.clients.lock().clear();
        self.attached.store(0, Ordering::Relaxed);
    }

    /// Joins `streams` to the container until it ends or the client has taken its leave.
    ///
    /// # Errors
    /// If the client's streams fail.
    pub(super) async fn attach(&self, streams: Streams) -> io::Result<()> {
        let (client_tx, client_rx) = mpsc::channel(PENDING_MAX);
        {
            let mut clients = self.clients.lock();
            clients.push(client_tx);
            self.attached.store(clients.len(), Ordering::Relaxed);
        }
        if self.ended.is_cancelled() {
            self.clients.lock().clear();
        }
        let Streams { stdin, stdout, stderr, terminal } = streams;
        let show = show(client_rx, stdout, stderr);
        let feed = async {
            if let Some(stdin) = stdin {
                self.feed(stdin).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            shown = show => shown,
            () = feed => Ok(()),
            () = self.resize(terminal) => Ok(()),
        }
    }

    /// Hands on the client's window sizes, for as long as it is there.
    async fn resize(&self, client: Option<watch::Receiver<TerminalSize>>) {
        if let (Some(mut client), Some(size_tx)) = (client, &self.size_tx) {
            while client.changed().await.is_ok() {
                size_tx.send_replace(*client.borrow_and_update());
            }
        }
        std::future::pending::<()>().await;
    }

    async fn feed(&self, mut from: BoxRead) {
        let _leaving = Feeding { hub: self };
        let mut buffer = vec![0; 16 << 10];
        // Whoever types next waits for what was typed before: clients take turns, chunk by chunk.
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let stdin = self.stdin.lock().clone();
            let Some(stdin) = stdin else { return };
            if stdin.lock().await.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    }
}

/// A client that feeds stdin; if that is to be open once, it ends when the client leaves, in
/// whatever way.
struct Feeding<'a> {
    hub: &'a Hub,
}

impl Drop for Feeding<'_> {
    fn drop(&mut self) {
        if self.hub.stdin_once {
            *self.hub.stdin.lock() = None;
        }
    }
}

async fn show(
    mut client_rx: mpsc::Receiver<(Stream, Bytes)>,
    mut stdout: Option<BoxWrite>,
    mut stderr: Option<BoxWrite>,
) -> io::Result<()> {
    while let Some((stream, bytes)) = client_rx.recv().await {
        let to = match stream {
            Stream::Stdout => &mut stdout,
            Stream::Stderr => &mut stderr,
        };
        if let Some(to) = to {
            to.write_all(&bytes).await?;
            to.flush().await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(stdin: bool, tty: bool) -> (Arc<Hub>, Ends) {
        Hub::new(&Container {
            stdin: Some(stdin),
            stdin_once: Some(stdin),
            tty: Some(tty),
            ..Container::default()
        })
    }

    #[tokio::test]
    async fn clients_see_what_is_written_while_they_are_attached() {
        let (hub, _) = hub(false, false);
        hub.publish(Stream::Stdout, b"before");
        let (stdout, mut theirs) = tokio::io::duplex(1024);
        let streams = Streams { stdout: Some(Box::new(stdout)), ..Streams::default() };
        let write = async {
            hub.publish(Stream::Stdout, b"hello");
            hub.publish(Stream::Stderr, b"unseen");
            hub.end();
        };
        let (attached, ()) = tokio::join!(hub.attach(streams), write);
        attached.unwrap();
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    }

    #[tokio::test]
    async fn stdin_reaches_the_guest_and_closes_once() {
        let (hub, ends) = hub(true, false);
        let mut guest = ends.stdin.unwrap();
        let streams = Streams { stdin: Some(Box::new(&b"typed"[..])), ..Streams::default() };
        let read = async {
            let mut text = String::new();
            guest.read_to_string(&mut text).await.unwrap();
            hub.end();
            text
        };
        let (attached, text) = tokio::join!(hub.attach(streams), read);
        attached.unwrap();
        assert_eq!(text, "typed");
    }

    #[tokio::test]
    async fn clients_type_side_by_side() {
        let (hub, ends) = Hub::new(&Container { stdin: Some(true), ..Container::default() });
        let mut guest = ends.stdin.unwrap();
        let (mut one, one_theirs) = tokio::io::duplex(16);
        let (mut other, other_theirs) = tokio::io::duplex(16);
        let attach = |stdin: DuplexStream| {
            hub.attach(Streams { stdin: Some(Box::new(stdin)), ..Streams::default() })
        };
        let typing = async {
            let mut text = [0; 1];
            for (from, letter) in [(&mut one, b'a'), (&mut other, b'b')] {
                from.write_all(&[letter]).await.unwrap();
                guest.read_exact(&mut text).await.unwrap();
                assert_eq!(text, [letter]);
            }
            hub.end();
        };
        let (ended, other_ended, ()) =
            tokio::join!(attach(one_theirs), attach(other_theirs), typing);
        ended.and(other_ended).unwrap();
    }

    #[tokio::test]
    async fn stdin_that_is_open_once_ends_with_a_client_who_is_cut_off() {
        let (hub, ends) = hub(true, false);
        let (_typed, keyboard) = tokio::io::duplex(16);
        let streams = Streams { stdin: Some(Box::new(keyboard)), ..Streams::default() };
        let mut attached = Box::pin(hub.attach(streams));
        assert!(futures::poll!(&mut attached).is_pending());
        drop(attached);
        let mut text = String::new();
        ends.stdin.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off_and_blocks_nobody() {
        let (hub, _) = hub(false, false);
        let (stdout, _theirs) = tokio::io::duplex(1);
        let streams = Streams { stdout: Some(Box::new(stdout)), ..Streams::default() };
        let mut attached = Box::pin(hub.attach(streams));
        assert!(futures::poll!(&mut attached).is_pending());
        for _ in 0..=PENDING_MAX {
            hub.publish(Stream::Stdout, b"flood");
        }
        assert_eq!(hub.attached.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn attaching_after_the_end_ends_at_once() {
        let (hub, _) = hub(false, false);
        hub.end();
        hub.attach(Streams::default()).await.unwrap();
    }

    #[tokio::test]
    async fn the_terminals_window_is_that_of_the_client_who_came_last() {
        let (hub, ends) = hub(false, true);
        let mut guest = ends.terminal.unwrap();
        for width in [80, 132] {
            let (size_tx, size_rx) = watch::channel(TerminalSize::default());
            let streams = Streams { terminal: Some(size_rx), ..Streams::default() };
            let mut attached = Box::pin(hub.attach(streams));
            size_tx.send_replace(TerminalSize { width, height: 24 });
            assert!(futures::poll!(&mut attached).is_pending());
            assert_eq!(guest.borrow_and_update().width, width);
        }
    }
}
