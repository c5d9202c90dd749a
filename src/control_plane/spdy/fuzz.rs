//! Whatever comes, nothing panics, nothing hangs, and bounds hold.
//!
//! `SAMPAN_FUZZ_SECONDS=600 cargo test spdy::fuzz -- --nocapture` goes on for ten minutes; a failure
//! names its seed, and `SAMPAN_FUZZ_SEED` begins with that one.

use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::codec::{Decoder, Encoder};
use super::frame::{Frame, GoAwayStatus, ResetStatus, StreamId};
use super::headers::{HEADERS_BYTES_MAX, Headers};
use super::tests::opening;
use super::{Session, Stream};
use crate::client::clock::Clock;

/// Splitmix64: one number tells the whole run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn number(&mut self) -> u32 {
        match self.below(4) {
            0 => u32::try_from(self.next() >> 32).unwrap(),
            1 => u32::MAX >> self.below(32),
            _ => u32::try_from(self.below(12)).unwrap(),
        }
    }

    fn bytes(&mut self, length_max: usize) -> Vec<u8> {
        (0..self.below(length_max)).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// Plausible more often than not.
    fn frame(&mut self) -> Frame {
        let stream = StreamId::new(self.number()).or(StreamId::new(1)).unwrap();
        let fin = self.below(4) == 0;
        let headers = Headers::from_iter([("x".to_owned(), "y".repeat(self.below(50)))]);
        match self.below(12) {
            0..=2 => opening(stream.number(), "data"),
            3 => Frame::Headers { stream, fin, headers },
            4 => Frame::RstStream { stream, status: ResetStatus(self.number()) },
            5 => Frame::Settings(vec![(self.number() & 0x00ff_ffff, self.number())]),
            6 => Frame::Ping(self.number()),
            7 => Frame::WindowUpdate { stream: Some(stream), delta: self.number() & 0x7fff_ffff },
            8 => Frame::WindowUpdate { stream: None, delta: self.number() & 0x7fff_ffff },
            9 if self.below(10) == 0 => Frame::GoAway { last: 0, status: GoAwayStatus::OK },
            10 => Frame::SynReply { stream, fin, headers },
            _ => Frame::Data { stream, fin, bytes: self.bytes(2000).into() },
        }
    }

    /// A conversation, in every second case damaged in a few places; now and then noise.
    fn wire(&mut self) -> Vec<u8> {
        if self.below(8) == 0 {
            return self.bytes(500);
        }
        let (mut encoder, mut wire) = (Encoder::new(), BytesMut::new());
        for _ in 0..self.below(20) {
            encoder.encode(self.frame(), &mut wire).unwrap();
        }
        let mut wire = wire.to_vec();
        if self.below(2) == 0 {
            for _ in 0..self.below(6) {
                self.damage(&mut wire);
            }
        }
        wire
    }

    fn damage(&mut self, wire: &mut Vec<u8>) {
        if wire.is_empty() {
            return;
        }
        // Frames' heads are where the harm is.
        let at = self.below(wire.len());
        match self.below(5) {
            0 => wire[at] ^= 1 << self.below(8),
            1 => wire[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            2 => wire.truncate(at),
            3 => drop(wire.splice(at..at, self.bytes(12))),
            _ => drop(wire.drain(at..(at + self.below(12)).min(wire.len()))),
        }
    }
}

fn decode(random: &mut Random) {
    let wire = random.wire();
    let portion = 1 + random.below(wire.len() + 1);
    let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::new());
    let mut data_bytes = 0;
    for arrived in wire.chunks(portion) {
        buffer.extend_from_slice(arrived);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(Frame::Data { bytes, .. })) => data_bytes += bytes.len(),
                Ok(Some(Frame::SynStream(it))) => {
                    assert!(format!("{:?}", it.headers).len() < 8 * HEADERS_BYTES_MAX);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(data_bytes <= wire.len());
}

/// An owner that reads, writes, resets or only waits.
async fn own(mut stream: Stream, what: usize) {
    let mut bytes = [0; 700];
    match what {
        0 => drop(stream),
        1 => stream.reset(),
        2 => while let Ok(1..) = stream.read(&mut bytes).await {},
        3 => {
            while stream.write_all(&bytes).await.is_ok() && bytes[0] < 200 {
                bytes[0] += 1;
            }
        }
        _ => {
            while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                if stream.write_all(&bytes[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A session that gets these bytes and then the connection's end, ends.
async fn serve(random: &mut Random) {
    let (theirs, ours) = tokio::io::duplex(1 + random.below(5000));
    let clock = Clock::system();
    let (session, mut incoming) = Session::new(ours, clock, |_| true);
    let (mut reader, mut writer) = tokio::io::split(theirs);
    let wire = random.wire();
    let reads = random.below(4) > 0;
    let mut owners = futures::stream::FuturesUnordered::new();
    let sending = async move {
        // The session may end first.
        let _ = writer.write_all(&wire).await;
        let _ = writer.shutdown().await;
        writer
    };
    let reading = async move {
        if reads {
            let _ = reader.read_to_end(&mut Vec::new()).await;
        }
        reader
    };
    let client = async { drop(tokio::join!(sending, reading)) };
    let owning = async {
        loop {
            tokio::select! {
                stream = incoming.recv() => match stream {
                    Some(stream) => owners.push(own(stream, random.below(6))),
                    None => break,
                },
                Some(()) = owners.next() => {}
            }
        }
        while owners.next().await.is_some() {}
    };
    // How it ends is the client's fault; that it ends is ours.
    let _ = tokio::join!(session.run(), client, owning);
}

#[expect(clippy::disallowed_methods, reason = "for this test only")]
fn from_environment(name: &str) -> Option<f64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs cases with seeds 0, 1, 2 … for a while.
fn run(name: &str, mut case: impl FnMut(&mut Random)) {
    let time = Duration::from_secs_f64(from_environment("SAMPAN_FUZZ_SECONDS").unwrap_or(0.3));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a seed")]
    let first = from_environment("SAMPAN_FUZZ_SEED").unwrap_or(0.0) as u64;
    let started = Instant::now();
    let mut seed = first;
    while started.elapsed() < time {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            case(&mut Random(seed));
        }));
        assert!(outcome.is_ok(), "{name}: seed {seed} fails");
        seed += 1;
    }
    println!("{name}: {} cases in {:?}", seed - first, started.elapsed());
}

#[test]
fn no_bytes_break_the_decoder() {
    run("decoder", decode);
}

#[test]
fn no_bytes_break_a_session() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    run("session", |random| {
        let limit = Duration::from_secs(20);
        let ended = runtime.block_on(async { tokio::time::timeout(limit, serve(random)).await });
        assert!(ended.is_ok(), "the session hangs");
    });
}
