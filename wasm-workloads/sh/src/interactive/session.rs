//! Lines from a terminal.

use sampan_process::terminal::{self, Modes};
use sampan_process::{Error, Handle, signals};

use super::history_file;
use crate::editor::{self, Completed, Decoder, Editor, History, Outcome, Screen, Size, Wanted};
use crate::shell::Shell;

/// What was entered at a prompt.
#[derive(Debug, PartialEq, Eq)]
pub enum Entered {
    /// With its newline.
    Line(String),
    /// ^C
    Interrupted,
    /// ^D, or the terminal is gone.
    End,
    /// `TMOUT` seconds passed.
    TimedOut,
}

/// Switch the marks around pasted text on and off.
const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";

#[derive(Debug)]
pub struct Session {
    input: Handle,
    output: Handle,
    /// As programs are to find them: those of the last one that ended well.
    modes: Modes,
    /// The shell's own process group, if it controls which one is in the foreground.
    group: Option<u32>,
    decoder: Decoder,
    editor: Editor,
    pub history: History,
}

impl Session {
    /// `None` if the input is no terminal.
    pub fn new(input: Handle, output: Handle) -> Option<Self> {
        let modes = terminal::modes(&input)?;
        let group = terminal::foreground(&input).map(|_| sampan_process::group());
        let (decoder, editor) = (Decoder::default(), Editor::default());
        Some(Self { input, output, modes, group, decoder, editor, history: History::default() })
    }

    /// Whether jobs are process groups of their own.
    pub fn controls_jobs(&self) -> bool {
        self.group.is_some()
    }

    /// Lets the terminal's signals reach a job.
    pub fn give_terminal(&self, group: u32) {
        if self.controls_jobs() {
            terminal::set_foreground(&self.input, group);
        }
    }

    /// Takes the terminal back from a job, and restores its modes if the job was `killed`.
    pub fn take_terminal(&mut self, killed: bool) {
        if let Some(group) = self.group {
            terminal::set_foreground(&self.input, group);
        }
        if killed {
            terminal::set_modes(&self.input, self.modes);
        } else if let Some(modes) = terminal::modes(&self.input) {
            self.modes = modes;
        }
    }

    /// Reads a line. `names` answers what a word could become.
    pub fn edit(
        &mut self,
        prompt: &str,
        timeout_ms: Option<u32>,
        pastes: bool,
        names: &dyn Fn(&Wanted) -> Vec<String>,
    ) -> Entered {
        // Return stays a newline: what is typed ahead is then right for a program, too. So does
        // output: background jobs write meanwhile.
        let modes = Modes { return_is_newline: true, newline_returns: true, ..self.modes.raw() };
        terminal::set_modes(&self.input, modes);
        signals::handle(signals::WINDOW, signals::Disposition::Catch);
        self.write(if pastes { PASTE_ON } else { "" });
        let entered = self.edit_raw(prompt, timeout_ms, names);
        self.write(if pastes { PASTE_OFF } else { "" });
        signals::handle(signals::WINDOW, signals::Disposition::Default);
        terminal::set_modes(&self.input, self.modes);
        self.editor.clear();
        entered
    }

    fn edit_raw(
        &mut self,
        prompt: &str,
        timeout_ms: Option<u32>,
        names: &dyn Fn(&Wanted) -> Vec<String>,
    ) -> Entered {
        let mut screen = Screen::new(self.size());
        let mut out = String::new();
        loop {
            // One write for what came at once.
            if !self.decoder.is_within() && !self.input.wait_readable(0).unwrap_or(false) {
                out += &self.draw(&mut screen, prompt);
                self.write(&std::mem::take(&mut out));
            }
            let timed_out = |ms| matches!(self.input.wait_readable(ms), Ok(false));
            if timeout_ms.is_some_and(timed_out) {
                self.write(&screen.leave(""));
                return Entered::TimedOut;
            }
            let byte = match self.input.read(1) {
                Ok(read) if !read.is_empty() => read[0],
                // A window of another size is drawn anew; the others are nothing to an idle shell.
                Err(Error::Interrupted) => {
                    while signals::take().is_some() {}
                    continue;
                }
                _ => return Entered::End,
            };
            let Some(key) = self.decoder.feed(byte) else { continue };
            match self.editor.press(key, &self.history) {
                Outcome::Continue => {}
                Outcome::Bell => out.push('\u{7}'),
                Outcome::ClearScreen => out += screen.clear(),
                Outcome::Complete { list } => {
                    out += &self.complete(&mut screen, prompt, list, names)
                }
                ends => {
                    out += &self.draw(&mut screen, prompt);
                    out += &screen.leave(if ends == Outcome::Interrupt { "^C" } else { "" });
                    self.write(&out);
                    return self.entered(ends);
                }
            }
        }
    }

    fn entered(&self, outcome: Outcome) -> Entered {
        match outcome {
            Outcome::Accept => {
                let line: String = self.editor.line().text().iter().collect();
                Entered::Line(line + "\n")
            }
            Outcome::Interrupt => Entered::Interrupted,
            _ => Entered::End,
        }
    }

    fn draw(&self, screen: &mut Screen, prompt: &str) -> String {
        let searching = self.editor.search_prompt();
        let line = self.editor.line();
        let prompt = searching.as_deref().unwrap_or(prompt);
        screen.draw(prompt, line.text(), line.cursor(), self.size())
    }

    fn complete(
        &mut self,
        screen: &mut Screen,
        prompt: &str,
        list: bool,
        names: &dyn Fn(&Wanted) -> Vec<String>,
    ) -> String {
        let line = self.editor.line();
        let wanted = editor::wanted(&line.before_cursor());
        match editor::complete(&wanted, names(&wanted), line.after_cursor()) {
            Completed::Insert(text) => {
                self.editor.complete(&text);
                String::new()
            }
            Completed::Several(names) if list => {
                self.editor.complete("");
                let out = self.draw(screen, prompt) + &screen.leave("");
                out + &editor::columns(&names, self.size().columns)
            }
            Completed::Several(_) => {
                self.editor.complete("");
                "\u{7}".to_owned()
            }
            Completed::Nothing => "\u{7}".to_owned(),
        }
    }

    /// Of a terminal that does not tell, the usual.
    fn size(&self) -> Size {
        let told = terminal::size(&self.input);
        let or = |told: Option<u16>, usual: usize| {
            told.map(usize::from).filter(|n| *n > 0).unwrap_or(usual)
        };
        Size {
            // A wide character and the cursor have room in any case.
            columns: or(told.map(|size| size.columns), 80).max(4),
            rows: or(told.map(|size| size.rows), 24),
        }
    }

    fn write(&self, text: &str) {
        if !text.is_empty() {
            // A terminal that is gone ends the next read.
            let _ = self.output.write(text.replace("\r\n", "\n").as_bytes());
        }
    }
}

impl Shell {
    /// Reads a line at `PS1`, or at `PS2` if it is not the `first` of a command; from a session's
    /// terminal with the line editor.
    pub fn enter_line(&mut self, first: bool) -> Entered {
        let prompt = self.prompt(if first { "PS1" } else { "PS2" });
        // Bound: a timeout of more than 49 days is none.
        let timeout = self.variables.get("TMOUT").and_then(|text| text.parse::<u32>().ok());
        let timeout = timeout.filter(|seconds| *seconds > 0).and_then(|s| s.checked_mul(1000));
        let pastes = self.variables.get("TERM").is_some_and(|term| !matches!(term, "" | "dumb"));
        let Some(mut session) = self.session.take() else {
            return self.enter_line_plainly(&prompt);
        };
        let entered = session.edit(&prompt, timeout, pastes, &|wanted| self.names(wanted));
        self.session = Some(session);
        match entered {
            Entered::Line(line) => self.recall_events(line),
            entered => entered,
        }
    }

    fn enter_line_plainly(&mut self, prompt: &str) -> Entered {
        if self.interactive {
            let shown: String =
                prompt.chars().filter(|c| !matches!(c, '\u{1}' | '\u{2}')).collect();
            let _ = self.write(2, shown.as_bytes());
        }
        match self.read_line() {
            line if line.is_empty() => Entered::End,
            line => Entered::Line(line),
        }
    }

    /// `!!` and the like; the line is shown if it changed.
    fn recall_events(&mut self, line: String) -> Entered {
        let Some(session) = &self.session else { return Entered::Line(line) };
        match editor::expand(&line, &session.history) {
            Ok(None) => Entered::Line(line),
            Ok(Some(line)) => {
                session.write(&line.replace('\n', "\r\n"));
                Entered::Line(line)
            }
            Err(event) => {
                self.complain(&format!("{event}: event not found"));
                self.status = 1;
                Entered::Line("\n".to_owned())
            }
        }
    }

    /// Keeps a command for later.
    pub fn remember(&mut self, command: &str) {
        let command = command.trim_end_matches('\n');
        if let Some(session) = &mut self.session
            && session.history.push(command)
        {
            history_file::append(&self.variables, command);
        }
    }
}
