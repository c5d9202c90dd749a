//! A POSIX shell in the words and manners of busybox's ash, for WebAssembly: it cannot fork, so
//! that each program, pipeline stage, subshell and substitution is a process of its own, started
//! through `sampan:process`; a compound one is another instance of this shell, handed its state.
//!
//! Enter by [`main`]. `syntax` reads scripts, `shell` runs them, `builtins` are its own commands;
//! `printf`, `condition` and [`echo`] are shared with the programs of the same names, `width` with
//! those that fill a screen.

pub mod condition;
pub mod printf;
pub mod width;

mod arithmetic;
mod builtins;
mod editor;
mod entry;
mod interactive;
mod pattern;
mod shell;
mod syntax;

pub use entry::main;

/// What `echo` prints for its arguments.
pub fn echo(arguments: &[String]) -> Vec<u8> {
    let is_option = |word: &&String| {
        word.len() > 1 && word.starts_with('-') && word[1..].chars().all(|c| "neE".contains(c))
    };
    let options: String = arguments.iter().take_while(is_option).map(String::as_str).collect();
    let words = &arguments[arguments.iter().take_while(is_option).count()..];
    let text = words.join(" ");
    let escapes = options.rfind('e') > options.rfind('E');
    let (mut bytes, go_on) =
        if escapes { printf::unescape_octal(&text) } else { (text.into_bytes(), true) };
    if go_on && !options.contains('n') {
        bytes.push(b'\n');
    }
    bytes
}

/// Whether a file name's pattern matches the whole of `text`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut compiled = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        compiled.push(if c == '\\' { (chars.next().unwrap_or(c), true) } else { (c, false) });
    }
    pattern::matches(&compiled, &text.chars().collect::<Vec<_>>())
}
