//! `ping`, in busybox's words.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sampan_network::{PingError, ping as echo};
use sampan_process::signals::{self, Disposition};
use sampan_process::{self as process, Error};

use super::{Family, Limit, resolve};
use crate::call::{Call, Done, Failure, Options, print};

/// Data, and what an answer is longer than it by.
const BYTES: u32 = 56;
const BYTES_MAX: u64 = 65_507;
const HEADER_BYTES: u32 = 8;

const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn ping(call: &Call) -> Done {
    let options = call.options("46qnAvOc:s:i:W:w:t:I:p:")?;
    let [host] = options.operands.as_slice() else { return Err(Failure::usage()) };
    let ping = Ping::new(call, &options)?;
    let family = match options.last_of("46") {
        Some('4') => Family::V4,
        Some('6') => Family::V6,
        _ => Family::Any,
    };
    let address = resolve(host, family)?[0];
    signals::handle(signals::INTERRUPT, Disposition::Catch);
    print(format!("PING {host} ({address}): {} data bytes\n", ping.bytes))?;
    let mut tally = Tally::default();
    let stopped = ping.run(call, address, &mut tally);
    if let Err(Stopped::Failed(why)) = stopped {
        return Err(Failure::Message(format!("{address}: {why}")));
    }
    print(tally.summary(host))?;
    Ok(u8::from(tally.received == 0))
}

struct Ping {
    count: Option<u64>,
    bytes: u32,
    interval: Duration,
    patience: Duration,
    limit: Limit,
    quiet: bool,
}

/// Why it goes no further.
enum Stopped {
    /// By the user, or because the time is up.
    Done,
    Failed(PingError),
}

impl Ping {
    fn new(call: &Call, options: &Options) -> Result<Self, Failure> {
        let number = |letter| options.value(letter).map(|text| call.number(text)).transpose();
        let time = |letter| options.value(letter).map(crate::system::duration).transpose();
        let bytes = number('s')?.unwrap_or(BYTES.into());
        if bytes > BYTES_MAX {
            return Err(Failure::Message(format!(
                "packet size {bytes} is too large. Maximum is {BYTES_MAX}"
            )));
        }
        let adaptive = options.has('A').then_some(Duration::ZERO);
        Ok(Self {
            // None is no limit, as 0 is.
            count: number('c')?.filter(|count| *count > 0),
            bytes: bytes as u32,
            interval: time('i')?.or(adaptive).unwrap_or(INTERVAL),
            patience: time('W')?.filter(|patience| !patience.is_zero()).unwrap_or(PATIENCE),
            limit: Limit::after(time('w')?),
            quiet: options.has('q'),
        })
    }

    fn run(&self, call: &Call, address: IpAddr, tally: &mut Tally) -> Result<(), Stopped> {
        let mut next = Instant::now();
        loop {
            let number = tally.sent;
            tally.sent += 1;
            let is_last = self.count == Some(tally.sent);
            let patience = self.limit.left().map_or(self.patience, |left| left.min(self.patience));
            match echo(address, self.bytes, patience.min(INTERVAL)) {
                Ok(time) => {
                    tally.add(time);
                    if !self.quiet {
                        let line = answer(self.bytes + HEADER_BYTES, address, number, time);
                        print(line).map_err(|_| Stopped::Done)?;
                    }
                }
                Err(PingError::Unreachable) if !self.quiet => {
                    print(format!("From {address}: seq={number} {}\n", PingError::Unreachable))
                        .map_err(|_| Stopped::Done)?;
                }
                Err(PingError::Denied) => call.complain("sendto: Operation not permitted"),
                // The network has lost it; only the last packet's answer is waited for longer.
                Err(PingError::TimedOut) if is_last => pause(patience.saturating_sub(INTERVAL))?,
                Err(PingError::Unreachable | PingError::TimedOut) => {}
                Err(why) => return Err(Stopped::Failed(why)),
            }
            if is_last {
                return Ok(());
            }
            next += self.interval;
            let now = Instant::now();
            next = next.max(now);
            let left = self.limit.left();
            pause(left.map_or(next - now, |left| left.min(next - now)))?;
            if self.limit.has_passed() {
                return Err(Stopped::Done);
            }
        }
    }
}

/// Sleeps, unless the user has had enough.
fn pause(time: Duration) -> Result<(), Stopped> {
    if signals::take().is_some() {
        return Err(Stopped::Done);
    }
    let until = Instant::now() + time;
    // Nobody writes into it: a wait that a signal ends.
    let Ok((silence, _writer)) = process::pipe() else {
        std::thread::sleep(time);
        return Ok(());
    };
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // Not less than what is left: less than a millisecond is one.
        let left_ms = left.as_micros().div_ceil(1000);
        if left_ms == 0 {
            return Ok(());
        }
        match silence.wait_readable(u32::try_from(left_ms).unwrap_or(u32::MAX)) {
            Err(Error::Interrupted) if signals::take().is_some() => return Err(Stopped::Done),
            _ => {}
        }
    }
}

fn answer(bytes: u32, address: IpAddr, number: u64, time: Duration) -> String {
    format!("{bytes} bytes from {address}: seq={number} ttl=64 time={} ms\n", milliseconds(time))
}

fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    received: u64,
    shortest: Option<Duration>,
    longest: Duration,
    sum: Duration,
}

impl Tally {
    fn add(&mut self, time: Duration) {
        self.received += 1;
        self.shortest = Some(self.shortest.map_or(time, |shortest| shortest.min(time)));
        self.longest = self.longest.max(time);
        self.sum += time;
    }

    fn summary(&self, host: &str) -> String {
        let lost = ((self.sent - self.received) * 100).checked_div(self.sent).unwrap_or(0);
        let mut text = format!("\n--- {host} ping statistics ---\n");
        let _ = writeln!(
            text,
            "{} packets transmitted, {} packets received, {lost}% packet loss",
            self.sent, self.received
        );
        if let Some(shortest) = self.shortest {
            let average = self.sum.checked_div(self.received as u32).unwrap_or_default();
            let times = [shortest, average, self.longest].map(milliseconds).join("/");
            let _ = writeln!(text, "round-trip min/avg/max = {times} ms");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_busyboxs() {
        let address = IpAddr::from([10, 42, 0, 2]);
        let line = answer(64, address, 3, Duration::from_nanos(1_067_900));
        assert_eq!(line, "64 bytes from 10.42.0.2: seq=3 ttl=64 time=1.067 ms\n");
        let mut tally = Tally { sent: 3, ..Tally::default() };
        assert!(
            tally
                .summary("db")
                .ends_with("3 packets transmitted, 0 packets received, 100% packet loss\n")
        );
        for micros in [67, 262] {
            tally.add(Duration::from_micros(micros));
        }
        let expect = "\n--- db ping statistics ---\n3 packets transmitted, 2 packets received, 33% packet loss\n\
                      round-trip min/avg/max = 0.067/0.164/0.262 ms\n";
        assert_eq!(tally.summary("db"), expect);
    }
}
