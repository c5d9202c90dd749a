//! `sed`: [`parse`] reads a script into [`script`]'s commands, [`run`] applies them to the lines
//! that [`input`] gives; [`substitute`] is the `s` command.

mod input;
mod output;
mod parse;
mod run;
mod script;
mod substitute;

use std::fs;

use crate::call::{Call, Done, Failure, reason};
use input::Lines;
use output::{Output, Target};
use run::Run;

/// What the options say about every line.
#[derive(Debug, Clone, Copy)]
struct Manner {
    quiet: bool,
    end: u8,
}

pub fn sed(call: &Call) -> Done {
    if call.arguments() == ["--version"] {
        return crate::call::print("This is not GNU sed version 4.0\n");
    }
    let mut options = call.options("i::rEne:f:sz")?;
    let text = script_text(call, &mut options)?;
    let syntax = sampan_regexp::Syntax {
        extended: options.has('r') || options.has('E'),
        ..sampan_regexp::Syntax::default()
    };
    let quiet = options.has('n') || text.starts_with("#n\n");
    let script = parse::parse(&text, syntax).map_err(Failure::Message)?;
    let manner = Manner { quiet, end: if options.has('z') { 0 } else { b'\n' } };
    let mut targets = output::open_targets(call, &script)?;
    if let Some(suffix) = options.value('i') {
        return in_place(call, &script, manner, &mut targets, &options.operands, suffix);
    }
    let names = Call::inputs(&options.operands);
    let groups: Vec<Vec<String>> = if options.has('s') {
        names.into_iter().map(|name| vec![name]).collect()
    } else {
        vec![names]
    };
    let mut out = Output::new(Target::Stdout(crate::call::output()));
    let mut code = 0;
    let mut run = Run::new(call, &script, manner);
    for names in groups {
        let mut lines = Lines::new(call, names, manner.end);
        let quit = run.all(&mut lines, &mut out, &mut targets)?;
        code |= u8::from(lines.failed);
        if let Some(wanted) = quit {
            code = wanted;
            break;
        }
    }
    out.flush()?;
    targets.iter_mut().try_for_each(|(_, target)| target.flush())?;
    Ok(code)
}

/// The script of `-e` and `-f`, or the first operand.
fn script_text(call: &Call, options: &mut crate::call::Options) -> Result<String, Failure> {
    let mut parts = Vec::new();
    for (letter, value) in options.given() {
        match letter {
            'e' => parts.push(value.to_owned()),
            'f' => {
                let bytes = call.try_open(value).and_then(|mut input| {
                    let mut bytes = Vec::new();
                    std::io::Read::read_to_end(&mut input, &mut bytes).map(|_| bytes)
                });
                let bytes =
                    bytes.map_err(|err| Failure::Message(format!("{value}: {}", reason(&err))))?;
                let text = String::from_utf8_lossy(&bytes);
                parts.push(text.strip_suffix('\n').unwrap_or(&text).to_owned());
            }
            _ => {}
        }
    }
    if parts.is_empty() {
        if options.operands.is_empty() {
            return Err(Failure::usage());
        }
        parts.push(options.operands.remove(0));
    }
    Ok(parts.join("\n"))
}

/// `-i`: each file is replaced by what becomes of it.
fn in_place(
    call: &Call,
    script: &script::Script,
    manner: Manner,
    targets: &mut output::Targets,
    names: &[String],
    suffix: &str,
) -> Done {
    if names.is_empty() {
        return Err(Failure::Message("no input files".to_owned()));
    }
    let mut code = 0;
    for name in names {
        let failed = |err: std::io::Error| Failure::Message(format!("{name}: {}", reason(&err)));
        let path = call.path(name);
        let mut lines = Lines::new(call, vec![name.clone()], manner.end);
        if lines.is_last() && lines.failed {
            code = 1;
            continue;
        }
        let mut out = Output::new(Target::Memory(Vec::new()));
        let quit = Run::new(call, script, manner).all(&mut lines, &mut out, targets)?;
        // What `q` left unread stays in the file.
        if quit.is_some() {
            lines.rest(&mut out)?;
        }
        drop(lines);
        if !suffix.is_empty() {
            let backup = if suffix.contains('*') {
                suffix.replace('*', crate::names::last(name))
            } else {
                format!("{name}{suffix}")
            };
            fs::rename(&path, call.path(&backup)).map_err(failed)?;
        }
        fs::write(&path, out.into_bytes()).map_err(failed)?;
        if let Some(wanted) = quit {
            code = wanted;
            break;
        }
    }
    targets.iter_mut().try_for_each(|(_, target)| target.flush())?;
    Ok(code)
}

#[cfg(test)]
mod tests;
