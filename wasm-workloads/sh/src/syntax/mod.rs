//! The shell's grammar: what a script is made of, and the parser that reads it command by command.
//!
//! Hand-written because a parser crate was measured and found wanting: brush-parser adds 300 KB to
//! a program that is compiled before a container's first line, 45 s of two cores and 94 packages to
//! every clean build, reads a script only as a whole (a real shell runs what stands before a syntax
//! error) and cannot word its errors as busybox does.
//!
//! A word is kept with its quoting, for expansion; a command with its source text, because a stage
//! of a pipeline is handed to another shell as text.

mod command;
mod parser;
mod word;

use std::cell::OnceCell;
use std::rc::Rc;

pub use command::{RESERVED, is_name};
pub use parser::Parser;

/// Commands up to a newline, `&&` and `||` bound tighter than `;` and `&`.
#[derive(Debug, Clone, Default)]
pub struct List(pub Vec<Item>);

#[derive(Debug, Clone)]
pub struct Item {
    pub first: Pipeline,
    pub rest: Vec<(Connector, Pipeline)>,
    /// Ended by `&`.
    pub background: bool,
    pub source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connector {
    And,
    Or,
}

#[derive(Debug, Clone)]
pub struct Pipeline {
    /// After `!`.
    pub negated: bool,
    pub stages: Vec<Rc<Command>>,
}

#[derive(Debug)]
pub struct Command {
    pub kind: Kind,
    pub redirects: Vec<Redirect>,
    pub source: Source,
    pub line: u32,
}

#[derive(Debug)]
pub enum Kind {
    Simple(Simple),
    Group(List),
    Subshell(List),
    If {
        /// Conditions and what is done if they hold, in order.
        arms: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    Loop {
        until: bool,
        condition: List,
        body: List,
    },
    For {
        name: String,
        /// `None`: the positional parameters.
        words: Option<Vec<Word>>,
        body: List,
    },
    Case {
        subject: Word,
        arms: Vec<Arm>,
    },
    Function {
        name: String,
        body: Rc<Command>,
    },
}

#[derive(Debug, Default)]
pub struct Simple {
    pub assignments: Vec<(String, Word)>,
    pub words: Vec<Word>,
}

#[derive(Debug)]
pub struct Arm {
    pub patterns: Vec<Word>,
    pub body: List,
    /// Ended by `;&`: the next arm's body runs too.
    pub falls_through: bool,
}

#[derive(Debug)]
pub struct Redirect {
    pub fd: u32,
    pub kind: RedirectKind,
}

#[derive(Debug)]
pub enum RedirectKind {
    Read(Word),
    Write(Word),
    /// `>|`: even under `set -C`.
    Clobber(Word),
    Append(Word),
    ReadWrite(Word),
    /// `>&word` and `<&word`: a number or `-`.
    Duplicate(Word),
    /// `&>word`: standard output and error.
    Both(Word),
    HereDocument(Rc<HereDocument>),
    /// `<<<word`
    HereString(Word),
}

/// Its text follows the line on which it is announced, so it is filled in later.
#[derive(Debug, Default)]
pub struct HereDocument {
    pub text: OnceCell<Word>,
    /// The lines as they stood, delimiter's quoting and tabs already dealt with.
    pub raw: OnceCell<String>,
    pub delimiter: String,
    /// The delimiter was quoted: nothing is expanded.
    pub quoted: bool,
    pub strip_tabs: bool,
}

/// The text of a command, and the here-documents announced in it whose text stands after its end.
#[derive(Debug, Clone, Default)]
pub struct Source {
    pub text: Rc<str>,
    pub late: Vec<Rc<HereDocument>>,
}

/// A word before expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word(pub Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Unquoted: may hold pattern characters and a leading tilde.
    Literal(String),
    /// Quoted; empty for `""`, which makes a field of its own.
    Quoted(String),
    Parameter {
        name: String,
        operator: Operator,
        quoted: bool,
    },
    /// The source of `$(…)` or of backticks, unescaped.
    Command {
        source: Rc<str>,
        quoted: bool,
    },
    Arithmetic {
        expression: Word,
        quoted: bool,
    },
}

/// What is done with a parameter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    Value,
    Length,
    /// `-`, `=`, `?`, `+`; with a colon an empty value counts as unset.
    Default {
        word: Word,
        colon: bool,
    },
    Assign {
        word: Word,
        colon: bool,
    },
    Error {
        word: Word,
        colon: bool,
    },
    Alternative {
        word: Word,
        colon: bool,
    },
    /// `#`, `##`
    RemovePrefix {
        pattern: Word,
        longest: bool,
    },
    /// `%`, `%%`
    RemoveSuffix {
        pattern: Word,
        longest: bool,
    },
    /// `:offset` and `:offset:length`, arithmetic
    Substring {
        offset: Word,
        length: Option<Word>,
    },
    /// `/pattern/replacement`, `//`
    Replace {
        pattern: Word,
        replacement: Word,
        all: bool,
    },
    /// `${…` of a form unknown: fails when it is expanded, as in other shells.
    Bad,
}

impl Word {
    /// The text of a word without any quoting or expansion in it.
    pub fn as_plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    pub fn quoted(text: String) -> Self {
        Self(vec![Piece::Quoted(text)])
    }
}
