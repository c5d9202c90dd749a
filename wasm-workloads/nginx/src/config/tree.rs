//! A configuration's text as a tree of directives, `include`s taken in. Upstream:
//! `src/core/ngx_conf_file.c`.

use std::rc::Rc;

use super::{Fault, fault};
use crate::files;

/// `name args;` or `name args { block }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
    pub(crate) block: Option<Vec<Directive>>,
    pub(crate) at: At,
}

/// Where something is written: nginx names the line of the `;` or `{`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) file: Rc<str>,
    pub(crate) line: usize,
}

/// Bound: files in one another, as a file could include itself.
const INCLUDES_DEEP_MAX: usize = 16;
/// Bound: blocks in one another; nobody writes so many, and each is a call of a function here.
const BLOCKS_DEEP_MAX: usize = 32;

/// Directives, and the files and directories that they were read from.
pub(crate) struct Tree {
    pub(crate) directives: Vec<Directive>,
    pub(crate) sources: Vec<String>,
}

/// Reads a file with all that it includes; relative names are meant beside the first file.
///
/// # Errors
/// The first fault, in nginx's words.
pub(crate) fn read(path: &str) -> Result<Tree, Fault> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut reader = Reader { directory, seen: Vec::new(), deep: 0 };
    let directives = reader.file(path, None)?;
    Ok(Tree { directives, sources: reader.seen })
}

/// Reads directives that were given on the command line.
///
/// # Errors
/// As [`read`].
pub(crate) fn parse(text: &str) -> Result<Vec<Directive>, Fault> {
    Tokens { rest: text.char_indices().peekable(), line: 1, file: "command line".into() }.block(0)
}

struct Reader<'a> {
    directory: &'a str,
    /// Files and directories read so far.
    seen: Vec<String>,
    deep: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, from: Option<&At>) -> Result<Vec<Directive>, Fault> {
        let text = files::read_text(path).map_err(|failure| {
            let what = format!("open() \"{path}\" failed ({})", failure.numbered());
            from.map_or_else(|| Fault(what.clone()), |at| fault(&what, at))
        })?;
        self.seen.push(path.to_owned());
        let file: Rc<str> = path.into();
        let mut tokens = Tokens { rest: text.char_indices().peekable(), line: 1, file };
        let directives = tokens.block(0)?;
        self.take_in(directives)
    }

    /// Puts what is included in the place of each `include`.
    fn take_in(&mut self, directives: Vec<Directive>) -> Result<Vec<Directive>, Fault> {
        let mut all = Vec::with_capacity(directives.len());
        for mut directive in directives {
            if directive.name == "include" && directive.block.is_none() {
                all.extend(self.include(&directive)?);
                continue;
            }
            if let Some(block) = directive.block.take() {
                directive.block = Some(self.take_in(block)?);
            }
            all.push(directive);
        }
        Ok(all)
    }

    fn include(&mut self, directive: &Directive) -> Result<Vec<Directive>, Fault> {
        let [name] = &directive.args[..] else {
            return Err(fault(
                "invalid number of arguments in \"include\" directive",
                &directive.at,
            ));
        };
        if self.deep == INCLUDES_DEEP_MAX {
            return Err(fault("too many files include one another", &directive.at));
        }
        let path = match name.starts_with('/') {
            true => name.clone(),
            false => format!("{}/{name}", self.directory),
        };
        self.deep += 1;
        let mut all = Vec::new();
        if path.contains(['*', '?']) {
            self.seen
                .push(path.rsplit_once('/').map_or("/", |(directory, _)| directory).to_owned());
        }
        for path in expand(&path) {
            all.extend(self.file(&path, Some(&directive.at))?);
        }
        self.deep -= 1;
        Ok(all)
    }
}

/// The files that a name with `*` and `?` in its last part means, sorted; another name is itself.
fn expand(path: &str) -> Vec<String> {
    let (directory, pattern) = path.rsplit_once('/').unwrap_or(("", path));
    if !pattern.contains(['*', '?']) {
        return vec![path.to_owned()];
    }
    let names = files::list(if directory.is_empty() { "/" } else { directory });
    let mut names: Vec<String> =
        names.unwrap_or_default().into_iter().map(|entry| entry.0).collect();
    names.retain(|name| !name.starts_with('.') && matches(pattern.as_bytes(), name.as_bytes()));
    names.sort_unstable();
    names.iter().map(|name| format!("{directory}/{name}")).collect()
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|n| matches(rest, &name[n..])),
        (Some((b'?', pattern)), Some((_, name))) => matches(pattern, name),
        (Some((a, pattern)), Some((b, name))) => a == b && matches(pattern, name),
        _ => false,
    }
}

struct Tokens<'a> {
    rest: std::iter::Peekable<std::str::CharIndices<'a>>,
    line: usize,
    file: Rc<str>,
}

enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
    End,
}

impl Tokens<'_> {
    fn at(&self) -> At {
        At { file: self.file.clone(), line: self.line }
    }

    fn fault<T>(&self, what: &str) -> Result<T, Fault> {
        Err(fault(what, &self.at()))
    }

    /// Directives up to the `}` or, outside of all blocks, to the end.
    fn block(&mut self, deep: usize) -> Result<Vec<Directive>, Fault> {
        if deep == BLOCKS_DEEP_MAX {
            return self.fault("too many blocks in one another");
        }
        let mut directives = Vec::new();
        let mut words: Vec<String> = Vec::new();
        loop {
            match self.next()? {
                Token::Word(word) => words.push(word),
                Token::Semicolon if words.is_empty() => return self.fault("unexpected \";\""),
                Token::Open if words.is_empty() => return self.fault("unexpected \"{\""),
                Token::Semicolon => directives.push(self.directive(&mut words, None)),
                Token::Open => {
                    let mut directive = self.directive(&mut words, None);
                    directive.block = Some(self.block(deep + 1)?);
                    directives.push(directive);
                }
                Token::Close if deep == 0 || !words.is_empty() => {
                    return self.fault("unexpected \"}\"");
                }
                Token::End if !words.is_empty() => {
                    return self.fault("unexpected end of file, expecting \";\" or \"}\"");
                }
                Token::End if deep > 0 => {
                    return self.fault("unexpected end of file, expecting \"}\"");
                }
                Token::Close | Token::End => return Ok(directives),
            }
        }
    }

    fn directive(&self, words: &mut Vec<String>, block: Option<Vec<Directive>>) -> Directive {
        let mut words = std::mem::take(words).into_iter();
        let name = words.next().unwrap_or_default();
        Directive { name, args: words.collect(), block, at: self.at() }
    }

    fn next_char(&mut self) -> Option<char> {
        let (_, c) = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    fn next(&mut self) -> Result<Token, Fault> {
        loop {
            let Some(first) = self.peek() else { return Ok(Token::End) };
            match first {
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.next_char();
                    }
                }
                c if c.is_ascii_whitespace() => {
                    self.next_char();
                }
                ';' | '{' | '}' => {
                    self.next_char();
                    return Ok(match first {
                        ';' => Token::Semicolon,
                        '{' => Token::Open,
                        _ => Token::Close,
                    });
                }
                '"' | '\'' => return self.quoted(first).map(Token::Word),
                _ => return self.word().map(Token::Word),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        self.next_char();
        let mut word = String::new();
        loop {
            match self.next_char() {
                None => return self.fault("unexpected end of file, expecting \";\" or \"}\""),
                Some('\\') => self.escape(&mut word),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
            }
        }
        match self.peek() {
            Some(c) if !c.is_ascii_whitespace() && !matches!(c, ';' | '{' | ')') => {
                self.fault(&format!("unexpected \"{c}\""))
            }
            _ => Ok(word),
        }
    }

    fn word(&mut self) -> Result<String, Fault> {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            if c.is_ascii_whitespace() || c == ';' || (c == '{' && !word.ends_with('$')) {
                break;
            }
            self.next_char();
            match c {
                '\\' => self.escape(&mut word),
                c => word.push(c),
            }
        }
        Ok(word)
    }

    /// A backslash stays, but before quotes, itself and the letters of white space.
    fn escape(&mut self, word: &mut String) {
        match self.next_char() {
            Some(c @ ('"' | '\'' | '\\' | ' ')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }
}
