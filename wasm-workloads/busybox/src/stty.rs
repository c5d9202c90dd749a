//! The terminal's settings: `stty`, `reset`.

use sampan_process::terminal::{self, Modes, Size};
use sampan_process::{self as process, Handle, OpenMode};

use crate::call::{Call, Done, Failure, print};

/// A setting that the terminal has, and where.
type Setting = (&'static str, fn(&mut Modes) -> &mut bool);

const SETTINGS: &[Setting] = &[
    ("isig", |modes| &mut modes.signals),
    ("icanon", |modes| &mut modes.canonical),
    ("icrnl", |modes| &mut modes.return_is_newline),
    ("onlcr", |modes| &mut modes.newline_returns),
    ("opost", |modes| &mut modes.newline_returns),
    ("echo", |modes| &mut modes.echo),
];

/// What only a line to a modem or a kernel has: accepted, as it changes nothing that is seen here.
const WITHOUT_EFFECT: &[&str] = &[
    "ixon", "ixoff", "ixany", "iutf8", "iexten", "echoe", "echok", "echonl", "echoctl", "echoke",
    "brkint", "ignbrk", "imaxbel", "inpck", "istrip", "inlcr", "igncr", "parenb", "cs8", "cread",
    "hupcl", "clocal", "crtscts", "tostop", "noflsh", "ocrnl",
];

/// The same, with a word after them: keys and waits are fixed.
const WITH_WORD: &[&str] = &[
    "intr", "quit", "erase", "kill", "eof", "eol", "susp", "werase", "lnext", "min", "time",
    "speed", "ispeed", "ospeed", "line",
];

const SANE: Modes = Modes {
    canonical: true,
    echo: true,
    signals: true,
    return_is_newline: true,
    newline_returns: true,
};

pub fn stty(call: &Call) -> Done {
    let mut words = call.arguments().to_vec();
    let mut terminal = process::stdin();
    let mut name = "standard input".to_owned();
    if words.first().is_some_and(|word| word == "-F") {
        name = words.get(1).cloned().ok_or_else(Failure::usage)?;
        let refuse = |err| Failure::Message(format!("{name}: {err}"));
        terminal = process::open(&call.path(&name), OpenMode::ReadWrite).map_err(refuse)?;
        words.drain(..2);
    }
    let (Some(modes), Some(size)) = (terminal::modes(&terminal), terminal::size(&terminal)) else {
        return Err(Failure::Message(format!("{name}: Inappropriate ioctl for device")));
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => print(deviations(modes)),
        ["-a" | "--all"] => print(all(modes, size)),
        ["-g" | "--save"] => print(saved(modes) + "\n"),
        ["size"] => print(format!("{} {}\n", size.rows, size.columns)),
        ["speed"] => print("38400\n"),
        words => {
            let (new_modes, new_size) = changed(words, modes, size).map_err(Failure::Message)?;
            apply(&terminal, (modes, new_modes), (size, new_size));
            Ok(0)
        }
    }
}

fn apply(terminal: &Handle, modes: (Modes, Modes), size: (Size, Size)) {
    if modes.0 != modes.1 {
        terminal::set_modes(terminal, modes.1);
    }
    if size.0 != size.1 {
        terminal::set_size(terminal, size.1);
    }
}

fn changed(words: &[&str], mut modes: Modes, mut size: Size) -> Result<(Modes, Size), String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, on) = word.strip_prefix('-').map_or((*word, true), |name| (name, false));
        let mut number = || {
            let text = words.next().ok_or_else(|| format!("missing argument to '{name}'"))?;
            text.parse().map_err(|_| format!("invalid number '{text}'"))
        };
        match (name, on) {
            ("rows", true) => size.rows = number()?,
            ("cols" | "columns", true) => size.columns = number()?,
            ("raw", true) | ("cooked", false) => {
                modes = Modes { echo: modes.echo, newline_returns: false, ..modes.raw() };
            }
            ("raw", false) | ("cooked", true) => modes = Modes { echo: modes.echo, ..SANE },
            ("cbreak", on) => modes.canonical = !on,
            ("sane", true) => modes = SANE,
            ("nl", on) => {
                (modes.return_is_newline, modes.newline_returns) = (!on, !on);
            }
            (name, true) if WITH_WORD.contains(&name) => {
                words.next().ok_or_else(|| format!("missing argument to '{name}'"))?;
            }
            (name, _) if WITHOUT_EFFECT.contains(&name) => {}
            (name, on) => match SETTINGS.iter().find(|(known, _)| *known == name) {
                Some((_, of)) => *of(&mut modes) = on,
                None => {
                    modes = restored(word).ok_or_else(|| format!("invalid argument '{word}'"))?
                }
            },
        }
    }
    Ok((modes, size))
}

/// The settings in order, `-` before those that are off.
fn settings(mut modes: Modes) -> impl Iterator<Item = (&'static str, bool)> {
    SETTINGS.iter().map(move |(name, of)| (*name, *of(&mut modes)))
}

fn named((name, on): (&str, bool)) -> String {
    if on { name.to_owned() } else { format!("-{name}") }
}

fn deviations(modes: Modes) -> String {
    let odd: Vec<String> =
        settings(modes).filter(|(name, on)| !on && *name != "opost").map(named).collect();
    let odd = if odd.is_empty() { String::new() } else { odd.join(" ") + "\n" };
    format!("speed 38400 baud; line = 0;\n{odd}")
}

fn all(modes: Modes, size: Size) -> String {
    let settings: Vec<String> = settings(modes).map(named).collect();
    format!(
        "speed 38400 baud; rows {}; columns {}; line = 0;\n\
         intr = ^C; quit = ^\\; erase = ^?; kill = ^U; eof = ^D; werase = ^W;\n{}\n",
        size.rows,
        size.columns,
        settings.join(" ")
    )
}

/// For `stty $(stty -g)`.
fn saved(modes: Modes) -> String {
    let flags = settings(modes).map(|(_, on)| if on { "1" } else { "0" });
    flags.collect::<Vec<_>>().join(":")
}

fn restored(word: &str) -> Option<Modes> {
    let flags: Vec<&str> = word.split(':').collect();
    let sound = flags.len() == SETTINGS.len() && flags.iter().all(|flag| ["0", "1"].contains(flag));
    let mut modes = SANE;
    for ((_, of), flag) in SETTINGS.iter().zip(flags) {
        *of(&mut modes) = flag == "1";
    }
    sound.then_some(modes)
}

/// The screen, and if it is the terminal's, its settings.
pub fn reset(_call: &Call) -> Done {
    let input = process::stdin();
    if let Some(modes) = terminal::modes(&input)
        && modes != SANE
    {
        terminal::set_modes(&input, SANE);
    }
    print("\x1bc\x1b(B\x1b[m\x1b[J\x1b[?25h")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { columns: 80, rows: 24 };

    fn check(words: &str, expect: &str) {
        let words: Vec<&str> = words.split_whitespace().collect();
        let shown = changed(&words, SANE, SIZE)
            .map(|(modes, size)| format!("{} {} {}", saved(modes), size.rows, size.columns));
        assert_eq!(shown.unwrap_or_else(|why| why), expect, "{words:?}");
    }

    #[test]
    fn settings_by_name() {
        check("-echo", "1:1:1:1:1:0 24 80");
        check("raw -echo", "0:0:0:0:0:0 24 80");
        check("raw cooked", "1:1:1:1:1:1 24 80");
        check("-icanon min 1 time 0 -ixon", "1:0:1:1:1:1 24 80");
        check("rows 50 cols 100", "1:1:1:1:1:1 50 100");
        check("-isig -icrnl -onlcr sane", "1:1:1:1:1:1 24 80");
        check("1:0:1:1:1:0", "1:0:1:1:1:0 24 80");
        check("rows x", "invalid number 'x'");
        check("rows", "missing argument to 'rows'");
        check("foo", "invalid argument 'foo'");
    }

    #[test]
    fn what_is_not_sane_is_told() {
        assert_eq!(deviations(SANE), "speed 38400 baud; line = 0;\n");
        let modes = Modes { echo: false, ..SANE };
        assert_eq!(deviations(modes), "speed 38400 baud; line = 0;\n-echo\n");
        assert!(all(modes, SIZE).contains("rows 24; columns 80;"));
    }
}
