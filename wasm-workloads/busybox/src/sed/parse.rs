//! Reads a script.

use std::collections::HashMap;

use sampan_regexp::{Regexp, Syntax};

use super::script::{Action, Address, Case, Command, End, Piece, Script, Substitution, Table};

/// # Errors
/// What is wrong with the script, for people.
pub fn parse(text: &str, syntax: Syntax) -> Result<Script, String> {
    let mut parser = Parser {
        rest: text,
        syntax,
        commands: Vec::new(),
        files: Vec::new(),
        blocks: Vec::new(),
        labels: HashMap::new(),
        branches: Vec::new(),
    };
    while parser.command()? {}
    if !parser.blocks.is_empty() {
        return Err("unmatched '{'".to_owned());
    }
    for (at, label) in std::mem::take(&mut parser.branches) {
        let end = parser.commands.len();
        let place = if label.is_empty() { Some(end) } else { parser.labels.get(&label).copied() };
        let place = place.ok_or_else(|| format!("can't find label for jump to '{label}'"))?;
        if let Action::Branch(to) | Action::BranchIf(to) | Action::BranchUnless(to) =
            &mut parser.commands[at].action
        {
            *to = place;
        }
    }
    Ok(Script { commands: parser.commands, files: parser.files })
}

struct Parser<'a> {
    rest: &'a str,
    syntax: Syntax,
    commands: Vec<Command>,
    files: Vec<String>,
    /// Where open blocks begin.
    blocks: Vec<usize>,
    labels: HashMap<String, usize>,
    /// Jumps, and the names of where they go.
    branches: Vec<(usize, String)>,
}

/// A number of the script; a larger one is none.
type Number = Option<u64>;

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, token: char) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn number(&mut self) -> Number {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }

    /// What comes before one of these.
    fn until(&mut self, ends: &[char]) -> &'a str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        text
    }

    /// Reads one command; false at the end.
    fn command(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        if self.rest.is_empty() {
            return Ok(false);
        }
        let (first, last) = self.addresses()?;
        self.blanks();
        let mut negated = false;
        while self.eat('!') {
            negated = true;
            self.blanks();
        }
        let letter = self.next().ok_or("missing command")?;
        if first.is_some() && matches!(letter, ':' | '}') {
            return Err(format!("{letter} doesn't want any addresses"));
        }
        let action = self.action(letter)?;
        self.commands.push(Command { first, last, negated, action });
        if !matches!(letter, '{' | ':' | '#' | 'a' | 'i' | 'c' | 'r' | 'R' | 'w' | 'W') {
            self.end_of_command(letter)?;
        }
        Ok(true)
    }

    fn end_of_command(&mut self, letter: char) -> Result<(), String> {
        self.blanks();
        match self.rest.chars().next() {
            None | Some('\n' | ';' | '}' | '#') => Ok(()),
            Some(_) if letter == 's' => Err("bad option in substitution expression".to_owned()),
            Some(_) => Err(format!("extra characters after command '{letter}'")),
        }
    }

    fn addresses(&mut self) -> Result<(Option<Address>, Option<End>), String> {
        let first = self.address()?;
        self.blanks();
        if first.is_none() || !self.eat(',') {
            return match first {
                Some(Address::Line(0)) => Err("invalid usage of line address 0".to_owned()),
                first => Ok((first, None)),
            };
        }
        self.blanks();
        let wrong = || "no address after comma".to_owned();
        let last = if self.eat('+') {
            End::After(self.number().ok_or_else(wrong)?)
        } else if self.eat('~') {
            End::Multiple(self.number().ok_or_else(wrong)?)
        } else {
            End::At(self.address()?.ok_or_else(wrong)?)
        };
        let is_match = matches!(last, End::At(Address::Match(_)));
        if matches!(first, Some(Address::Line(0))) && !is_match {
            return Err("invalid usage of line address 0".to_owned());
        }
        Ok((first, Some(last)))
    }

    fn address(&mut self) -> Result<Option<Address>, String> {
        let delimiter = match self.rest.chars().next() {
            Some('$') => {
                self.next();
                return Ok(Some(Address::Last));
            }
            Some(c) if c.is_ascii_digit() => {
                let line = self.number().ok_or("invalid line number")?;
                return Ok(Some(if self.eat('~') {
                    Address::Step(line, self.number().unwrap_or(0))
                } else {
                    Address::Line(line)
                }));
            }
            Some('/') => '/',
            Some('\\') => {
                self.next();
                self.rest.chars().next().ok_or("unterminated address regex")?
            }
            _ => return Ok(None),
        };
        self.next();
        let text = self.delimited(delimiter, true).ok_or_else(|| unmatched(delimiter))?;
        let fold = self.eat('I');
        Ok(Some(Address::Match(self.regexp(&text, fold)?.map(Box::new))))
    }

    /// Text up to its delimiter, which loses its backslash; in a regular expression's brackets it
    /// is a character.
    fn delimited(&mut self, delimiter: char, regexp: bool) -> Option<String> {
        let (mut text, mut bracket) = (String::new(), false);
        loop {
            match self.next()? {
                c if c == delimiter && !bracket => return Some(text),
                '\\' if !bracket => match self.next()? {
                    c if c == delimiter && c != '\\' => {
                        // What means something only behind a backslash keeps its plain meaning.
                        text.push(c);
                    }
                    'n' if delimiter == 'n' => text.push('n'),
                    c => text.extend(['\\', c]),
                },
                '\n' if regexp && delimiter != '\n' => return None,
                c => {
                    text.push(c);
                    if regexp && !bracket && c == '[' {
                        bracket = self.opens_bracket(&mut text);
                    } else if bracket && c == '[' && self.rest.starts_with([':', '.', '=']) {
                        let close = format!("{}]", self.next()?);
                        let (inner, rest) = self.rest.split_once(&close)?;
                        text += &format!("{}{inner}{close}", &close[..1]);
                        self.rest = rest;
                    } else if c == ']' {
                        bracket = false;
                    }
                }
            }
        }
    }

    /// Takes what may come first in brackets; whether they are closed at all.
    fn opens_bracket(&mut self, text: &mut String) -> bool {
        let inner = self.rest.strip_prefix('^').unwrap_or(self.rest);
        let behind = inner.strip_prefix(']').unwrap_or(inner);
        if !behind.contains(']') {
            return false;
        }
        text.push_str(&self.rest[..self.rest.len() - behind.len()]);
        self.rest = behind;
        true
    }

    fn regexp(&self, text: &str, fold: bool) -> Result<Option<Regexp>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let syntax = Syntax { fold, ..self.syntax };
        let regexp = Regexp::new(&with_controls(text), syntax);
        regexp.map(Some).map_err(|why| format!("bad regex '{text}': {why}"))
    }

    fn action(&mut self, letter: char) -> Result<Action, String> {
        Ok(match letter {
            '{' => {
                self.blocks.push(self.commands.len());
                Action::Block(0)
            }
            '}' => {
                let begin = self.blocks.pop().ok_or("unexpected '}'")?;
                self.commands[begin].action = Action::Block(self.commands.len());
                Action::Nothing
            }
            '#' => {
                self.until(&['\n']);
                Action::Nothing
            }
            ':' => {
                self.blanks();
                let label = self.until(&['\n', ';']).trim_end();
                if label.is_empty() {
                    return Err("no label after ':'".to_owned());
                }
                self.labels.insert(label.to_owned(), self.commands.len());
                Action::Nothing
            }
            'b' | 't' | 'T' => {
                self.blanks();
                let label = self.until(&['\n', ';', '}', ' ', '\t']).to_owned();
                self.branches.push((self.commands.len(), label));
                match letter {
                    'b' => Action::Branch(0),
                    't' => Action::BranchIf(0),
                    _ => Action::BranchUnless(0),
                }
            }
            'a' => Action::Append(self.text(letter)?),
            'i' => Action::Insert(self.text(letter)?),
            'c' => Action::Change(self.text(letter)?),
            'd' => Action::Delete,
            'D' => Action::DeleteLine,
            'p' => Action::Print,
            'P' => Action::PrintLine,
            'n' => Action::Next,
            'N' => Action::Join,
            'g' => Action::Get,
            'G' => Action::GetAppended,
            'h' => Action::Hold,
            'H' => Action::HoldAppended,
            'x' => Action::Exchange,
            'q' | 'Q' => {
                self.blanks();
                let code = self.number().unwrap_or(0) as u8;
                Action::Quit { code, print: letter == 'q' }
            }
            'r' => Action::ReadFile(self.file_name()?.to_owned()),
            'R' => Action::ReadLine(self.file_name()?.to_owned()),
            'w' => Action::Write(self.file()?),
            'W' => Action::WriteLine(self.file()?),
            '=' => Action::Number,
            'F' => Action::Name,
            'l' => {
                self.blanks();
                Action::List(self.number().map_or(70, |width| width as usize))
            }
            'z' => Action::Empty,
            'y' => self.translate()?,
            's' => self.substitute()?,
            letter => return Err(format!("unsupported command {letter}")),
        })
    }

    fn file_name(&mut self) -> Result<&'a str, String> {
        self.blanks();
        let name = self.until(&['\n']);
        if name.is_empty() { Err("empty filename".to_owned()) } else { Ok(name) }
    }

    /// The place of a file to write, among all of them.
    fn file(&mut self) -> Result<usize, String> {
        let name = self.file_name()?;
        let known = self.files.iter().position(|known| known == name);
        Ok(known.unwrap_or_else(|| {
            self.files.push(name.to_owned());
            self.files.len() - 1
        }))
    }

    /// The lines of `a`, `i` and `c`: up to one that does not end in a backslash.
    fn text(&mut self, letter: char) -> Result<Vec<u8>, String> {
        self.blanks();
        if self.eat('\\') {
            // `a\` and a new line; or GNU's `a\  text`, which keeps its blanks.
            let before = self.rest;
            self.blanks();
            if !self.eat('\n') {
                self.rest = before;
            }
        }
        if self.rest.is_empty() {
            return Err(format!("expected \\ after '{letter}'").replace('\'', ""));
        }
        let mut text = String::new();
        loop {
            match self.next() {
                None | Some('\n') => break,
                Some('\\') => match self.next() {
                    Some(c) => text.push(control(c).unwrap_or(c)),
                    None => break,
                },
                Some(c) => text.push(c),
            }
        }
        text.push('\n');
        Ok(text.into_bytes())
    }

    fn translate(&mut self) -> Result<Action, String> {
        let delimiter = self.next().ok_or("missing delimiter of y")?;
        let mut side = || {
            let text = self.delimited(delimiter, false).ok_or_else(|| unmatched(delimiter))?;
            Ok::<_, String>(with_controls(&text).replace("\\\\", "\\").chars().collect::<Vec<_>>())
        };
        let (from, to) = (side()?, side()?);
        if from.len() != to.len() {
            return Err("y: strings have different lengths".to_owned());
        }
        Ok(Action::Translate(Box::new(Table(from.into_iter().zip(to).collect()))))
    }

    fn substitute(&mut self) -> Result<Action, String> {
        let delimiter = self.next().ok_or("missing delimiter of s")?;
        let unterminated = || unmatched(delimiter);
        let pattern = self.delimited(delimiter, true).ok_or_else(unterminated)?;
        let replacement = self.delimited(delimiter, false).ok_or_else(unterminated)?;
        let mut how = Substitution {
            regexp: None,
            pieces: pieces(&replacement),
            nth: 1,
            all: false,
            print: false,
            file: None,
        };
        let mut fold = false;
        loop {
            match self.rest.chars().next() {
                Some('g') => how.all = true,
                Some('p') => how.print = true,
                Some('i' | 'I') => fold = true,
                Some(c) if c.is_ascii_digit() => {
                    let nth = self.number().filter(|nth| *nth > 0);
                    how.nth = nth.ok_or("number option to s command may not be zero")?;
                    continue;
                }
                Some('w') => {
                    self.next();
                    how.file = Some(self.file()?);
                    break;
                }
                _ => break,
            }
            self.next();
        }
        how.regexp = self.regexp(&pattern, fold)?;
        let groups = how.regexp.as_ref().map_or(9, Regexp::groups);
        let wrong = how.pieces.iter().find_map(|piece| match piece {
            Piece::Group(group) if *group > groups => Some(group),
            _ => None,
        });
        match wrong {
            Some(group) => Err(format!("invalid reference \\{group} on s command's RHS")),
            None => Ok(Action::Substitute(Box::new(how))),
        }
    }
}

fn unmatched(delimiter: char) -> String {
    format!("unmatched '{delimiter}'")
}

/// Writes `\n`, `\t` and their like as the characters they name.
fn with_controls(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(c) => match control(c) {
                Some(control) => out.push(control),
                None => out.extend(['\\', c]),
            },
            None => out.push('\\'),
        }
    }
    out
}

fn control(letter: char) -> Option<char> {
    Some(match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'f' => '\x0c',
        'v' => '\x0b',
        'a' => '\x07',
        _ => return None,
    })
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let special = match c {
            '&' => Some(Piece::Group(0)),
            '\\' => match chars.next() {
                Some(digit @ '0'..='9') => Some(Piece::Group(digit as usize - '0' as usize)),
                Some('U') => Some(Piece::Case(Case::Upper)),
                Some('L') => Some(Piece::Case(Case::Lower)),
                Some('u') => Some(Piece::Case(Case::UpperOne)),
                Some('l') => Some(Piece::Case(Case::LowerOne)),
                Some('E') => Some(Piece::Case(Case::End)),
                Some(c) => {
                    plain.push(control(c).unwrap_or(c));
                    None
                }
                None => {
                    plain.push('\\');
                    None
                }
            },
            c => {
                plain.push(c);
                None
            }
        };
        if let Some(special) = special {
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain).into_bytes()));
            }
            pieces.push(special);
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain.into_bytes()));
    }
    pieces
}
