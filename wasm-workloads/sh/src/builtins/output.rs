//! `echo`, `printf`, `test`, `true`, `false`.

use crate::condition::{self, Files};
use crate::shell::{Ran, Shell, Unwind};

pub(super) fn succeed(_shell: &mut Shell, _words: &[String]) -> Ran {
    Ok(0)
}

pub(super) fn fail(_shell: &mut Shell, _words: &[String]) -> Ran {
    Ok(1)
}

pub(super) fn echo(shell: &mut Shell, words: &[String]) -> Ran {
    print(shell, &crate::echo(&words[1..]))
}

pub(super) fn printf(shell: &mut Shell, words: &[String]) -> Ran {
    let words = if words.get(1).is_some_and(|word| word == "--") { &words[1..] } else { words };
    if let [_, option, name, format, arguments @ ..] = words
        && option == "-v"
    {
        let printed = crate::printf::printf(format, arguments);
        let text = String::from_utf8_lossy(&printed.bytes).into_owned();
        shell.assign(name, text).or_else(|message| shell.fail(&message))?;
        return Ok(i32::from(!printed.errors.is_empty()));
    }
    let Some(format) = words.get(1) else {
        shell.complain("usage: printf FORMAT [ARGUMENT...]");
        return Ok(2);
    };
    let printed = crate::printf::printf(format, &words[2..]);
    for error in &printed.errors {
        complain(shell, error);
    }
    let written = print(shell, &printed.bytes)?;
    Ok(written.max(i32::from(!printed.errors.is_empty())))
}

pub(super) fn test(shell: &mut Shell, words: &[String]) -> Ran {
    let closing = match words[0].as_str() {
        "[" => Some("]"),
        "[[" => Some("]]"),
        _ => None,
    };
    let mut arguments = &words[1..];
    if let Some(closing) = closing {
        match arguments.split_last() {
            Some((last, rest)) if last == closing => arguments = rest,
            _ => {
                complain(shell, &format!("missing {closing}"));
                return Ok(2);
            }
        }
    }
    let is_terminal = |fd| shell.is_terminal(fd);
    let files = Files { directory: &shell.directory, is_terminal: &is_terminal };
    match condition::evaluate(arguments, &files) {
        Ok(holds) => Ok(i32::from(!holds)),
        Err(message) => {
            complain(shell, &message);
            Ok(2)
        }
    }
}

/// These programs know nothing of the script: they say only what they are part of.
pub(super) fn complain(shell: &Shell, message: &str) {
    let _ = shell.write(2, format!("{}: {message}\n", shell.program).as_bytes());
}

/// A closed pipe ends the shell that writes, as SIGPIPE does; any other failure is said.
pub(super) fn print(shell: &Shell, bytes: &[u8]) -> Ran {
    match shell.write(1, bytes) {
        Ok(()) => Ok(0),
        Err(sampan_process::Error::BrokenPipe) => Err(Unwind::Exit(141)),
        Err(err) => {
            shell.complain(&format!("write error: {err}"));
            Ok(1)
        }
    }
}
