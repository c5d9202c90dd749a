//! Samples, what is told of them, and the one table they are printed in.
#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::time::Duration;

use sampan::client::clock::Clock;
use tokio::runtime::Builder;

/// What a timed loop took, one duration per repetition.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    /// The value that `share` (0 to 1) of the samples do not exceed: the nearest rank.
    fn percentile(&self, share: f64) -> Option<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

/// Does the work on this thread alone: a client of several would keep the server's cores from it, and wake
/// one of its own before a request leaves.
pub(crate) fn on_one_thread<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::task::block_in_place(|| {
        Builder::new_current_thread().enable_all().build()?.block_on(work)
    })
}

/// One table on stdout, a row as soon as it is known.
#[derive(Debug)]
pub(crate) struct Table {
    clock: Clock,
}

impl Table {
    /// Prints the head: when, where, under which load.
    pub(crate) fn start() -> Self {
        let clock = Clock::system();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let (system, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        println!("{} on {system} {arch}, {cores} cores, {}", clock.now(), processor());
        if cfg!(debug_assertions) {
            println!("built for debugging: these figures say nothing");
        }
        println!("{:<58} {:>7} {:>12} {:>12}  remark", "what", "n", "median", "p99");
        Self { clock }
    }

    pub(crate) fn section(&self, name: &str) {
        println!("-- {name} (load {})", load());
    }

    pub(crate) fn end(&self) {
        println!("-- end {} (load {})", self.clock.now(), load());
    }

    pub(crate) fn failed(&self, what: &str, err: &anyhow::Error) {
        println!("{what:<58} not measured: {err:#}");
    }

    /// How long each repetition took.
    pub(crate) fn times(&self, what: &str, samples: &Samples, remark: &str) {
        let show = |share| samples.percentile(share).map_or_else(|| "-".to_owned(), milliseconds);
        let (n, median, p99) = (samples.len(), show(0.5), show(0.99));
        println!("{what:<58} {n:>7} {median:>12} {p99:>12}  {remark}");
    }

    /// How many were done per second, and how long each took.
    pub(crate) fn rate(&self, what: &str, samples: &Samples, elapsed: Duration) {
        let rate = samples.len() as f64 / elapsed.as_secs_f64();
        self.times(what, samples, &format!("{rate:.0}/s"));
    }

    /// One figure that is not a duration, or that was taken once.
    pub(crate) fn figure(&self, what: &str, n: usize, value: &str, remark: &str) {
        println!("{what:<58} {n:>7} {value:>12} {:>12}  {remark}", "");
    }
}

pub(crate) fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1_000.0)
}

/// The load averages, where the system tells them in a file.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    if averages.is_empty() { "not known here".to_owned() } else { averages.join(" ") }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("processor not known", |(_, name)| name).to_owned()
}
