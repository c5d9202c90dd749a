//! `logs-generator`: lines as an API server's log has them, evenly over a time.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::thread;
use std::time::Instant;

use crate::clock::klog_time;
use crate::{Done, Flags};

pub(crate) fn run(arguments: &[String]) -> Done {
    let flags =
        Flags::parse(arguments, &[("log-lines-total", "t", "0"), ("run-duration", "d", "0s")])?;
    let total = flags.number("log-lines-total")?;
    let duration = flags.duration("run-duration")?;
    let total = u32::try_from(total).ok().filter(|total| *total > 0);
    let Some(total) = total else {
        return Err(format!("Invalid total number of lines: {}", flags.text("log-lines-total")));
    };
    if duration.is_zero() {
        return Err(format!("Invalid duration: {}", flags.text("run-duration")));
    }
    let start = Instant::now();
    for id in 0..total {
        eprintln!("I{}       1 logs_generator.go:76] {}", klog_time(), line(id));
        // From the start on, so that lateness does not add up.
        let next = start + duration / total * (id + 1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(0)
}

/// `7 GET /api/v1/namespaces/ns/pods/x2b 431`
fn line(id: u32) -> String {
    const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
    const NAMESPACES: [&str; 3] = ["kube-system", "default", "ns"];
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let random = RandomState::new().build_hasher().finish();
    let pick = |shift: u32, bound: usize| (random >> shift) as usize % bound;
    let length = 3 + pick(8, 2);
    let pod: String =
        (0..length).map(|n| char::from(LETTERS[pick(12 + 5 * n as u32, LETTERS.len())])).collect();
    let (method, namespace) = (METHODS[pick(0, 3)], NAMESPACES[pick(4, 3)]);
    format!("{id} {method} /api/v1/namespaces/{namespace}/pods/{pod} {}", 200 + pick(40, 400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_numbers_checked() {
        assert!(line(7).starts_with("7 "));
        assert_eq!(line(7).split(' ').count(), 4);
        let run = |line: &str| run(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(run("-t 3 -d 3ms"), Ok(0));
        assert_eq!(run("--run-duration=1s").unwrap_err(), "Invalid total number of lines: 0");
        assert_eq!(run("-t 1").unwrap_err(), "Invalid duration: 0s");
    }
}
