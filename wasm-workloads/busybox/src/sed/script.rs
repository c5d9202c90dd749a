//! What a script is made of.

use sampan_regexp::Regexp;

#[derive(Debug)]
pub struct Script {
    pub commands: Vec<Command>,
    /// Every file that is written to; commands name them by their place.
    pub files: Vec<String>,
}

#[derive(Debug)]
pub struct Command {
    pub first: Option<Address>,
    pub last: Option<End>,
    pub negated: bool,
    pub action: Action,
}

#[derive(Debug)]
pub enum Address {
    /// 0 only before a regular expression: a range that may end on the first line.
    Line(u64),
    Last,
    /// None: the one used last.
    Match(Option<Box<Regexp>>),
    /// `first~step`
    Step(u64, u64),
}

/// Where a range ends.
#[derive(Debug)]
pub enum End {
    At(Address),
    /// `+N`
    After(u64),
    /// `~N`
    Multiple(u64),
}

#[derive(Debug)]
pub enum Action {
    /// `{`: where to go on if it does not hold.
    Block(usize),
    /// `}`, `:label` and comments.
    Nothing,
    Append(Vec<u8>),
    Insert(Vec<u8>),
    Change(Vec<u8>),
    /// To the command of this number.
    Branch(usize),
    /// If something was substituted.
    BranchIf(usize),
    BranchUnless(usize),
    Delete,
    DeleteLine,
    Print,
    PrintLine,
    Next,
    Join,
    Get,
    GetAppended,
    Hold,
    HoldAppended,
    Exchange,
    Quit {
        code: u8,
        print: bool,
    },
    ReadFile(String),
    /// `R`: a line at a time; its place among the files that are read so.
    ReadLine(String),
    /// `w`
    Write(usize),
    /// `W`
    WriteLine(usize),
    Number,
    Name,
    /// `l`, with the width of lines; 0 or 1: endless.
    List(usize),
    Empty,
    Translate(Box<Table>),
    Substitute(Box<Substitution>),
}

/// `y`: characters and what becomes of them.
#[derive(Debug, Default)]
pub struct Table(pub Vec<(char, char)>);

#[derive(Debug)]
pub struct Substitution {
    /// None: the one used last.
    pub regexp: Option<Regexp>,
    pub pieces: Vec<Piece>,
    /// From this match on, from 1.
    pub nth: u64,
    pub all: bool,
    pub print: bool,
    pub file: Option<usize>,
}

/// A piece of a replacement.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Text(Vec<u8>),
    Group(usize),
    Case(Case),
}

/// GNU's `\U` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Upper,
    Lower,
    /// Of the next character only.
    UpperOne,
    LowerOne,
    End,
}
