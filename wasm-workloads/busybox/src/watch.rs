//! Programs that run another and tell of it: `watch` and `time`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sampan_process::system::{self, Process};
use sampan_process::{self as process, Command, Error};

use crate::call::{Call, Done, Failure, print};
use crate::run::start;
use crate::screen::text::{columns, fit};
use crate::screen::{Event, Frame, Screen, Size, Use};

const PERIOD: Duration = Duration::from_secs(2);
/// More often is of no use to an eye.
const PERIOD_MIN: Duration = Duration::from_millis(100);
/// Bound: no screen shows more of a command's output.
const OUTPUT_BYTES_MAX: usize = 256 << 10;

pub fn watch(call: &Call) -> Done {
    let options = call.options("+n:td")?;
    if options.operands.is_empty() {
        return Err(Failure::usage());
    }
    let period = options.value('n').map(crate::system::duration).transpose()?;
    let period = period.unwrap_or(PERIOD).max(PERIOD_MIN);
    let command = options.operands.join(" ");
    let usage = Use { alternate: false, interruptible: true };
    let Some(mut screen) = Screen::enter(usage) else {
        return plain(call, &command, period, !options.has('t'));
    };
    loop {
        let started = Instant::now();
        let output = output(call, &command, Some(&screen)).map_err(Failure::Message)?;
        loop {
            let title = (!options.has('t')).then(|| title(&command, period, screen.size()));
            screen.show(frame(title, &output, screen.size()));
            match screen.next(Some(period.saturating_sub(started.elapsed()))) {
                Event::Nothing => break,
                Event::Closed => return Ok(1),
                Event::Key(_) | Event::Resized => {}
            }
        }
    }
}

/// Without a screen: one after the other.
fn plain(call: &Call, command: &str, period: Duration, titled: bool) -> Done {
    loop {
        if titled {
            print(title(command, period, Size { rows: 24, columns: 80 }) + "\n\n")?;
        }
        print(output(call, command, None).map_err(Failure::Message)?)?;
        std::thread::sleep(period);
    }
}

/// What is run on the left, the time on the right.
fn title(command: &str, period: Duration, size: Size) -> String {
    let left = format!("Every {:.1}s: {command}", period.as_secs_f64());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let right = crate::date::format(now.as_secs() as i64, 0, "%Y-%m-%d %H:%M:%S");
    let left = fit(&left, size.columns.saturating_sub(right.len() + 1));
    let gap = size.columns.saturating_sub(columns(&left) + right.len());
    format!("{left}{}{right}", " ".repeat(gap))
}

fn frame(title: Option<String>, output: &[u8], size: Size) -> Frame {
    let text = String::from_utf8_lossy(output);
    let mut lines: Vec<String> =
        title.into_iter().flat_map(|title| [title, String::new()]).collect();
    lines.extend(text.lines().map(|line| fit(line, size.columns)));
    lines.truncate(size.rows);
    Frame { lines, cursor: None }
}

/// What the shell prints for the command, both streams.
fn output(call: &Call, command: &str, screen: Option<&Screen>) -> Result<Vec<u8>, String> {
    let (read, write) = process::pipe().map_err(|err| err.to_string())?;
    let shell = Command {
        program: "/bin/sh".to_owned(),
        args: ["sh", "-c", command].map(str::to_owned).to_vec(),
        env: std::env::vars().collect(),
        cwd: call.directory.clone(),
        ..Command::default()
    };
    let child = process::spawn(shell, &process::null(), &write, &write)
        .map_err(|err| format!("can't execute '/bin/sh': {err:?}"))?;
    drop(write);
    let mut bytes = Vec::new();
    loop {
        match read.read(64 << 10) {
            Ok(more) if more.is_empty() => break,
            Ok(more) if bytes.len() < OUTPUT_BYTES_MAX => bytes.extend(more),
            Ok(_) => {}
            Err(Error::Interrupted) => {
                if let Some(screen) = screen {
                    screen.heed_signals();
                }
            }
            Err(err) => return Err(err.to_string()),
        }
    }
    while child.wait_or_signal().is_none() {
        if let Some(screen) = screen {
            screen.heed_signals();
        }
    }
    Ok(bytes)
}

pub fn time(call: &Call) -> Done {
    let options = call.options("+p")?;
    if options.operands.is_empty() {
        return Err(Failure::usage());
    }
    let (began, before) = (Instant::now(), Spent::now());
    let code = match start(call, &options.operands, std::env::vars().collect(), &process::stdin()) {
        Ok(child) => child.wait() as u8,
        Err((code, why)) => {
            call.complain(&format!("can't execute '{}': {why}", options.operands[0]));
            return Ok(code);
        }
    };
    let user = before.since(&Spent::now());
    eprint!("{}", report(began.elapsed(), user, options.has('p')));
    Ok(code)
}

/// What the container has computed, and who of those that run now.
struct Spent {
    all_ns: u64,
    processes: Vec<Process>,
}

impl Spent {
    fn now() -> Self {
        let processes = system::processes();
        Self { all_ns: system::usage().cpu_time_ns, processes }
    }

    /// What was computed meanwhile by those that came and went: the command and its children, if
    /// nobody else started any.
    fn since(&self, later: &Self) -> Duration {
        let others: u64 = later
            .processes
            .iter()
            .map(|other| {
                let earlier = self.processes.iter().find(|earlier| earlier.pid == other.pid);
                other.cpu_time_ns.saturating_sub(earlier.map_or(0, |earlier| earlier.cpu_time_ns))
            })
            .sum();
        Duration::from_nanos(later.all_ns.saturating_sub(self.all_ns).saturating_sub(others))
    }
}

/// A guest has no time in a kernel.
fn report(real: Duration, user: Duration, posix: bool) -> String {
    let show = |name: &str, time: Duration| {
        let seconds = time.as_secs_f64();
        if posix {
            return format!("{name} {seconds:.2}\n");
        }
        let minutes = time.as_secs() / 60;
        format!("{name}\t{minutes}m {:.2}s\n", seconds - (minutes * 60) as f64)
    };
    show("real", real) + &show("user", user) + &show("sys", Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_busybox_does() {
        let (real, user) = (Duration::from_millis(61_500), Duration::from_millis(20));
        assert_eq!(report(real, user, false), "real\t1m 1.50s\nuser\t0m 0.02s\nsys\t0m 0.00s\n");
        assert_eq!(report(real, user, true), "real 61.50\nuser 0.02\nsys 0.00\n");
    }

    #[test]
    fn a_picture_fits_the_screen() {
        let size = Size { rows: 4, columns: 10 };
        let frame = frame(Some("title".to_owned()), b"0123456789abc\nb\nc\n", size);
        assert_eq!(frame.lines, ["title", "", "0123456789", "b"]);
        let title = title("date", Duration::from_secs(2), Size { rows: 4, columns: 40 });
        assert!(title.starts_with("Every 2.0s: date") && title.len() == 40, "{title:?}");
    }
}
