//! What commands print. A reader that went away is no error: the line is dropped.

use std::io::{self, Write};

/// A line for the user, on stderr.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A line of data, on stdout.
pub(super) fn print(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// An error and its causes, once, on stderr.
pub(super) fn error(err: &anyhow::Error) {
    let causes: Vec<String> = err.chain().map(ToString::to_string).collect();
    say(&format!("error: failed to {}", causes.join(": ")));
}
