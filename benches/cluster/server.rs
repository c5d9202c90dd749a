//! The process under measurement: started as a user starts it, asked to stop as a user asks.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sampan::api::yaml;
use sampan::client::clock::Clock;
use sampan::cluster::process::request_stop;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::http::{Access, Connection};

const START_TIMEOUT: Duration = Duration::from_secs(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the kubeconfig is looked for: tokio's timers know no less.
const POLL: Duration = Duration::from_millis(1);

/// A process is at rest when it computes less than a twentieth of so much time.
const SETTLE_LOOK: Duration = Duration::from_secs(1);
const SETTLE_LOOKS_MAX: usize = 20;

/// A data directory that one server after another may run on.
#[derive(Debug)]
pub(crate) struct Home(TempDir);

/// A running `sampan up`; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    access: Access,
    /// From before the process was started until /readyz had answered 200 over a new connection.
    pub(crate) start: Duration,
}

/// The process as the system sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Resident pages, each counted once however often it is mapped, and page tables.
    pub(crate) bytes: u64,
    /// User and system time, in ticks of 10 ms.
    pub(crate) cpu: Duration,
}

impl Home {
    pub(crate) fn new() -> io::Result<Self> {
        tempfile::Builder::new().prefix("sampan-bench-").tempdir().map(Self)
    }

    /// Of a file beside the data directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts the binary and waits until /readyz answers 200.
    pub(crate) async fn start(&self) -> anyhow::Result<Server> {
        self.start_with(&[]).await
    }

    /// The same, with more arguments for `sampan up`.
    pub(crate) async fn start_with(&self, arguments: &[&str]) -> anyhow::Result<Server> {
        let kubeconfig = self.path("kubeconfig");
        // One from an earlier life names a port that is no more.
        if kubeconfig.exists() {
            fs::remove_file(&kubeconfig)?;
        }
        let log = File::create(self.path("log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_sampan"));
        command.args(["up", "--listen", "127.0.0.1:0", "--data-dir"]).arg(self.path("data"));
        command.arg("--kubeconfig").arg(&kubeconfig).env("HOME", self.0.path());
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let begin = Instant::now();
        let mut child = command.spawn().context("start sampan")?;
        let ready = tokio::time::timeout(START_TIMEOUT, self.ready(&mut child)).await;
        let access = ready.unwrap_or_else(|_| Err(anyhow::anyhow!("not ready in time")));
        let access = access.with_context(|| self.log())?;
        Ok(Server { child, access, start: begin.elapsed() })
    }

    /// Waits for the kubeconfig, which is written when the server takes itself for ready, and asks.
    async fn ready(&self, child: &mut Child) -> anyhow::Result<Access> {
        let clock = Clock::system();
        let access = loop {
            if let Some(status) = child.try_wait()? {
                bail!("sampan ended: {status}");
            }
            match fs::read(self.path("kubeconfig")) {
                Ok(bytes) => break read_access(&bytes)?,
                Err(err) if err.kind() == io::ErrorKind::NotFound => clock.sleep(POLL).await,
                Err(err) => return Err(err.into()),
            }
        };
        let connection = Connection::open(&access).await?;
        connection.get("/readyz").await.context("ask /readyz")?;
        Ok(access)
    }

    fn log(&self) -> String {
        format!("its output: {}", fs::read_to_string(self.path("log")).unwrap_or_default().trim())
    }
}

impl Server {
    /// A new TLS connection of the administrator's.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.access).await
    }

    pub(crate) async fn connections(&self, count: usize) -> anyhow::Result<Vec<Connection>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(self.connect().await?);
        }
        Ok(connections)
    }

    /// Stops it in order, so that the next life finds everything.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        request_stop(self.child.id().context("sampan has ended already")?)?;
        let status = tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await;
        let status = status.context("sampan did not stop in time")??;
        if !status.success() {
            bail!("sampan ended with {status}");
        }
        Ok(())
    }

    /// Waits until the process is at rest: programs that a cluster's first Pods had compiled in a hurry are
    /// compiled again behind them. What is measured before that shares its cores with it.
    pub(crate) async fn settle(&self) {
        let cpu = || self.usage().map(|usage| usage.cpu);
        for _ in 0..SETTLE_LOOKS_MAX {
            let before = cpu();
            Clock::system().sleep(SETTLE_LOOK).await;
            let used = before.zip(cpu()).map(|(was, is)| is - was);
            if used.is_none_or(|used| used < SETTLE_LOOK / 20) {
                return;
            }
        }
    }

    /// What the process uses now; `None` where there is no /proc.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let directory = format!("/proc/{}", self.child.id()?);
        let kibibytes = |file: &str, field: &str| {
            let text = fs::read_to_string(format!("{directory}/{file}")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix(field))?;
            line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().ok()
        };
        // RSS counts a program's memory image, which all its instances map, for each of them.
        let bytes = (kibibytes("smaps_rollup", "Pss:")? + kibibytes("status", "VmPTE")?) * 1024;
        // After the name in brackets, which may hold spaces: field 3 of proc(5) and so on.
        let stat = fs::read_to_string(format!("{directory}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        let cpu = Duration::from_millis((ticks()? + ticks()?) * 10);
        Some(Usage { bytes, cpu })
    }
}

fn read_access(kubeconfig: &[u8]) -> anyhow::Result<Access> {
    let config = yaml::parse(kubeconfig).map_err(|err| anyhow::anyhow!("{err}"))?.value;
    let pem = |value: &Value| -> anyhow::Result<Vec<u8>> {
        Ok(STANDARD.decode(value.as_str().context("the kubeconfig lacks a certificate or key")?)?)
    };
    let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
    let server = cluster["server"].as_str().context("the kubeconfig names no server")?;
    Access::new(
        server,
        &pem(&cluster["certificate-authority-data"])?,
        &pem(&user["client-certificate-data"])?,
        &pem(&user["client-key-data"])?,
    )
}
