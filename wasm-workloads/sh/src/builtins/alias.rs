//! `alias`, `unalias`.

use super::output::print;
use crate::shell::{Ran, Shell, quote};

pub(super) fn alias(shell: &mut Shell, words: &[String]) -> Ran {
    let mut text = String::new();
    let mut status = 0;
    for word in words[1..].iter().filter(|word| *word != "-p" && *word != "--") {
        match word.split_once('=').filter(|(name, _)| !name.is_empty()) {
            Some((name, value)) => {
                shell.aliases.borrow_mut().insert(name.to_owned(), value.to_owned());
            }
            None => match shell.aliases.borrow().get(word) {
                Some(value) => text += &line(word, value),
                None => {
                    shell.complain_as("alias", &format!("{word}: not found"));
                    status = 1;
                }
            },
        }
    }
    if words.len() == 1 || words[1..] == ["-p"] {
        text = shell.aliases.borrow().iter().map(|(name, value)| line(name, value)).collect();
    }
    let written = print(shell, text.as_bytes())?;
    Ok(written.max(status))
}

fn line(name: &str, value: &str) -> String {
    format!("{name}={}\n", quote(value))
}

pub(super) fn unalias(shell: &mut Shell, words: &[String]) -> Ran {
    let mut status = 0;
    for word in &words[1..] {
        if word == "-a" {
            shell.aliases.borrow_mut().clear();
        } else if shell.aliases.borrow_mut().remove(word).is_none() {
            shell.complain_as("unalias", &format!("{word} not found"));
            status = 1;
        }
    }
    Ok(status)
}
