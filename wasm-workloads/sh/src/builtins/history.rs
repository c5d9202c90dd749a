//! `history`: the lines that were entered.

use super::{fault, number};
use crate::shell::{Ran, Shell};

/// As bash: all of them or the last so many, numbered as `!12` takes them; `-c` forgets them.
pub(super) fn history(shell: &mut Shell, words: &[String]) -> Ran {
    let wanted = match words.get(1).map(String::as_str) {
        None => usize::MAX,
        Some("-c") => {
            if let Some(session) = &mut shell.session {
                session.history.clear();
            }
            return Ok(0);
        }
        Some(text) => match usize::try_from(number(shell, "history", text)?) {
            Ok(count) => count,
            Err(_) => return fault(shell, "history", &format!("Illegal number: {text}")),
        },
    };
    let Some(session) = &shell.session else { return Ok(0) };
    let entries = session.history.numbered();
    let skipped = entries.len().saturating_sub(wanted);
    let lines = entries.skip(skipped).map(|(number, line)| format!("{number:5}  {line}\n"));
    super::output::print(shell, lines.collect::<String>().as_bytes())
}
