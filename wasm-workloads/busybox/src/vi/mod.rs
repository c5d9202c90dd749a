//! vi: a small editor in busybox's manner. [`Editor`] is pure: keys in, frames and [`Request`]s
//! out; here files and the terminal stand around it.
//!
//! `buffer` holds the text, `command` reads normal mode's keys, `motion` and `moves` say where they
//! lead, `change` and `insert` what they do; `ex`, `search` and `substitute` are behind `:` and `/`.

mod buffer;
mod change;
mod command;
mod editor;
mod ex;
mod file;
mod insert;
mod line_input;
mod motion;
mod moves;
mod search;
mod substitute;
#[cfg(test)]
mod tests;
mod view;

use std::fs;

use buffer::Place;
use editor::{Editor, Request};
use file::Refusal;

use crate::call::{Call, Done, Failure, reason};
use crate::screen::{Event, Screen, Use};

pub fn vi(call: &Call) -> Done {
    let (at, arguments): (Vec<_>, Vec<_>) =
        call.arguments().iter().cloned().partition(|word| word.starts_with('+'));
    let options = call.options_of(arguments, "Rc:Hn")?;
    let files = options.operands.clone();
    let mut session = Session { call, files, at: 0, editor: None, read_only: options.has('R') };
    // What cannot be edited is said before the screen is touched.
    let mut editor = session.first()?;
    let Some(mut screen) = Screen::enter(Use { alternate: true, interruptible: false }) else {
        return Err(Failure::Message("standard output is not a terminal".to_owned()));
    };
    editor.resize(screen.size());
    let at = at.iter().map(|word| if word == "+" { "$" } else { &word[1..] });
    let commands: Vec<String> = at.chain(options.values('c')).map(str::to_owned).collect();
    session.editor = Some(editor);
    for command in commands {
        let request = session.editor.as_mut().and_then(|editor| editor.ex(&command));
        if let Some(code) = request.and_then(|request| session.fulfil(request)) {
            return Ok(code);
        }
    }
    Ok(session.run(&mut screen))
}

struct Session<'a> {
    call: &'a Call,
    files: Vec<String>,
    /// Which of the files is edited.
    at: usize,
    editor: Option<Editor>,
    read_only: bool,
}

impl Session<'_> {
    fn first(&self) -> Result<Editor, Failure> {
        // The screen's size is not known yet.
        let size = crate::screen::Size { rows: 24, columns: 80 };
        let mut editor = Editor::new(Vec::new(), None, size);
        if let Some(name) = self.files.first() {
            self.load(&mut editor, name)
                .map_err(|why| Failure::Message(format!("'{name}': {why}")))?;
        }
        Ok(editor)
    }

    fn run(&mut self, screen: &mut Screen) -> u8 {
        loop {
            let Some(editor) = &mut self.editor else { return 0 };
            if !screen.has_typed() {
                let frame = editor.frame();
                screen.show(frame);
            }
            match screen.next(None) {
                Event::Key(crate::screen::Key::Control('l')) => screen.forget(),
                Event::Key(key) => {
                    let request = editor.press(key);
                    if let Some(code) = request.and_then(|request| self.fulfil(request)) {
                        return code;
                    }
                }
                Event::Resized => editor.resize(screen.size()),
                Event::Nothing => {}
                Event::Closed => return 1,
            }
        }
    }

    /// Does what the editor asks; answers the exit code if that is to end.
    fn fulfil(&mut self, request: Request) -> Option<u8> {
        let mut editor = self.editor.take()?;
        let done = match request {
            Request::Quit { force } => self.quit(&mut editor, force),
            Request::Write { path, range, force, quit } => {
                let written = self.write(&mut editor, path, range, force);
                if written && quit { self.quit(&mut editor, false) } else { None }
            }
            Request::Edit { path } => {
                let name = path.or_else(|| editor.name.clone());
                self.edit(&mut editor, name);
                None
            }
            Request::Next { back } => {
                self.next(&mut editor, back);
                None
            }
            Request::Read { path, after } => {
                self.read(&mut editor, &path, after);
                None
            }
        };
        self.editor = Some(editor);
        done
    }

    fn quit(&self, editor: &mut Editor, force: bool) -> Option<u8> {
        let more = self.files.len().saturating_sub(self.at + 1);
        if more > 0 && !force {
            editor.message = format!("{more} more file(s) to edit");
            return None;
        }
        Some(0)
    }

    fn next(&mut self, editor: &mut Editor, back: bool) {
        let at = if back { self.at.checked_sub(1) } else { Some(self.at + 1) };
        match at.and_then(|at| self.files.get(at).cloned().map(|name| (at, name))) {
            Some((at, name)) => {
                self.at = at;
                self.edit(editor, Some(name));
            }
            None => "No more files to edit".clone_into(&mut editor.message),
        }
    }

    fn edit(&self, editor: &mut Editor, name: Option<String>) {
        let Some(name) = name else {
            "No current filename".clone_into(&mut editor.message);
            return;
        };
        if let Err(why) = self.load(editor, &name) {
            editor.message = format!("'{name}': {why}");
        }
    }

    /// Makes a file what is edited; why not, if it is none.
    fn load(&self, editor: &mut Editor, name: &str) -> Result<(), String> {
        let path = self.call.path(name);
        match file::read(&path) {
            Ok((lines, bytes)) => {
                let (count, last) = (lines.len(), if bytes == 0 { 0 } else { lines.len() });
                editor.open(lines, Some(name.to_owned()));
                let read_only = fs::metadata(&path).is_ok_and(|data| data.permissions().readonly());
                editor.read_only = self.read_only || read_only;
                let flag = if editor.read_only { " [Readonly]" } else { "" };
                editor.message = format!("'{name}'{flag} {}L, {bytes}C", last.min(count));
            }
            Err(Refusal::Missing) => {
                editor.open(Vec::new(), Some(name.to_owned()));
                editor.read_only = self.read_only;
                editor.message = format!("'{name}' [New file]");
            }
            Err(Refusal::Said(why)) => return Err(why),
        }
        Ok(())
    }

    fn read(&self, editor: &mut Editor, name: &str, after: usize) {
        match file::read(&self.call.path(name)) {
            Ok((lines, bytes)) => {
                editor.message = format!("'{name}' {}L, {bytes}C", lines.len());
                editor.insert_lines(after, lines);
            }
            Err(Refusal::Missing) => {
                editor.message = format!("'{name}' No such file or directory");
            }
            Err(Refusal::Said(why)) => editor.message = format!("'{name}' {why}"),
        }
    }

    fn write(
        &self,
        editor: &mut Editor,
        path: Option<String>,
        range: Option<(usize, usize)>,
        force: bool,
    ) -> bool {
        let own = path.is_none() || path == editor.name;
        let Some(name) = path.or_else(|| editor.name.clone()) else {
            "No current filename".clone_into(&mut editor.message);
            return false;
        };
        if own && editor.read_only && !force {
            editor.message = format!("'{name}' is read only");
            return false;
        }
        let path = self.call.path(&name);
        if !own && !force && fs::exists(&path).unwrap_or(false) {
            editor.message = format!("'{name}' File exists (:w! overrides)");
            return false;
        }
        let lines = match range {
            Some((first, last)) => &editor.buffer.lines()[first..=last],
            None => editor.buffer.lines(),
        };
        let content = file::content(lines);
        let count = if content.is_empty() { 0 } else { lines.len() };
        if let Err(err) = fs::write(&path, &content) {
            editor.message = format!("'{name}' {}", reason(&err));
            return false;
        }
        editor.message = format!("'{name}' {count}L, {}C", content.len());
        editor.name.get_or_insert_with(|| name.clone());
        if range.is_none() && editor.name.as_ref() == Some(&name) {
            editor.buffer.set_saved();
        }
        true
    }
}

impl Editor {
    /// Lines from elsewhere, after so many of its own; they can be undone.
    fn insert_lines(&mut self, after: usize, lines: Vec<buffer::Line>) {
        self.buffer.begin(self.cursor);
        self.buffer.replace(after.min(self.buffer.len()), 0, lines);
        self.buffer.end();
        self.cursor = Place { line: after.min(self.buffer.last()), column: 0 };
    }
}
