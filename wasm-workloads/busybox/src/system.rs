//! Programs that tell of the system, or print what they are told.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use sampan_sh::condition::{self, Files};
use sampan_sh::printf;

use crate::call::{Call, Done, Failure, output, print};
use crate::stream::{BUFFER_BYTES, Stream};

pub fn true_(_call: &Call) -> Done {
    Ok(0)
}

pub fn false_(_call: &Call) -> Done {
    Ok(1)
}

pub fn echo(call: &Call) -> Done {
    print(sampan_sh::echo(call.arguments()))
}

pub fn printf(call: &Call) -> Done {
    let (format, arguments) = call.arguments().split_first().ok_or_else(Failure::usage)?;
    let printed = printf::printf(format, arguments);
    for error in &printed.errors {
        call.complain(error);
    }
    print(&printed.bytes)?;
    Ok(u8::from(!printed.errors.is_empty()))
}

pub fn test(call: &Call) -> Done {
    let mut arguments = call.arguments();
    let closing = match call.name {
        "[" => Some("]"),
        "[[" => Some("]]"),
        _ => None,
    };
    if let Some(closing) = closing {
        match arguments.split_last() {
            Some((last, rest)) if last == closing => arguments = rest,
            _ => {
                call.complain(&format!("missing {closing}"));
                return Ok(2);
            }
        }
    }
    let files = Files { directory: &call.directory, is_terminal: &is_terminal };
    match condition::evaluate(arguments, &files) {
        Ok(holds) => Ok(u8::from(!holds)),
        Err(message) => {
            call.complain(&message);
            Ok(2)
        }
    }
}

fn is_terminal(fd: u32) -> bool {
    match fd {
        0 => io::stdin().is_terminal(),
        1 => io::stdout().is_terminal(),
        2 => io::stderr().is_terminal(),
        _ => false,
    }
}

pub fn tty(call: &Call) -> Done {
    let is_terminal = io::stdin().is_terminal();
    if !call.options("s")?.has('s') {
        print(if is_terminal { "/dev/tty\n" } else { "not a tty\n" })?;
    }
    Ok(u8::from(!is_terminal))
}

pub fn clear(_call: &Call) -> Done {
    print("\x1b[H\x1b[J")
}

/// The Pod's name: what the host gives as `HOSTNAME`.
pub fn host() -> String {
    let file = || std::fs::read_to_string("/etc/hostname").ok().map(|text| text.trim().to_owned());
    env::var("HOSTNAME")
        .ok()
        .or_else(file)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

pub fn hostname(call: &Call) -> Done {
    let options = call.options("sfi")?;
    if !options.operands.is_empty() {
        return Err(Failure::Message("sethostname: Operation not permitted".to_owned()));
    }
    if options.has('i') {
        return print(crate::network::interfaces::host_addresses(&host())? + "\n");
    }
    print(host() + "\n")
}

pub fn whoami(_call: &Call) -> Done {
    print("root\n")
}

pub fn groups(call: &Call) -> Done {
    match call.arguments() {
        [] => print("root\n"),
        [user] if user == "root" => print("root\n"),
        [user] => Err(Failure::Message(format!("unknown user {user}"))),
        _ => Err(Failure::usage()),
    }
}

/// Who logged in: nobody does in a container, with a terminal or without.
pub fn logname(call: &Call) -> Done {
    if !call.arguments().is_empty() {
        return Err(Failure::usage());
    }
    Err(Failure::Message("getlogin: No such device or address".to_owned()))
}

pub fn id(call: &Call) -> Done {
    let options = call.options("ugnGr")?;
    let short = ['u', 'g', 'G'].iter().any(|letter| options.has(*letter));
    print(match (short, options.has('n')) {
        (true, true) => "root\n",
        (true, false) => "0\n",
        _ => "uid=0(root) gid=0(root)\n",
    })
}

/// It is not Linux, and says so; scripts that look for `Linux` look for a kernel.
pub fn uname(call: &Call) -> Done {
    let options = call.options("amnrspvio")?;
    let fields = [
        ('s', "sampan".to_owned()),
        ('n', host()),
        ('r', env!("CARGO_PKG_VERSION").to_owned()),
        ('v', "#1".to_owned()),
        ('m', "wasm32".to_owned()),
        ('o', "WASI".to_owned()),
    ];
    let none = fields.iter().all(|(letter, _)| !options.has(*letter)) && !options.has('a');
    let chosen = fields
        .into_iter()
        .filter(|(letter, _)| options.has('a') || options.has(*letter) || (none && *letter == 's'));
    print(chosen.map(|(_, text)| text).collect::<Vec<_>>().join(" ") + "\n")
}

pub fn arch(_call: &Call) -> Done {
    print("wasm32\n")
}

pub fn yes(call: &Call) -> Done {
    let words = call.arguments().join(" ");
    let line = if words.is_empty() { "y\n".to_owned() } else { words + "\n" };
    let many = line.repeat(BUFFER_BYTES.div_ceil(line.len()));
    let mut out = Stream(sampan_process::stdout());
    loop {
        out.write_all(many.as_bytes())?;
    }
}

pub fn sleep(call: &Call) -> Done {
    if call.arguments().is_empty() {
        return Err(Failure::usage());
    }
    let mut total = Duration::ZERO;
    for text in call.arguments() {
        total = total.saturating_add(duration(text)?);
    }
    thread::sleep(total);
    Ok(0)
}

pub fn usleep(call: &Call) -> Done {
    let [microseconds] = call.arguments() else { return Err(Failure::usage()) };
    thread::sleep(Duration::from_micros(call.number(microseconds)?));
    Ok(0)
}

/// Seconds, or with a suffix minutes, hours or days.
pub fn duration(text: &str) -> Result<Duration, Failure> {
    let invalid = || Failure::Message(format!("invalid number '{text}'"));
    if matches!(text, "inf" | "infinity") {
        // Longer than any container lives, and a clock can still be set to it.
        return Ok(Duration::from_secs(100 * 365 * 86400));
    }
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    let factor = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(invalid()),
    };
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let seconds = digits.parse::<f64>().ok().filter(|_| plain).ok_or_else(invalid)?;
    Duration::try_from_secs_f64(seconds * factor).map_err(|_| invalid())
}

pub fn seq(call: &Call) -> Done {
    let mut arguments = call.arguments().to_vec();
    // A negative number is no option.
    let at =
        arguments.iter().position(|word| word.parse::<f64>().is_ok()).unwrap_or(arguments.len());
    let numbers = arguments.split_off(at);
    let mut options = call.options_of(arguments, "ws:")?;
    options.operands.extend(numbers);
    let parse = |text: &String| text.parse::<f64>().map_err(|_| Failure::usage());
    let values: Vec<f64> = options.operands.iter().map(parse).collect::<Result<_, _>>()?;
    let (first, step, last) = match values.as_slice() {
        [last] => (1.0, 1.0, *last),
        [first, last] => (*first, 1.0, *last),
        [first, step, last] if *step != 0.0 => (*first, *step, *last),
        _ => return Err(Failure::usage()),
    };
    let decimals = |text: &String| text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let precision = options.operands.iter().map(decimals).max().unwrap_or(0);
    let width = if options.has('w') {
        format!("{first:.precision$}").len().max(format!("{last:.precision$}").len())
    } else {
        0
    };
    let separator = options.value('s').unwrap_or("\n");
    let mut out = output();
    if precision == 0 && width == 0 && values.iter().all(|value| is_exact(*value)) {
        let counted = (first as i64, step as i64, last as i64);
        count(counted, separator.as_bytes(), &mut out)?;
        return Ok(0);
    }
    let mut n = 0_u64;
    loop {
        let value = step.mul_add(n as f64, first);
        // Half a unit of what is printed: 0.1 is not exact.
        let slack = step.abs() * 1e-9;
        if (step > 0.0 && value > last + slack) || (step < 0.0 && value < last - slack) {
            break;
        }
        if n > 0 {
            out.write_all(separator.as_bytes())?;
        }
        write!(out, "{value:0width$.precision$}")?;
        n += 1;
    }
    if n > 0 {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(0)
}

/// Whether a number is an integer that an `i64` holds with room for a step more.
fn is_exact(value: f64) -> bool {
    /// From here on not every integer is an `f64`.
    const EXACT: f64 = (1_u64 << 53) as f64;
    value.fract() == 0.0 && value.abs() < EXACT
}

/// Integers without floating point: lines are counted by the million.
fn count(
    (first, step, last): (i64, i64, i64),
    separator: &[u8],
    out: &mut impl Write,
) -> io::Result<()> {
    let mut value = first;
    while if step > 0 { value <= last } else { value >= last } {
        if value != first {
            out.write_all(separator)?;
        }
        let mut digits = [0; DIGITS_MAX];
        out.write_all(decimal(value, &mut digits))?;
        value += step;
    }
    if value != first {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// An `i64` with its sign.
const DIGITS_MAX: usize = 20;

fn decimal(value: i64, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let (mut rest, mut at) = (value.unsigned_abs(), DIGITS_MAX);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}
