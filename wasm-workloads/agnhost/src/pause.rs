//! `pause`: nothing, until a signal.

use sampan_process::signals::{self, Disposition, INTERRUPT, TERMINATE};
use sampan_process::{Error, pipe};

use crate::Done;

/// Bound: how long one wait is; then the next begins.
const WAIT_MS: u32 = 3_600_000;

pub(crate) fn run(_: &[String]) -> Done {
    println!("Paused");
    for signal in [INTERRUPT, TERMINATE] {
        signals::handle(signal, Disposition::Catch);
    }
    // Nobody writes into it: only a signal ends the wait.
    let (reader, _writer) = pipe().map_err(|error| error.to_string())?;
    loop {
        match signals::take() {
            Some(INTERRUPT) => return Ok(1),
            Some(TERMINATE) => return Ok(2),
            _ => {}
        }
        match reader.wait_readable(WAIT_MS) {
            Ok(_) | Err(Error::Interrupted) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}
