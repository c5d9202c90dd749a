//! `awk`: [`lex`] and [`parse`] read a program, [`resolve`] checks it, [`machine`] keeps what it
//! knows, [`run`] and [`evaluate`] walk it. Records come from [`reader`] and [`streams`], and are
//! split by [`record`].
//!
//! As POSIX has it, with gawk's `gensub`, `nextfile`, `length ARRAY`, `match` into an array, `RT`,
//! regular expressions as RS, and the functions of time and bits. Elements come in the order they
//! were made in.

mod builtin;
mod evaluate;
mod expression;
mod format;
mod lex;
mod machine;
mod parse;
mod program;
mod reader;
mod record;
mod resolve;
mod run;
mod streams;
mod value;

use crate::call::{Call, Done, Failure, is_closed, reason};
use machine::{Machine, Stop};
use program::{Variable, special};
use value::Value;

pub fn awk(call: &Call) -> Done {
    // What is wrong must not look like a program's own answer.
    run(call).or_else(|failure| match failure {
        Failure::Output(err) if is_closed(&err) => Err(Failure::Output(err)),
        Failure::Usage(why) => Err(Failure::Usage(why)),
        failure => {
            call.explain(&failure);
            Ok(2)
        }
    })
}

fn run(call: &Call) -> Done {
    let mut options = call.options("+F:v:f:e:")?;
    let mut source = String::new();
    for (letter, value) in options.given().filter(|(letter, _)| matches!(letter, 'f' | 'e')) {
        let text = if letter == 'e' { value.to_owned() } else { file(call, value)? };
        source += &(text + "\n");
    }
    if options.value('f').is_none() && options.value('e').is_none() {
        if options.operands.is_empty() {
            return Err(Failure::usage());
        }
        source = options.operands.remove(0);
    }
    let program = parse::parse(&source).map_err(Failure::Message)?;
    let mut machine = Machine::new(call, &program);
    let done = prepare(&mut machine, &options).and_then(|()| machine.run());
    let closed = machine.streams.close_all();
    match done {
        Ok(()) | Err(Stop::Exit) => {}
        Err(Stop::Failed(failure)) => return Err(failure),
        Err(Stop::Next | Stop::NextFile) => {
            return Err(Failure::Message("next used outside of a rule".to_owned()));
        }
    }
    closed?;
    let failed = machine.unread && machine.exit_code == 0;
    Ok(if failed { 2 } else { machine.exit_code })
}

fn file(call: &Call, name: &str) -> Result<String, Failure> {
    let failed =
        |err: std::io::Error| Failure::Message(format!("can't open '{name}': {}", reason(&err)));
    let mut bytes = Vec::new();
    let mut input = call.try_open(name).map_err(failed)?;
    std::io::Read::read_to_end(&mut input, &mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What is set before BEGIN.
fn prepare(machine: &mut Machine<'_>, options: &crate::call::Options) -> Result<(), Stop> {
    machine.set_outside(&options.operands)?;
    if let Some(between) = options.value('F') {
        let between = if between == "t" { "\t" } else { between };
        let value = Value::from(&lex::unescape(between)[..]);
        machine.set(Variable::Global(special::FS), value)?;
    }
    for word in options.values('v') {
        if !machine.assign_argument(word)? {
            return Err(Stop::Failed(Failure::Message(format!("'{word}' is no assignment"))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
