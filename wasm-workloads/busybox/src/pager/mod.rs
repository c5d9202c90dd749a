//! `less` and `more`. `view` is what is shown and how keys move it, `rows` a line on the screen.

mod rows;
mod view;

use std::io::Write;

use rows::Style;
use view::{Lines, Next, View};

use crate::call::{Call, Done, Failure, output, reason};
use crate::screen::{Event, Screen, Use};
use crate::stream::Input;

/// Bound: what is kept of an input that does not end; a container may have 64 MiB.
const BYTES_MAX: usize = 16 << 20;

/// An input's lines, read as far as they are shown.
struct Source {
    input: Option<Input>,
    lines: Vec<String>,
    bytes: usize,
}

impl Lines for Source {
    fn fetch(&mut self, count: usize) -> &[String] {
        while self.lines.len() <= count {
            let Some(line) = self.input.as_mut().and_then(Input::line) else {
                self.input = None;
                break;
            };
            self.bytes += line.len();
            let text = String::from_utf8_lossy(&line);
            self.lines.push(text.trim_end_matches(['\n', '\r']).to_owned());
            if self.bytes > BYTES_MAX {
                self.lines.push(format!("(only the first {} MiB are shown)", BYTES_MAX >> 20));
                self.input = None;
            }
        }
        &self.lines
    }

    fn is_whole(&self) -> bool {
        self.input.is_none()
    }
}

pub fn less(call: &Call) -> Done {
    pager(call, true)
}

/// Leaves what it showed, and ends with it.
pub fn more(call: &Call) -> Done {
    pager(call, false)
}

fn pager(call: &Call, is_less: bool) -> Done {
    let (starts, arguments): (Vec<_>, Vec<_>) =
        call.arguments().iter().cloned().partition(|word| word.starts_with('+'));
    let options = call.options_of(arguments, "EFIiMmNSRrXe~dcsu")?;
    let files = Call::inputs(&options.operands);
    // Its keys cannot be its text as well.
    if files.iter().any(|name| name == "-") && sampan_process::stdin().is_terminal() {
        return Err(Failure::Usage("missing filename".to_owned()));
    }
    let Some(mut screen) = Screen::enter(Use { alternate: is_less, interruptible: false }) else {
        return crate::text::cat(call);
    };
    let mut style = Style { chop: options.has('S'), numbers: options.has('N') };
    let mut at = 0;
    loop {
        let name = &files[at];
        let input = match call.try_open(name) {
            Ok(input) => input,
            Err(err) => {
                drop(screen);
                call.complain(&format!("can't open '{name}': {}", reason(&err)));
                return Ok(1);
            }
        };
        let source = Source { input: Some(input), lines: Vec::new(), bytes: 0 };
        let prompt = if name == "-" { String::new() } else { name.clone() };
        let mut view = View::new(source, screen.size(), prompt);
        (view.style, view.fold) = (style, options.has('I') || options.has('i'));
        for start in &starts {
            start[1..].chars().map(crate::screen::Key::Char).for_each(|key| {
                view.press(key);
            });
        }
        if options.has('F') && files.len() == 1 && view.is_at_end() {
            drop(screen);
            return all(&mut view.lines);
        }
        let quit_at_end = !is_less || options.has('E') || options.has('e');
        let last = at + 1 == files.len();
        match show(&mut screen, &mut view, quit_at_end) {
            Next::File(by) => {
                let next = at.saturating_add_signed(by);
                if next == files.len() && !is_less {
                    return Ok(0);
                }
                at = next.min(files.len() - 1);
            }
            _ if quit_at_end && !last && view.is_at_end() => at += 1,
            _ => return Ok(0),
        }
        style = view.style;
        screen.forget();
    }
}

fn show(screen: &mut Screen, view: &mut View<Source>, quit_at_end: bool) -> Next {
    loop {
        if !screen.has_typed() {
            screen.show(view.frame());
        }
        if quit_at_end && view.is_at_end() {
            return Next::Quit;
        }
        match screen.next(None) {
            Event::Key(crate::screen::Key::Control('l') | crate::screen::Key::Char('r')) => {
                screen.forget();
            }
            Event::Key(key) => match view.press(key) {
                Next::Stay => {}
                next => return next,
            },
            Event::Resized => view.resize(screen.size()),
            Event::Nothing => {}
            Event::Closed => return Next::Quit,
        }
    }
}

/// Everything, as `cat` would.
fn all(source: &mut Source) -> Done {
    let mut out = output();
    for line in source.fetch(usize::MAX) {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(0)
}
