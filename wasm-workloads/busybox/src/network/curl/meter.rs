//! curl's progress meter.

use std::io::Write;
use std::time::{Duration, Instant};

const HEAD: &str = "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n                                 Dload  Upload   Total   Spent    Left  Speed\n";

/// How often it is drawn.
const PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Meter {
    wanted: bool,
    began: Instant,
    drawn: Instant,
    pub total: Option<u64>,
    pub received: u64,
    pub sent: u64,
}

impl Meter {
    pub fn start(wanted: bool) -> Self {
        let now = Instant::now();
        let meter = Self { wanted, began: now, drawn: now, total: None, received: 0, sent: 0 };
        if wanted {
            eprint!("{HEAD}");
            meter.draw();
        }
        meter
    }

    pub fn receive(&mut self, bytes: u64) {
        self.received += bytes;
        if self.wanted && self.drawn.elapsed() >= PERIOD {
            self.drawn = Instant::now();
            self.draw();
        }
    }

    pub fn end(&self) {
        if self.wanted {
            self.draw();
            eprintln!();
        }
    }

    fn draw(&self) {
        eprint!("\r{}", line(self.total, self.received, self.sent, self.began.elapsed()));
        // It is for eyes only.
        let _ = std::io::stderr().flush();
    }
}

fn line(total: Option<u64>, received: u64, sent: u64, elapsed: Duration) -> String {
    let percent = |part: u64, all: u64| part.saturating_mul(100).checked_div(all).unwrap_or(0);
    let all = total.unwrap_or(received) + sent;
    let received_percent = total.map_or(0, |total| percent(received, total));
    let sent_percent = if sent > 0 { 100 } else { 0 };
    let speed = |bytes: u64| (bytes as f64 / elapsed.as_secs_f64().max(1e-6)) as u64;
    let (down, up) = (speed(received), speed(sent));
    let left = total.filter(|total| *total > received && down > 0);
    let left = left.map_or(0, |total| (total - received) / down);
    let spent = elapsed.as_secs();
    format!(
        "{:3} {}  {received_percent:3} {}  {sent_percent:3} {}  {}  {} {} {} {} {}",
        percent(received + sent, all),
        size(all),
        size(received),
        size(sent),
        size(down),
        size(up),
        time(if left > 0 { spent + left } else { 0 }),
        time(spent),
        time(left),
        size(down + up),
    )
}

/// Five places.
fn size(bytes: u64) -> String {
    const K: u64 = 1 << 10;
    match bytes {
        0..100_000 => format!("{bytes:5}"),
        100_000..10_240_000 => format!("{:4}k", bytes / K),
        10_240_000..104_857_600 => {
            format!("{:2}.{}M", bytes / (K * K), bytes % (K * K) * 10 / (K * K))
        }
        104_857_600..10_485_760_000 => format!("{:4}M", bytes / (K * K)),
        _ => format!("{:4}G", bytes / (K * K * K)),
    }
}

fn time(seconds: u64) -> String {
    match seconds {
        0 => "--:--:--".to_owned(),
        1..360_000 => format!("{:2}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        _ => format!("{:3}d {:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_curls() {
        let half = Duration::from_millis(500);
        assert_eq!(
            line(None, 0, 0, half),
            "  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0"
        );
        assert_eq!(
            line(Some(6), 6, 7, half),
            "100    13  100     6  100     7     12     14 --:--:-- --:--:-- --:--:--    26"
        );
        assert_eq!(
            line(Some(4000), 1000, 0, Duration::from_secs(10)),
            " 25  4000   25  1000    0     0    100      0  0:00:40  0:00:10  0:00:30   100"
        );
    }

    #[test]
    fn sizes_have_five_places() {
        let sizes = [99_999, 100_000, 20_000_000, 200_000_000, 1 << 40].map(size);
        assert_eq!(sizes, ["99999", "  97k", "19.0M", " 190M", "1024G"]);
    }
}
