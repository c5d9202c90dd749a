//! The terminal as a screen, for programs that fill it: keys in, frames out. Enter by
//! [`Screen::enter`]; whichever way the program ends, the terminal is as it was.

mod frame;
mod keys;
pub mod text;

use std::time::{Duration, Instant};

use sampan_process::signals::{self, Disposition};
use sampan_process::terminal::{self, Modes};
use sampan_process::{self as process, Error, Handle, OpenMode};

pub use frame::Frame;
pub use keys::Key;

use keys::Decoder;

/// How long the rest of a key's sequence may take to come; a person's next key takes longer.
const SEQUENCE: Duration = Duration::from_millis(50);

/// The most that is read at once: more than a hand types, and a pasted page.
const READ_BYTES: u32 = 4096;

/// Natively no signal tells of a new size: it is looked at this often.
const LOOK: Duration = Duration::from_millis(200);

/// Signals that end a program, and first restore its terminal here.
const ENDING: [u8; 3] = [signals::HANGUP, signals::INTERRUPT, signals::TERMINATE];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub rows: usize,
    pub columns: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Key(Key),
    Resized,
    /// Nothing happened in the time given.
    Nothing,
    /// The terminal is gone.
    Closed,
}

/// How a program uses the terminal.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// What was shown before comes back at the end.
    pub alternate: bool,
    /// ^C is no key but ends the program, and what it runs.
    pub interruptible: bool,
}

#[derive(Debug)]
pub struct Screen {
    input: Handle,
    output: Handle,
    before: Modes,
    usage: Use,
    size: Size,
    decoder: Decoder,
    shown: Option<Frame>,
}

impl Screen {
    /// `None` if standard output is no terminal. Keys come from standard input, or from `/dev/tty`
    /// if that is something else.
    pub fn enter(usage: Use) -> Option<Self> {
        let output = process::stdout();
        let before = terminal::modes(&output)?;
        let stdin = process::stdin();
        let input = if stdin.is_terminal() {
            stdin
        } else {
            process::open("/dev/tty", OpenMode::Read).ok()?
        };
        ENDING.into_iter().for_each(|signal| signals::handle(signal, Disposition::Catch));
        signals::handle(signals::WINDOW, Disposition::Catch);
        terminal::set_modes(&output, Modes { signals: usage.interruptible, ..before.raw() });
        let size = size_of(&output);
        let screen =
            Self { input, output, before, usage, size, decoder: Decoder::default(), shown: None };
        if usage.alternate {
            screen.send("\x1b[?1049h");
        }
        Some(screen)
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// More keys are there already: a frame may wait for them.
    pub fn has_typed(&self) -> bool {
        self.decoder.is_incomplete()
    }

    /// Waits for a key or a new size; for ever without a limit.
    pub fn next(&mut self, limit: Option<Duration>) -> Event {
        let started = Instant::now();
        loop {
            if let Some(key) = self.decoder.next(false) {
                return Event::Key(key);
            }
            if self.is_resized() {
                return Event::Resized;
            }
            let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
            match self.read(left) {
                Read::Some | Read::Interrupted => {}
                Read::End => return Event::Closed,
                Read::Nothing => match self.decoder.next(true) {
                    Some(key) => return Event::Key(key),
                    None if left.is_some_and(|left| left.is_zero()) => return Event::Nothing,
                    None => {}
                },
            }
        }
    }

    /// Shows a frame, in one piece.
    pub fn show(&mut self, frame: Frame) {
        self.send(&frame::difference(self.shown.as_ref(), &frame, self.size.rows));
        self.shown = Some(frame);
    }

    /// The next frame is drawn whole.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// Takes what was signalled, and ends the program if it is told to.
    pub fn heed_signals(&self) {
        while let Some(signal) = signals::take() {
            if ENDING.contains(&signal) {
                self.restore();
                process::exit(128 + signal);
            }
        }
    }

    fn is_resized(&mut self) -> bool {
        self.heed_signals();
        let size = size_of(&self.output);
        let resized = size != self.size;
        if resized {
            self.size = size;
            self.shown = None;
        }
        resized
    }

    fn read(&mut self, left: Option<Duration>) -> Read {
        let mut wait = left.unwrap_or(Duration::MAX);
        if self.decoder.is_incomplete() {
            wait = wait.min(SEQUENCE);
        }
        if cfg!(not(target_family = "wasm")) {
            wait = wait.min(LOOK);
        }
        let wait = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        match self.input.wait_readable(wait) {
            Ok(true) => {}
            Ok(false) => return Read::Nothing,
            Err(Error::Interrupted) => return Read::Interrupted,
            Err(_) => return Read::End,
        }
        match self.input.read(READ_BYTES) {
            Ok(bytes) if bytes.is_empty() => Read::End,
            Ok(bytes) => {
                self.decoder.feed(&bytes);
                Read::Some
            }
            Err(Error::Interrupted) => Read::Interrupted,
            Err(_) => Read::End,
        }
    }

    /// A terminal that takes no more is found closed at the next key.
    fn send(&self, text: &str) {
        let _ = self.output.write(text.as_bytes());
    }

    fn restore(&self) {
        if self.usage.alternate {
            self.send("\x1b[m\x1b[?25h\x1b[?1049l");
        } else {
            self.send(&format!("\x1b[m\x1b[?25h\x1b[{};1H\n", self.size.rows));
        }
        terminal::set_modes(&self.output, self.before);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.restore();
    }
}

enum Read {
    Some,
    /// Not within the time.
    Nothing,
    Interrupted,
    End,
}

/// A terminal that does not know its size is taken for the usual one.
fn size_of(terminal: &Handle) -> Size {
    let known = terminal::size(terminal).filter(|size| size.rows > 0 && size.columns > 0);
    known.map_or(Size { rows: 24, columns: 80 }, |size| Size {
        rows: size.rows.into(),
        columns: size.columns.into(),
    })
}
