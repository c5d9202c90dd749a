//! `top`

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use sampan_process::system::{self, Process, Usage};

use super::{command_line, state};
use crate::call::{Call, Done, print};
use crate::screen::text::fit;
use crate::screen::{Event, Frame, Key, Screen, Use};

/// Before the first picture, so that it knows who computes.
const FIRST: Duration = Duration::from_millis(200);
/// Between pictures; less would be busy with itself.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(5);

/// What was known at one moment.
struct Sample {
    at: Instant,
    usage: Usage,
    processes: Vec<Process>,
}

impl Sample {
    fn take() -> Self {
        Self { at: Instant::now(), usage: system::usage(), processes: system::processes() }
    }
}

/// How rows are sorted.
#[derive(Clone, Copy)]
struct Order {
    by: char,
    reverse: bool,
}

pub fn top(call: &Call) -> Done {
    let options = call.options("bHmn:d:")?;
    let rounds = options.value('n').map(|text| call.number(text)).transpose()?;
    let pause = options.value('d').map(crate::system::duration).transpose()?;
    let pause = pause.unwrap_or(PAUSE).max(PAUSE_MIN);
    let before = Sample::take();
    let screen = if options.has('b') {
        None
    } else {
        Screen::enter(Use { alternate: false, interruptible: false })
    };
    match screen {
        Some(screen) => Ok(interactive(screen, before, pause, rounds)),
        None => batch(before, pause, rounds),
    }
}

fn batch(mut before: Sample, pause: Duration, rounds: Option<u64>) -> Done {
    let mut round = 0;
    thread::sleep(FIRST);
    while rounds.is_none_or(|rounds| round < rounds) {
        if round > 0 {
            thread::sleep(pause);
        }
        let now = Sample::take();
        print(picture(&before, &now, Order { by: 'P', reverse: false }).join("\n") + "\n")?;
        before = now;
        round += 1;
    }
    Ok(0)
}

fn interactive(mut screen: Screen, mut before: Sample, pause: Duration, rounds: Option<u64>) -> u8 {
    let mut order = Order { by: 'P', reverse: false };
    let mut left = FIRST;
    let mut round = 0;
    let mut now = None;
    loop {
        let started = Instant::now();
        match screen.next(Some(left)) {
            Event::Key(Key::Char('q' | 'Q') | Key::Control('c')) => return 0,
            Event::Key(Key::Char(letter @ ('n' | 'N' | 'm' | 'M' | 'p' | 'P' | 't' | 'T'))) => {
                order.by = letter.to_ascii_uppercase();
            }
            Event::Key(Key::Char('r' | 'R')) => order.reverse = !order.reverse,
            Event::Key(Key::Char('l') | Key::Control('l')) => screen.forget(),
            Event::Key(_) | Event::Resized => {}
            Event::Closed => return 1,
            Event::Nothing => {
                if rounds.is_some_and(|rounds| round >= rounds) {
                    return 0;
                }
                let sample = Sample::take();
                before = now.replace(sample).unwrap_or(before);
                round += 1;
                left = pause + started.elapsed();
            }
        }
        left = left.saturating_sub(started.elapsed());
        if let Some(now) = &now {
            let size = screen.size();
            let lines = picture(&before, now, order);
            let lines = lines.iter().take(size.rows).map(|line| fit(line, size.columns)).collect();
            screen.show(Frame { lines, cursor: None });
        }
    }
}

/// What can be computed at once: in cores.
fn capacity(usage: &Usage) -> f64 {
    let cores = f64::from(usage.cores.max(1));
    usage.cpu_millis_max.map_or(cores, |millis| (millis as f64 / 1000.0).min(cores)).max(0.001)
}

fn picture(before: &Sample, now: &Sample, order: Order) -> Vec<String> {
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64().max(0.001);
    let share = |earlier: u64, later: u64| {
        let spent = later.saturating_sub(earlier) as f64 / 1e9;
        (spent * 100.0 / (seconds * capacity(&now.usage))).round().min(100.0) as u64
    };
    let earlier: BTreeMap<u32, u64> =
        before.processes.iter().map(|other| (other.pid, other.cpu_time_ns)).collect();
    let mut rows: Vec<(&Process, u64)> = now
        .processes
        .iter()
        .map(|other| {
            let spent = earlier.get(&other.pid).copied().unwrap_or(0);
            (other, share(spent, other.cpu_time_ns))
        })
        .collect();
    match order.by {
        'N' => {}
        'M' => rows.sort_by_key(|(other, _)| std::cmp::Reverse(other.memory_bytes)),
        'T' => rows.sort_by_key(|(other, _)| std::cmp::Reverse(other.cpu_time_ns)),
        _ => rows.sort_by_key(|(_, share)| std::cmp::Reverse(*share)),
    }
    if order.reverse {
        rows.reverse();
    }
    let busy = share(before.usage.cpu_time_ns, now.usage.cpu_time_ns);
    let mut lines = head(&now.usage, &now.processes, busy);
    lines.extend(rows.into_iter().map(|(other, share)| row(other, share, &now.usage)));
    lines
}

fn head(usage: &Usage, processes: &[Process], busy: u64) -> Vec<String> {
    let (used, most) = (usage.memory_bytes >> 10, usage.memory_bytes_max >> 10);
    let running = processes.iter().filter(|other| other.running).count();
    vec![
        format!("Mem: {used}K used, {}K free", most.saturating_sub(used)),
        format!("CPU: {busy:>3}% usr   0% sys   0% nic {:>3}% idle", 100 - busy),
        format!(
            "Processes: {running} running of {}, at most {}",
            processes.len(),
            usage.processes_max
        ),
        "  PID  PPID USER     STAT   VSZ %VSZ %CPU COMMAND".to_owned(),
    ]
}

fn row(other: &Process, share: u64, usage: &Usage) -> String {
    let memory = other.memory_bytes >> 10;
    let size = if memory < 100_000 { memory.to_string() } else { format!("{}m", memory >> 10) };
    let of = (other.memory_bytes * 100).checked_div(usage.memory_bytes_max).unwrap_or(0);
    format!(
        "{:>5} {:>5} {:<8} {:<4} {size:>5} {of:>3}% {share:>3}% {}",
        other.pid,
        other.parent,
        "root",
        state(other),
        command_line(other)
    )
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn shares_are_of_what_the_container_may_compute() {
        let at = Instant::now();
        let usage = |cpu_time_ns| Usage {
            cpu_time_ns,
            memory_bytes: 4 << 20,
            memory_bytes_max: 64 << 20,
            cpu_millis_max: Some(500),
            processes_max: 128,
            cores: 2,
            ..Usage::default()
        };
        let sample = |at, spent: u64| {
            let mut busy = example(7, 1, "yes");
            busy.cpu_time_ns += spent;
            Sample { at, usage: usage(spent), processes: vec![example(1, 0, "sh"), busy] }
        };
        let (before, now) = (sample(at, 0), sample(at + Duration::from_secs(2), 500_000_000));
        let lines = picture(&before, &now, Order { by: 'P', reverse: false });
        assert_eq!(
            lines,
            [
                "Mem: 4096K used, 61440K free",
                "CPU:  50% usr   0% sys   0% nic  50% idle",
                "Processes: 1 running of 2, at most 128",
                "  PID  PPID USER     STAT   VSZ %VSZ %CPU COMMAND",
                "    7     1 root     R     3072   4%  50% yes",
                "    1     0 root     S     3072   4%   0% sh",
            ]
        );
        let lines = picture(&before, &now, Order { by: 'N', reverse: false });
        assert!(lines[4].ends_with("sh"));
    }
}
