//! `pgrep`, `pkill` and `pidof`.

use sampan_process::system::{self, Process};
use sampan_process::{self as process, signals};
use sampan_regexp::{Regexp, Syntax};

use super::kill::{listed, take_signal};
use super::{command_line, short_name};
use crate::call::{Call, Done, Failure, Options, print};

const OPTIONS: &str = "flanovxcP:g:u:";

/// The processes asked for, by pid; never the one that asks.
fn chosen(options: &Options, processes: Vec<Process>, own: u32) -> Result<Vec<Process>, Failure> {
    let pattern = options.operands.first();
    if pattern.is_none() && !options.has('P') && !options.has('g') {
        return Err(Failure::usage());
    }
    let syntax = Syntax { extended: true, ..Syntax::default() };
    let regexp = pattern
        .map(|text| Regexp::new(text, syntax).map_err(|why| Failure::Message(why.to_owned())))
        .transpose()?;
    let fits = |other: &Process| {
        let text =
            if options.has('f') { command_line(other) } else { short_name(other).to_owned() };
        let named = match (&regexp, options.has('x')) {
            (None, _) => true,
            (Some(_), true) => pattern.is_some_and(|pattern| *pattern == text),
            (Some(regexp), false) => regexp.is_match(text.as_bytes()).unwrap_or(false),
        };
        let is = |letter, number: u32| {
            options.value(letter).is_none_or(|value| value.parse() == Ok(number))
        };
        (named && is('P', other.parent) && is('g', other.group)) != options.has('v')
    };
    let mut found: Vec<Process> =
        processes.into_iter().filter(|other| other.pid != own && fits(other)).collect();
    if options.has('o') {
        found.truncate(1);
    } else if options.has('n') {
        found = found.pop().into_iter().collect();
    }
    Ok(found)
}

pub fn pgrep(call: &Call) -> Done {
    let options = call.options(OPTIONS)?;
    let found = chosen(&options, system::processes(), process::pid())?;
    if options.has('c') {
        print(format!("{}\n", found.len()))?;
        return Ok(u8::from(found.is_empty()));
    }
    let line = |other: &Process| match (options.has('a'), options.has('l')) {
        (true, _) => format!("{} {}\n", other.pid, command_line(other)),
        (_, true) => format!("{} {}\n", other.pid, short_name(other)),
        _ => format!("{}\n", other.pid),
    };
    print(found.iter().map(line).collect::<String>())?;
    Ok(u8::from(found.is_empty()))
}

pub fn pkill(call: &Call) -> Done {
    let mut arguments = call.arguments().to_vec();
    if let Some(done) = listed(&arguments) {
        return done;
    }
    // `-f` is an option, `-9` and `-HUP` are signals.
    let is_signal = arguments.first().and_then(|word| word.strip_prefix('-')).is_some_and(|word| {
        word.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase()) && word != "P"
    });
    let signal = if is_signal { take_signal(&mut arguments)? } else { signals::TERMINATE };
    let options = call.options_of(arguments, OPTIONS)?;
    let found = chosen(&options, system::processes(), process::pid())?;
    let sent = found.iter().filter(|other| system::kill(other.pid as i32, signal)).count();
    Ok(u8::from(sent == 0))
}

pub fn pidof(call: &Call) -> Done {
    let options = call.options("so:")?;
    let named = |other: &Process| options.operands.iter().any(|name| short_name(other) == name);
    let omitted = |pid: u32| options.values('o').any(|text| text.parse() == Ok(pid));
    let mut found: Vec<String> = system::processes()
        .iter()
        .rev()
        .filter(|other| named(other) && other.pid != process::pid() && !omitted(other.pid))
        .map(|other| other.pid.to_string())
        .collect();
    if found.is_empty() {
        return Ok(1);
    }
    if options.has('s') {
        found.truncate(1);
    }
    print(found.join(" ") + "\n")
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn check(words: &[&str], expect: &[u32]) {
        let words = words.iter().map(|&word| word.to_owned());
        let call = Call::new("pgrep", std::iter::once("pgrep".to_owned()).chain(words).collect());
        let processes =
            vec![example(1, 0, "/bin/sh -c x"), example(7, 1, "sleep 100"), example(9, 1, "sh")];
        let found = chosen(&call.options(OPTIONS).unwrap(), processes, 9).unwrap();
        assert_eq!(found.iter().map(|other| other.pid).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn processes_are_chosen_by_name_parent_and_age() {
        check(&["s"], &[1, 7]);
        check(&["-x", "sh"], &[1]);
        check(&["-f", "p 1.0"], &[7]);
        check(&["-P", "1"], &[7]);
        check(&["-v", "sleep"], &[1]);
        check(&["-n", "s"], &[7]);
        check(&["none"], &[]);
    }
}
