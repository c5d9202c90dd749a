//! The editor's state and how keys change it. It knows no file and no terminal: what is to be done
//! outside is answered as a [`Request`].

use std::collections::BTreeMap;

use super::buffer::{Buffer, Line, Place};
use super::command::{self, Command, Motion, Over, Parsed, Verb};
use super::line_input::LineInput;
use super::motion::{self, Extent, Target};
use super::search::Search;
use crate::screen::{Key, Size};

/// What the editor asks of the world.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// The lines of the range, or all, to this file or the editor's own.
    Write {
        path: Option<String>,
        range: Option<(usize, usize)>,
        force: bool,
        quit: bool,
    },
    /// Another file, or the same again.
    Edit {
        path: Option<String>,
    },
    /// A file's lines after so many lines.
    Read {
        path: String,
        after: usize,
    },
    Next {
        back: bool,
    },
    Quit {
        force: bool,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Mode {
    Normal,
    Insert,
    Replace,
    /// A line after `:`, `/` or `?`.
    Line(LineInput),
}

/// What was deleted or copied.
#[derive(Debug, Clone, Default)]
pub struct Register {
    pub lines: Vec<Line>,
    pub linewise: bool,
}

/// `:set`
#[derive(Debug, Clone)]
pub struct Options {
    pub number: bool,
    pub ignore_case: bool,
    pub auto_indent: bool,
    pub expand_tab: bool,
    /// Columns that `>` shifts by, and that an expanded tab is wide.
    pub shift: usize,
}

/// An insertion that goes on.
#[derive(Debug, Default)]
pub struct Insertion {
    pub count: usize,
    /// What was typed in it.
    pub keys: Vec<Key>,
    /// Each repetition has a line of its own.
    pub by_line: bool,
}

#[derive(Debug)]
pub struct Editor {
    pub buffer: Buffer,
    pub cursor: Place,
    /// The column on the screen that `j` and `k` go back to.
    pub wanted: usize,
    pub mode: Mode,
    pub options: Options,
    /// Said in the last line until the next key.
    pub message: String,
    pub name: Option<String>,
    pub read_only: bool,
    /// The first line and column shown, and how much fits, the status line excluded.
    pub top: usize,
    pub left: usize,
    pub size: Size,
    pub search: Option<Search>,
    pub insertion: Insertion,
    pub marks: BTreeMap<char, Place>,
    registers: BTreeMap<char, Register>,
    /// The last `f`, `F`, `t` or `T`.
    found: Option<Motion>,
    /// The beginning of a command.
    typed: Vec<char>,
    /// The keys of the command that goes on, and of the last one that changed something.
    recording: Vec<Key>,
    last_change: Vec<Key>,
    is_change: bool,
    replaying: bool,
}

impl Editor {
    pub fn new(lines: Vec<Line>, name: Option<String>, size: Size) -> Self {
        let options = Options {
            number: false,
            ignore_case: false,
            auto_indent: false,
            expand_tab: false,
            shift: crate::screen::text::TAB,
        };
        Self {
            buffer: Buffer::new(lines),
            cursor: Place::default(),
            wanted: 0,
            mode: Mode::Normal,
            options,
            message: String::new(),
            name,
            read_only: false,
            top: 0,
            left: 0,
            size,
            search: None,
            insertion: Insertion::default(),
            marks: BTreeMap::new(),
            registers: BTreeMap::new(),
            found: None,
            typed: Vec::new(),
            recording: Vec::new(),
            last_change: Vec::new(),
            is_change: false,
            replaying: false,
        }
    }

    /// Another text; options, registers and the last search stay.
    pub fn open(&mut self, lines: Vec<Line>, name: Option<String>) {
        self.buffer = Buffer::new(lines);
        self.marks.clear();
        (self.name, self.cursor, self.top, self.left, self.wanted) =
            (name, Place::default(), 0, 0, 0);
    }

    pub fn press(&mut self, key: Key) -> Option<Request> {
        if self.is_idle() {
            self.message.clear();
            self.recording.clear();
            self.is_change = false;
            self.buffer.begin(self.cursor);
        }
        self.recording.push(key);
        let request = match &mut self.mode {
            Mode::Normal => self.normal(key),
            Mode::Insert | Mode::Replace => {
                self.insert_key(key);
                None
            }
            Mode::Line(_) => self.line_key(key),
        };
        if self.is_idle() {
            self.buffer.end();
            self.settle();
            if self.is_change && !self.replaying {
                self.last_change = std::mem::take(&mut self.recording);
            }
        }
        request
    }

    /// What is typed next begins a command.
    fn is_idle(&self) -> bool {
        self.mode == Mode::Normal && self.typed.is_empty()
    }

    /// In normal mode the cursor is on a character.
    pub(super) fn settle(&mut self) {
        self.cursor.line = self.cursor.line.min(self.buffer.last());
        let last = self.buffer.line(self.cursor.line).len().saturating_sub(1);
        self.cursor.column = self.cursor.column.min(last);
    }

    fn normal(&mut self, key: Key) -> Option<Request> {
        let letter = match key {
            Key::Escape | Key::Control('c') => None,
            Key::Enter if command::awaits_character(&self.typed) => Some('\n'),
            Key::Char(c) if command::awaits_character(&self.typed) => Some(c),
            key => command::letter(key),
        };
        let Some(letter) = letter else {
            self.typed.clear();
            return None;
        };
        self.typed.push(letter);
        match command::parse(&self.typed) {
            Parsed::More => None,
            Parsed::Nothing => {
                self.typed.clear();
                None
            }
            Parsed::Done(command) => {
                self.typed.clear();
                self.execute(command)
            }
        }
    }

    fn execute(&mut self, command: Command) -> Option<Request> {
        let Command { register, count, verb } = command;
        match verb {
            Verb::Move(motion) if "/?".contains(motion.key) => {
                self.mode = Mode::Line(LineInput::new(motion.key, None));
            }
            Verb::Operate(operator, Over::Motion(motion)) if "/?".contains(motion.key) => {
                let rest = Command { register, count, verb: Verb::Operate(operator, Over::Lines) };
                self.mode = Mode::Line(LineInput::new(motion.key, Some(rest)));
            }
            Verb::Move(motion) => self.go(motion, count),
            Verb::Operate(operator, over) => self.operate(operator, over, count, register),
            Verb::Simple(key, argument) => return self.simple(key, argument, count, register),
        }
        None
    }

    /// Moves the cursor.
    pub fn go(&mut self, motion: Motion, count: Option<usize>) {
        let Some(target) = self.target(motion, count, None) else { return };
        self.cursor = target.place;
        match motion.key {
            'j' | 'k' => {}
            '$' => self.wanted = usize::MAX,
            _ => self.want_here(),
        }
    }

    /// `j` and `k` stay in the cursor's column from here on.
    pub fn want_here(&mut self) {
        self.wanted = motion::column_of(self.buffer.line(self.cursor.line), self.cursor.column);
    }

    /// Where a motion leads from the cursor; an operator may see it otherwise. `None` and perhaps a
    /// message if it leads nowhere.
    pub fn target(
        &mut self,
        motion: Motion,
        count: Option<usize>,
        operator: Option<char>,
    ) -> Option<Target> {
        let n = count.unwrap_or(1);
        match motion.key {
            'f' | 'F' | 't' | 'T' => {
                self.found = Some(motion);
                self.find(motion, n, false)
            }
            ';' => self.find(self.found?, n, true),
            ',' => {
                let Motion { key, argument } = self.found?;
                let key = if key.is_lowercase() {
                    key.to_ascii_uppercase()
                } else {
                    key.to_ascii_lowercase()
                };
                self.find(Motion { key, argument }, n, true)
            }
            'n' | 'N' => self.seek(motion.key == 'N', n),
            '*' | '#' => self.seek_word(motion.key == '*', n),
            'H' | 'M' | 'L' | '\x06' | '\x02' | '\x04' | '\x15' => self.by_screen(motion.key, n),
            '\'' | '`' => {
                let place = self.marks.get(&motion.argument).copied();
                let place = place.or_else(|| {
                    "Mark not set".clone_into(&mut self.message);
                    None
                })?;
                Some(if motion.key == '`' {
                    Target { place, extent: Extent::Exclusive }
                } else {
                    self.to_line(place.line)
                })
            }
            key => self.in_text(key, count, operator),
        }
    }

    fn find(&self, motion: Motion, count: usize, again: bool) -> Option<Target> {
        let line = self.buffer.line(self.cursor.line);
        let Motion { key, argument } = motion;
        let column = motion::find(line, self.cursor.column, key, argument, count, again)?;
        let extent = if key.is_lowercase() { Extent::Inclusive } else { Extent::Exclusive };
        Some(Target { place: Place::new(self.cursor.line, column), extent })
    }

    /// Commands of one key.
    fn simple(
        &mut self,
        key: char,
        argument: char,
        count: Option<usize>,
        register: Option<char>,
    ) -> Option<Request> {
        let n = count.unwrap_or(1);
        match key {
            ':' => {
                let mut input = LineInput::new(':', None);
                if let Some(count) = count {
                    input.text = format!(".,.+{}", count - 1).chars().collect();
                }
                self.mode = Mode::Line(input);
            }
            'Z' if argument == 'Z' && self.buffer.is_modified() => {
                return Some(Request::Write { path: None, range: None, force: false, quit: true });
            }
            'Z' if argument == 'Z' => return Some(Request::Quit { force: false }),
            'Z' if argument == 'Q' => return Some(Request::Quit { force: true }),
            '.' => return self.repeat(count),
            'u' | '\x12' => self.back_or_forth(key == 'u', n),
            '\x07' => self.message = self.status(),
            '\x05' | '\x19' => self.scroll(key == '\x05', n),
            'z' => self.place_line(argument),
            'm' => {
                self.marks.insert(argument, self.cursor);
            }
            'p' | 'P' => self.put(key == 'P', n, register),
            'J' => self.join(n.max(2) - 1),
            'r' => self.replace_characters(argument, n),
            '~' => self.swap_case(n),
            'i' | 'a' | 'I' | 'A' | 'o' | 'O' | 'R' => self.start_insert(key, n),
            _ => {}
        }
        None
    }

    /// `.`: the keys of the last change again, with another count if one is given.
    fn repeat(&mut self, count: Option<usize>) -> Option<Request> {
        if let Some(count) = count {
            let is_digit = |key: &Key| matches!(key, Key::Char('0'..='9'));
            let rest = self.last_change.iter().skip_while(|key| is_digit(key)).copied();
            self.last_change = count.to_string().chars().map(Key::Char).chain(rest).collect();
        }
        self.replaying = true;
        for key in self.last_change.clone() {
            self.press(key);
        }
        self.replaying = false;
        self.is_change = false;
        None
    }

    fn back_or_forth(&mut self, back: bool, count: usize) {
        for _ in 0..count {
            let place = if back { self.buffer.undo() } else { self.buffer.redo() };
            match place {
                Some(place) => self.cursor = place,
                None => {
                    let which = if back { "oldest" } else { "newest" };
                    self.message = format!("Already at {which} change");
                    return;
                }
            }
        }
        self.want_here();
    }

    /// What goes on is repeated by `.`.
    pub fn mark_change(&mut self) {
        self.is_change = true;
    }

    pub fn register(&self, name: Option<char>) -> Option<&Register> {
        self.registers.get(&name.unwrap_or('"'))
    }

    /// Keeps a text in the register named, and in the one without a name.
    pub fn keep(&mut self, name: Option<char>, register: Register) {
        if let Some(name) = name {
            self.registers.insert(name, register.clone());
        }
        self.registers.insert('"', register);
    }
}
