//! How far a download has come: in a terminal while it runs, elsewhere at its end only.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use sampan_process::{self as process, terminal};

/// How often the line is drawn anew.
const PERIOD: Duration = Duration::from_secs(1);

/// What the line needs beside its bar, and its width without a terminal.
const COLUMNS_BESIDE: usize = 48;
const COLUMNS: usize = 80;

#[derive(Debug)]
pub struct Progress {
    name: String,
    begin: u64,
    done: u64,
    total: Option<u64>,
    wanted: bool,
    in_terminal: bool,
    began: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// Of what is `total` long, if that is known, and begins at byte `begin`.
    pub fn new(name: &str, begin: u64, total: Option<u64>, wanted: bool) -> Self {
        let in_terminal = wanted && std::io::stderr().is_terminal();
        let began = Instant::now();
        Self {
            name: name.to_owned(),
            begin,
            done: 0,
            total,
            wanted,
            in_terminal,
            began,
            drawn: None,
        }
    }

    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
        if self.in_terminal && self.drawn.is_none_or(|drawn| drawn.elapsed() >= PERIOD) {
            self.drawn = Some(Instant::now());
            eprint!("\r{}", self.line(false));
            let _ = std::io::stderr().flush();
        }
    }

    /// The last line; nothing if none is wanted.
    pub fn end(&self) -> String {
        if !self.wanted {
            return String::new();
        }
        let start = if self.in_terminal { "\r" } else { "" };
        format!("{start}{}", self.line(true))
    }

    fn line(&self, is_end: bool) -> String {
        let columns =
            terminal::size(&process::stderr()).map_or(COLUMNS, |size| size.columns.into());
        let elapsed = self.began.elapsed();
        // At the end all that there was is there.
        let total = if is_end { Some(self.begin + self.done) } else { self.total };
        draw(&self.name, self.begin, self.done, total, elapsed, columns)
    }
}

fn draw(
    name: &str,
    begin: u64,
    done: u64,
    total: Option<u64>,
    elapsed: Duration,
    columns: usize,
) -> String {
    let name: String = name.chars().take(20).collect();
    let mut line = format!("{name:<20}");
    let here = begin + done;
    if let Some(total) = total {
        let percent = (here * 100).checked_div(total).unwrap_or(0).min(100);
        let width = columns.saturating_sub(COLUMNS_BESIDE);
        let stars = width * percent as usize / 100;
        line += &format!(" {percent:3}% |{:<width$}|", "*".repeat(stars));
    }
    line += &format!("{:>6} ", amount(here));
    match total.filter(|_| done > 0) {
        Some(total) => {
            let left = total.saturating_sub(here) as f64 * elapsed.as_secs_f64() / done as f64;
            let left = left as u64;
            line += &format!("{:2}:{:02}:{:02} ETA", left / 3600, left / 60 % 60, left % 60);
        }
        None => line += "--:--:-- ETA",
    }
    line
}

/// At most five places, and a unit.
fn amount(bytes: u64) -> String {
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, 0);
    while tenths >= 1_000_000 {
        tenths >>= 10;
        unit += 1;
    }
    let unit = ["", "k", "M", "G", "T", "P"].get(unit).unwrap_or(&"E");
    if unit.is_empty() || tenths >= 1000 {
        return format!("{}{unit}", tenths / 10);
    }
    format!("{}.{}{unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_busyboxs() {
        let line = |done, total| draw("ok", 0, done, total, Duration::from_secs(10), 80);
        let stars = "*".repeat(32);
        assert_eq!(
            line(6, Some(6)),
            format!("ok                   100% |{stars}|     6  0:00:00 ETA")
        );
        let half = format!("ok                    50% |{:<32}|  190M  0:00:10 ETA", "*".repeat(16));
        assert_eq!(line(200_000_000, Some(400_000_000)), half);
        assert_eq!(line(1500, None), "ok                    1500 --:--:-- ETA");
        let amounts = [0, 99_999, 100_000, 102_400, 10_000_000].map(amount);
        assert_eq!(amounts, ["0", "99999", "97.6k", "100k", "9765k"]);
        assert!(line(0, Some(10)).ends_with("0 --:--:-- ETA"));
    }
}
