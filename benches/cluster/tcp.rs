//! Connections as a plain program opens them: question and answer over each, one after another.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use sampan::client::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::figures::{Samples, Table};

/// How long one round is measured, and how many there are: those who are compared take turns, so that
/// what else the machine does meets all of them.
const SPAN: Duration = Duration::from_millis(800);
const ROUNDS: usize = 5;
const START_TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked, and how its answer begins and ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    pub(crate) question: &'static [u8],
    pub(crate) begins: &'static [u8],
    pub(crate) ends: &'static [u8],
}

/// What the test guest `server` is asked.
pub(crate) const HELLO: Exchange = Exchange {
    question: b"GET /hello HTTP/1.1\r\nHost: web\r\n\r\n",
    begins: b"HTTP/1.1 200 ",
    ends: b"\r\n\r\nhello\n",
};

impl Exchange {
    pub(crate) async fn on(self, stream: &mut TcpStream) -> anyhow::Result<()> {
        stream.write_all(self.question).await?;
        let mut answer = Vec::with_capacity(512);
        while !answer.ends_with(self.ends) {
            let read = tokio::time::timeout(ANSWER_TIMEOUT, stream.read_buf(&mut answer)).await;
            ensure!(read.context("no answer in time")?? > 0, "the server has hung up");
        }
        let text = String::from_utf8_lossy(&answer);
        ensure!(answer.starts_with(self.begins), "an answer of another kind: {text}");
        Ok(())
    }

    /// Over a new connection.
    pub(crate) async fn once(self, address: SocketAddr) -> anyhow::Result<()> {
        self.on(&mut connect(address).await?).await
    }

    /// Asks until there is a first good answer.
    pub(crate) async fn soon(self, address: SocketAddr) -> anyhow::Result<()> {
        let (clock, begin) = (Clock::system(), Instant::now());
        loop {
            match self.once(address).await {
                Ok(()) => return Ok(()),
                Err(error) if begin.elapsed() > START_TIMEOUT => return Err(error),
                Err(_) => clock.sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Compares servers by so many connections at once: a row of the table for each.
    pub(crate) async fn compare(
        self,
        table: &Table,
        what: &str,
        servers: &[(String, SocketAddr)],
        connections: usize,
    ) -> anyhow::Result<()> {
        let mut rows: Vec<(Samples, Duration)> = Vec::new();
        rows.resize_with(servers.len(), Default::default);
        for _ in 0..ROUNDS {
            for ((_, address), row) in servers.iter().zip(&mut rows) {
                let (samples, elapsed) = self.often(*address, connections).await?;
                row.0.extend(samples);
                row.1 += elapsed;
            }
        }
        for ((name, _), (samples, elapsed)) in servers.iter().zip(&rows) {
            table.rate(&format!("{what}, {connections} connections: {name}"), samples, *elapsed);
        }
        Ok(())
    }

    /// For [`SPAN`].
    async fn often(
        self,
        address: SocketAddr,
        connections: usize,
    ) -> anyhow::Result<(Samples, Duration)> {
        let mut streams = Vec::new();
        for _ in 0..connections {
            let mut stream = connect(address).await?;
            self.on(&mut stream).await?;
            streams.push(stream);
        }
        let begin = Instant::now();
        let mut clients = JoinSet::new();
        for mut stream in streams {
            clients.spawn(async move {
                let mut samples = Samples::default();
                while begin.elapsed() < SPAN {
                    let asked = Instant::now();
                    self.on(&mut stream).await?;
                    samples.push(asked.elapsed());
                }
                anyhow::Ok(samples)
            });
        }
        let mut samples = Samples::default();
        while let Some(client) = clients.join_next().await {
            samples.extend(client??);
        }
        Ok((samples, begin.elapsed()))
    }
}

pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
