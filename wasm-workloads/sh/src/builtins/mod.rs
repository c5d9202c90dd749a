//! Commands that the shell does itself. To add one: a function in one of these files, and a line in
//! [`BUILTINS`].

mod alias;
mod flow;
mod history;
mod jobs;
mod limits;
mod options;
mod output;
mod read;
mod variables;
mod whereabouts;

pub use options::set_options;

use crate::shell::{Ran, Shell};

#[derive(Debug)]
pub struct Builtin {
    pub name: &'static str,
    /// `words[0]` is the name it was called by.
    pub run: fn(&mut Shell, &[String]) -> Ran,
    /// POSIX's special builtins: a fault in one ends the shell, assignments before it stay.
    pub special: bool,
    /// Neither reads, nor changes the shell, nor starts anything: its output can be had without a
    /// process.
    pub only_writes: bool,
}

const fn special(name: &'static str, run: fn(&mut Shell, &[String]) -> Ran) -> Builtin {
    Builtin { name, run, special: true, only_writes: false }
}

const fn regular(name: &'static str, run: fn(&mut Shell, &[String]) -> Ran) -> Builtin {
    Builtin { name, run, special: false, only_writes: false }
}

const fn only_writes(name: &'static str, run: fn(&mut Shell, &[String]) -> Ran) -> Builtin {
    Builtin { name, run, special: false, only_writes: true }
}

/// Sorted by name.
pub static BUILTINS: &[Builtin] = &[
    special(".", flow::source),
    special(":", output::succeed),
    only_writes("[", output::test),
    only_writes("[[", output::test),
    regular("alias", alias::alias),
    regular("bg", jobs::background),
    special("break", flow::break_loop),
    regular("builtin", whereabouts::builtin),
    regular("cd", whereabouts::cd),
    regular("command", whereabouts::command),
    special("continue", flow::continue_loop),
    special("declare", variables::declare),
    only_writes("echo", output::echo),
    special("eval", flow::eval),
    special("exec", flow::exec),
    special("exit", flow::exit),
    special("export", variables::export),
    only_writes("false", output::fail),
    regular("fg", jobs::foreground),
    regular("getopts", options::getopts),
    regular("hash", whereabouts::hash),
    regular("history", history::history),
    regular("jobs", jobs::jobs),
    regular("kill", jobs::kill),
    regular("let", variables::let_),
    special("local", variables::local),
    regular("mapfile", read::mapfile),
    only_writes("printf", output::printf),
    only_writes("pwd", whereabouts::pwd),
    regular("read", read::read),
    regular("readarray", read::mapfile),
    special("readonly", variables::readonly),
    special("return", flow::return_),
    special("set", options::set),
    special("shift", variables::shift),
    regular("source", flow::source),
    only_writes("test", output::test),
    regular("times", limits::times),
    special("trap", flow::trap),
    only_writes("true", output::succeed),
    regular("type", whereabouts::type_),
    special("typeset", variables::declare),
    regular("ulimit", limits::ulimit),
    regular("umask", limits::umask),
    regular("unalias", alias::unalias),
    special("unset", variables::unset),
    regular("wait", jobs::wait),
];

pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.binary_search_by(|builtin| builtin.name.cmp(name)).ok().map(|at| &BUILTINS[at])
}

/// A builtin's fault: its message, and status 2; it ends the shell if the builtin is special.
fn fault(shell: &Shell, builtin: &str, text: &str) -> Ran {
    shell.complain_as(builtin, text);
    Err(crate::shell::Unwind::Error(2))
}

/// A number of an argument, as busybox complains of it.
fn number(shell: &Shell, builtin: &str, text: &str) -> Result<i32, crate::shell::Unwind> {
    text.parse().or_else(|_| fault(shell, builtin, &format!("Illegal number: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_without_duplicates() {
        assert!(BUILTINS.is_sorted_by(|one, other| one.name < other.name));
        assert!(find("cd").is_some() && find("ls").is_none());
    }
}
