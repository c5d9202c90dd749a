//! Applies a script to lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use sampan_regexp::Regexp;

use crate::call::{Call, Failure};

use super::Manner;
use super::input::Lines;
use super::output::{Output, Targets};
use super::script::{Action, Address, Command, End, Script, Substitution, Table};
use super::substitute::substitute;

/// What happens after a command.
enum Then {
    On,
    To(usize),
    /// The cycle is over; whether what is there is printed.
    EndCycle {
        print: bool,
    },
    /// As the end of a cycle, but the next one keeps what is there.
    Restart,
    Quit {
        code: u8,
        print: bool,
    },
}

/// What comes after a line's output.
enum Later<'a> {
    Text(&'a [u8]),
    File(&'a str),
    Line(Vec<u8>),
}

/// A range that has begun.
#[derive(Clone, Copy)]
enum Range {
    Outside,
    UntilLine(u64),
    /// Until its second address holds.
    UntilMatch,
    /// A first address of 0, or of a line, is used once.
    Over,
}

pub struct Run<'a> {
    call: &'a Call,
    script: &'a Script,
    manner: Manner,
    space: Vec<u8>,
    /// Whether the current line had its end.
    ended: bool,
    hold: Vec<u8>,
    spare: Vec<u8>,
    number: u64,
    ranges: Vec<Range>,
    replaced: bool,
    last_regexp: Option<&'a Regexp>,
    later: Vec<Later<'a>>,
    /// The files of `R`.
    readers: Vec<(&'a str, Option<BufReader<File>>)>,
}

impl<'a> Run<'a> {
    pub fn new(call: &'a Call, script: &'a Script, manner: Manner) -> Self {
        let begin = |command: &Command| match command.first {
            Some(Address::Line(0)) => Range::UntilMatch,
            _ => Range::Outside,
        };
        Self {
            call,
            script,
            manner,
            space: Vec::new(),
            ended: true,
            hold: Vec::new(),
            spare: Vec::new(),
            number: 0,
            ranges: script.commands.iter().map(begin).collect(),
            replaced: false,
            last_regexp: None,
            later: Vec::new(),
            readers: Vec::new(),
        }
    }

    /// All lines; the exit code if the script quits.
    pub fn all(
        &mut self,
        lines: &mut Lines<'_>,
        out: &mut Output,
        targets: &mut Targets,
    ) -> Result<Option<u8>, Failure> {
        let mut keep = false;
        loop {
            if !std::mem::take(&mut keep) && !self.read(lines) {
                return Ok(None);
            }
            self.replaced = false;
            match self.cycle(lines, out, targets)? {
                Then::Quit { code, print } => {
                    self.end_cycle(out, print)?;
                    return Ok(Some(code));
                }
                Then::EndCycle { print } => self.end_cycle(out, print)?,
                Then::Restart => {
                    self.end_cycle(out, false)?;
                    keep = true;
                }
                Then::On | Then::To(_) => self.end_cycle(out, true)?,
            }
        }
    }

    fn read(&mut self, lines: &mut Lines<'_>) -> bool {
        match lines.next(&mut self.space) {
            Some(ended) => {
                self.ended = ended;
                self.number += 1;
                true
            }
            None => false,
        }
    }

    /// Runs the commands once.
    fn cycle(
        &mut self,
        lines: &mut Lines<'_>,
        out: &mut Output,
        targets: &mut Targets,
    ) -> Result<Then, Failure> {
        let script = self.script;
        let mut at = 0;
        while let Some(command) = script.commands.get(at) {
            let chosen = self.is_chosen(at, command, lines)? != command.negated;
            let then = match (&command.action, chosen) {
                (Action::Block(end), false) => Then::To(*end),
                (_, false) => Then::On,
                (_, true) => self.act(at, command, lines, out, targets)?,
            };
            match then {
                Then::On => at += 1,
                Then::To(target) => at = target,
                then => return Ok(then),
            }
        }
        Ok(Then::On)
    }

    fn end_cycle(&mut self, out: &mut Output, print: bool) -> Result<(), Failure> {
        if print && !self.manner.quiet {
            out.line(&self.space, self.manner.end, self.ended)?;
        }
        for later in std::mem::take(&mut self.later) {
            match later {
                Later::Text(text) => out.text(text)?,
                Later::Line(line) => out.line(&line, b'\n', true)?,
                Later::File(name) => {
                    if let Ok(bytes) = read_file(self.call, name) {
                        out.text(&bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn matches(&mut self, regexp: Option<&'a Regexp>) -> Result<bool, Failure> {
        self.regexp(regexp)?.is_match(&self.space).map_err(complex)
    }

    /// This expression, or the one used last.
    fn regexp(&mut self, regexp: Option<&'a Regexp>) -> Result<&'a Regexp, Failure> {
        let regexp = regexp.or(self.last_regexp);
        self.last_regexp = regexp;
        regexp.ok_or_else(|| Failure::Message("no previous regexp".to_owned()))
    }

    fn holds(&mut self, address: &'a Address, lines: &mut Lines<'_>) -> Result<bool, Failure> {
        Ok(match address {
            Address::Line(line) => *line == self.number,
            Address::Last => lines.is_last(),
            Address::Match(regexp) => self.matches(regexp.as_deref())?,
            Address::Step(first, 0) => self.number == *first,
            Address::Step(first, step) => {
                self.number >= *first && (self.number - first).is_multiple_of(*step)
            }
        })
    }

    fn is_chosen(
        &mut self,
        at: usize,
        command: &'a Command,
        lines: &mut Lines<'_>,
    ) -> Result<bool, Failure> {
        let Some(first) = &command.first else { return Ok(true) };
        let Some(last) = &command.last else { return self.holds(first, lines) };
        let number = self.number;
        match self.ranges[at] {
            Range::UntilLine(line) => {
                if number >= line {
                    self.ranges[at] = Range::Outside;
                }
                // A line that was skipped over ends the range before it.
                if number > line && !matches!(last, End::Multiple(_)) {
                    return self.is_chosen(at, command, lines);
                }
                Ok(true)
            }
            Range::UntilMatch => {
                let End::At(address) = last else { return Ok(true) };
                if self.holds(address, lines)? {
                    let once = matches!(first, Address::Line(0));
                    self.ranges[at] = if once { Range::Over } else { Range::Outside };
                }
                Ok(true)
            }
            Range::Over => Ok(false),
            Range::Outside => {
                if !self.holds(first, lines)? {
                    return Ok(false);
                }
                self.ranges[at] = match last {
                    End::At(Address::Line(line)) if *line > number => Range::UntilLine(*line),
                    End::At(Address::Line(_)) => Range::Outside,
                    End::At(Address::Last) if lines.is_last() => Range::Outside,
                    End::At(_) => Range::UntilMatch,
                    End::After(0) | End::Multiple(0) => Range::Outside,
                    End::After(count) => Range::UntilLine(number + count),
                    End::Multiple(of) if number.is_multiple_of(*of) => Range::Outside,
                    End::Multiple(of) => Range::UntilLine(number.next_multiple_of(*of)),
                };
                Ok(true)
            }
        }
    }

    fn act(
        &mut self,
        at: usize,
        command: &'a Command,
        lines: &mut Lines<'_>,
        out: &mut Output,
        targets: &mut Targets,
    ) -> Result<Then, Failure> {
        let end = self.manner.end;
        let print = !self.manner.quiet;
        match &command.action {
            Action::Block(_) | Action::Nothing => {}
            Action::Append(text) => self.later.push(Later::Text(text)),
            Action::Insert(text) => out.text(text)?,
            Action::Change(text) => {
                let is_over = !matches!(self.ranges[at], Range::UntilLine(_) | Range::UntilMatch);
                if command.last.is_none() || command.negated || is_over {
                    out.text(text)?;
                }
                return Ok(Then::EndCycle { print: false });
            }
            Action::Branch(target) => return Ok(Then::To(*target)),
            Action::BranchIf(target) if std::mem::take(&mut self.replaced) => {
                return Ok(Then::To(*target));
            }
            Action::BranchIf(_) => {}
            Action::BranchUnless(target) if !std::mem::take(&mut self.replaced) => {
                return Ok(Then::To(*target));
            }
            Action::BranchUnless(_) => {}
            Action::Delete => return Ok(Then::EndCycle { print: false }),
            Action::DeleteLine => match self.first_line() {
                Some(line) => {
                    self.space.drain(..=line);
                    return Ok(Then::Restart);
                }
                None => return Ok(Then::EndCycle { print: false }),
            },
            Action::Print => out.line(&self.space, end, true)?,
            Action::PrintLine => {
                let line = self.first_line().unwrap_or(self.space.len());
                out.line(&self.space[..line], end, true)?;
            }
            Action::Next => {
                if lines.is_last() {
                    return Ok(Then::Quit { code: 0, print: true });
                }
                self.end_cycle(out, print)?;
                self.read(lines);
            }
            Action::Join => {
                if lines.is_last() {
                    return Ok(Then::Quit { code: 0, print: true });
                }
                self.end_cycle(out, false)?;
                let mut before = std::mem::take(&mut self.space);
                self.read(lines);
                before.push(end);
                before.append(&mut self.space);
                self.space = before;
            }
            Action::Get => self.space.clone_from(&self.hold),
            Action::GetAppended => {
                self.space.push(end);
                self.space.extend_from_slice(&self.hold);
            }
            Action::Hold => self.hold.clone_from(&self.space),
            Action::HoldAppended => {
                self.hold.push(end);
                self.hold.extend_from_slice(&self.space);
            }
            Action::Exchange => std::mem::swap(&mut self.space, &mut self.hold),
            Action::Quit { code, print } => return Ok(Then::Quit { code: *code, print: *print }),
            Action::ReadFile(name) => self.later.push(Later::File(name)),
            Action::ReadLine(name) => {
                let line = self.line_of(name);
                self.later.extend(line.map(Later::Line));
            }
            Action::Write(file) => self.write(*file, self.space.len(), out, targets)?,
            Action::WriteLine(file) => {
                let line = self.first_line().unwrap_or(self.space.len());
                self.write(*file, line, out, targets)?;
            }
            Action::Number => out.text(format!("{}\n", self.number).as_bytes())?,
            Action::Name => out.text(format!("{}\n", lines.name).as_bytes())?,
            Action::List(width) => out.text(&listed(&self.space, *width))?,
            Action::Empty => self.space.clear(),
            Action::Translate(table) => self.space = translated(&self.space, table),
            Action::Substitute(how) => self.substitute(how, out, targets)?,
        }
        Ok(Then::On)
    }

    /// Where the first of several lines ends.
    fn first_line(&self) -> Option<usize> {
        memchr::memchr(self.manner.end, &self.space)
    }

    fn substitute(
        &mut self,
        how: &'a Substitution,
        out: &mut Output,
        targets: &mut Targets,
    ) -> Result<(), Failure> {
        let regexp = self.regexp(how.regexp.as_ref())?;
        if !substitute(how, regexp, &self.space, &mut self.spare).map_err(complex)? {
            return Ok(());
        }
        std::mem::swap(&mut self.space, &mut self.spare);
        self.replaced = true;
        if how.print {
            out.line(&self.space, self.manner.end, true)?;
        }
        how.file.map_or(Ok(()), |file| self.write(file, self.space.len(), out, targets))
    }

    /// The pattern space's first `length` bytes to a file.
    fn write(
        &self,
        file: usize,
        length: usize,
        out: &mut Output,
        targets: &mut Targets,
    ) -> Result<(), Failure> {
        let Some((name, target)) = targets.get_mut(file) else { return Ok(()) };
        let target = if name == "/dev/stdout" { out } else { target };
        target.line(&self.space[..length], self.manner.end, true)?;
        // Another command may read what was written.
        Ok(target.flush()?)
    }

    /// The next line of a file of `R`.
    fn line_of(&mut self, name: &'a str) -> Option<Vec<u8>> {
        let known = self.readers.iter().position(|(known, _)| *known == name);
        let at = known.unwrap_or_else(|| {
            let file = File::open(self.call.path(name)).ok().map(BufReader::new);
            self.readers.push((name, file));
            self.readers.len() - 1
        });
        let mut line = Vec::new();
        self.readers[at].1.as_mut()?.read_until(b'\n', &mut line).ok()?;
        if line.is_empty() {
            return None;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Some(line)
    }
}

fn complex(err: sampan_regexp::TooComplex) -> Failure {
    Failure::Message(err.to_string())
}

fn read_file(call: &Call, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let name = if name == "/dev/stdin" { "-" } else { name };
    io::Read::read_to_end(&mut call.try_open(name)?, &mut bytes)?;
    Ok(bytes)
}

fn translated(line: &[u8], Table(table): &Table) -> Vec<u8> {
    let change = |c: char| table.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to);
    let mut out = Vec::with_capacity(line.len());
    for piece in line.utf8_chunks() {
        let text: String = piece.valid().chars().map(change).collect();
        out.extend(text.into_bytes());
        out.extend_from_slice(piece.invalid());
    }
    out
}

/// `l`: a line without doubt about what is in it.
fn listed(line: &[u8], width: usize) -> Vec<u8> {
    let mut out = String::new();
    let mut column = 0;
    for byte in line {
        let piece = match byte {
            b'\\' => "\\\\".to_owned(),
            7 => "\\a".to_owned(),
            8 => "\\b".to_owned(),
            b'\t' => "\\t".to_owned(),
            b'\n' => "\\n".to_owned(),
            11 => "\\v".to_owned(),
            12 => "\\f".to_owned(),
            b'\r' => "\\r".to_owned(),
            32..127 => char::from(*byte).to_string(),
            byte => format!("\\{byte:03o}"),
        };
        if width > 1 && column + piece.len() > width - 1 {
            out += "\\\n";
            column = 0;
        }
        column += piece.len();
        out += &piece;
    }
    out += "$\n";
    out.into_bytes()
}
