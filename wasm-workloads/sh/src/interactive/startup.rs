//! How a session begins.

use sampan_process::signals::{self, Disposition};

use super::Session;
use super::history_file;
use crate::shell::{Ran, Shell, Stream};

/// Of a shell called `bash`, as Debian sets it.
const PROMPT_OF_BASH: &str = "\\u@\\h:\\w\\$ ";

/// What an interactive shell does with a signal that shall not end it. A container's first process is
/// ended by SIGTERM all the same: it means the container, which nobody should have to wait for.
pub fn own_disposition(signal: u8) -> Disposition {
    match signal {
        signals::TERMINATE if sampan_process::pid() == 1 => Disposition::Default,
        _ => Disposition::Catch,
    }
}

impl Shell {
    /// An interactive shell at a terminal: catches what shall not end it, loads the history and
    /// runs `$ENV`, or `~/.bashrc` for a `bash`.
    pub fn start_session(&mut self) -> Ran {
        let handle = |fd| match self.streams.get(&fd) {
            Some(Stream::Handle(handle)) if handle.is_terminal() => Some(handle.clone()),
            _ => None,
        };
        let Some(mut session) =
            handle(0).zip(handle(2)).and_then(|(input, output)| Session::new(input, output))
        else {
            return Ok(0);
        };
        // Caught, not ignored: children would ignore them, too.
        for signal in [signals::INTERRUPT, signals::QUIT, signals::TERMINATE] {
            signals::handle(signal, own_disposition(signal));
        }
        history_file::load(&self.variables, &mut session.history);
        self.session = Some(Box::new(session));
        let home = self.variables.get("HOME").unwrap_or_default();
        let file = if self.is_bash() {
            Some(format!("{home}/.bashrc"))
        } else {
            self.variables.get("ENV").map(str::to_owned)
        };
        if self.is_bash() && self.variables.get("PS1") == Some("\\w \\$ ") {
            self.variables.set_quietly("PS1", PROMPT_OF_BASH.to_owned());
        }
        match file.map(|file| self.source_file(&file)) {
            Some(Ok(text)) => self.run_text(&text, 1),
            _ => Ok(0),
        }
    }

    fn is_bash(&self) -> bool {
        self.name.rsplit('/').next().is_some_and(|name| name.trim_start_matches('-') == "bash")
    }
}
