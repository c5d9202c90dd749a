//! The shell's grammar: what a script is made of, and the parser that reads it command by command.
//!
//! Hand-written because a parser crate was measured and found wanting: brush-parser adds 300 KB to
//! a program that is compiled before a container's first line, 45 s of two cores and 94 packages to
//! every clean build, reads a script only as a whole (a real shell runs what stands before a syntax
//! error) and cannot word its errors as busybox does.
//!
//! A word is kept with its quoting, for expansion; a command with its source text, because a stage
//! of a pipeline is handed to another shell as text.

mod alias;
mod braces;
mod command;
mod compound;
mod condition;
mod parser;
mod redirect;
mod word;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::cell::OnceCell;
use std::rc::Rc;

pub use command::{RESERVED, is_name};
pub use parser::{Aliases, Parser};

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
    /// `for ((start; while_; step))`, arithmetic.
    Count {
        start: Word,
        while_: Word,
        step: Word,
        body: List,
    },
    /// A menu; as `For`, but the user chooses, again and again.
    Select {
        name: String,
        words: Option<Vec<Word>>,
        body: List,
    },
    /// `((…))`
    Arithmetic(Word),
    /// `[[ … ]]`
    Condition(Condition),
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
    pub assignments: Vec<Assignment>,
    pub words: Vec<Word>,
    /// Arrays among the words of `declare` and its like, of which the words have the names.
    pub declared: Vec<Assignment>,
}

/// `name=value`, `name[index]=value`, `name=(…)`, each with `=` or `+=`.
#[derive(Debug)]
pub struct Assignment {
    pub name: String,
    pub index: Option<Word>,
    pub append: bool,
    pub value: Assigned,
}

#[derive(Debug)]
pub enum Assigned {
    Text(Word),
    /// The elements of an array, some with an index of their own.
    Elements(Vec<(Option<Word>, Word)>),
}

/// Inside of `[[ … ]]`: words are not split, and no file names are made of them.
#[derive(Debug)]
pub enum Condition {
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    /// `-f name` and the like.
    Unary(String, Word),
    Binary(Word, String, Word),
    /// A word alone: whether it is more than nothing.
    Text(Word),
}

#[derive(Debug)]
pub struct Arm {
    pub patterns: Vec<Word>,
    pub body: List,
    pub then: Then,
}

/// What follows an arm that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// `;;`
    End,
    /// `;&`: the next arm's body runs too.
    NextBody,
    /// `;;&`: the patterns after it are tried too.
    NextPattern,
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
    /// `>&word` and `<&word`: a number, `-`, or a number to be moved, `3-`.
    Duplicate(Word),
    /// `&>word`: standard output and error; `>&word` too, unless the word is a number or `-`.
    Both {
        word: Word,
        append: bool,
    },
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
        parameter: Parameter,
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
    /// `<(…)` or `>(…)`: a file name.
    Process {
        source: Rc<str>,
        writes: bool,
    },
}

/// A parameter that is expanded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    /// `${name[index]}`, of which `@` and `*` are all elements.
    pub index: Option<Word>,
    /// `${!name}`: the value is the name of the one that is meant.
    pub indirect: bool,
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
    /// `^`, `^^`, `,`, `,,`: the case of the first or all characters that match.
    Case {
        pattern: Word,
        upper: bool,
        all: bool,
    },
    /// `@Q` and the like.
    Transform(char),
    /// `${!prefix*}`: the names that begin so.
    Names,
    /// `${!name[@]}`
    Indices,
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

    /// Whether an index is `@` or `*`: all elements.
    pub fn is_all(&self) -> bool {
        matches!(self.0.as_slice(), [Piece::Quoted(text)] if text == "@" || text == "*")
    }

    pub fn quoted(text: String) -> Self {
        Self(vec![Piece::Quoted(text)])
    }
}
