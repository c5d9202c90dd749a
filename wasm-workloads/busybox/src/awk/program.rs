//! What a program is made of.

use std::rc::Rc;

use sampan_regexp::Regexp;

use super::value::Value;

#[derive(Debug, Default)]
pub struct Program {
    pub begin: Vec<Vec<Statement>>,
    pub rules: Vec<Rule>,
    pub end: Vec<Vec<Statement>>,
    pub functions: Vec<Function>,
    /// Names of the global variables; the first ones are [`SPECIAL`].
    pub globals: Vec<String>,
}

/// Variables that mean something, in the order of [`special`]'s numbers.
pub const SPECIAL: &[&str] = &[
    "NF", "NR", "FNR", "FS", "OFS", "RS", "ORS", "SUBSEP", "CONVFMT", "OFMT", "RSTART", "RLENGTH",
    "FILENAME", "ENVIRON", "ARGC", "ARGV", "RT",
];

/// Their places among the globals.
pub mod special {
    pub const NF: usize = 0;
    pub const NR: usize = 1;
    pub const FNR: usize = 2;
    pub const FS: usize = 3;
    pub const OFS: usize = 4;
    pub const RS: usize = 5;
    pub const ORS: usize = 6;
    pub const SUBSEP: usize = 7;
    pub const CONVFMT: usize = 8;
    pub const OFMT: usize = 9;
    pub const RSTART: usize = 10;
    pub const RLENGTH: usize = 11;
    pub const FILENAME: usize = 12;
    pub const ENVIRON: usize = 13;
    pub const ARGC: usize = 14;
    pub const ARGV: usize = 15;
    pub const RT: usize = 16;
}

#[derive(Debug)]
pub struct Rule {
    pub pattern: Pattern,
    /// None: print the record.
    pub action: Option<Vec<Statement>>,
}

#[derive(Debug)]
pub enum Pattern {
    Always,
    When(Expression),
    Range(Expression, Expression),
}

#[derive(Debug, Default)]
pub struct Function {
    pub name: String,
    pub parameters: Vec<String>,
    /// Which of the parameters are used as arrays.
    pub arrays: Vec<bool>,
    pub body: Vec<Statement>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variable {
    Global(usize),
    Local(usize),
}

#[derive(Debug)]
pub enum Statement {
    Expression(Expression),
    Print { arguments: Vec<Expression>, to: Option<(Redirect, Expression)> },
    Printf { arguments: Vec<Expression>, to: Option<(Redirect, Expression)> },
    If(Expression, Box<Statement>, Option<Box<Statement>>),
    While(Expression, Box<Statement>),
    Do(Box<Statement>, Expression),
    For(Box<[Option<Statement>; 2]>, Option<Expression>, Box<Statement>),
    ForIn(Expression, Variable, Box<Statement>),
    Block(Vec<Statement>),
    Next,
    NextFile,
    Break,
    Continue,
    Exit(Option<Expression>),
    Return(Option<Expression>),
    Delete(Variable, Option<Vec<Expression>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    Write,
    Append,
    Pipe,
}

#[derive(Debug)]
pub enum Expression {
    Constant(Value),
    /// Matched against the record where no regular expression is expected.
    Regexp(Rc<Regexp>),
    Variable(Variable),
    Field(Box<Expression>),
    Element(Variable, Vec<Expression>),
    Assign(Box<Expression>, Box<Expression>),
    /// `+=` and its like.
    Update(Arithmetic, Box<Expression>, Box<Expression>),
    /// `++x`, `x--`: what is added, and whether the old value counts.
    Step {
        target: Box<Expression>,
        by: f64,
        old: bool,
    },
    Choose(Box<[Expression; 3]>),
    And(Box<[Expression; 2]>),
    Or(Box<[Expression; 2]>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Number(Box<Expression>),
    Arithmetic(Arithmetic, Box<[Expression; 2]>),
    Compare(Comparison, Box<[Expression; 2]>),
    Match {
        of: Box<[Expression; 2]>,
        negated: bool,
    },
    Join(Box<[Expression; 2]>),
    In(Vec<Expression>, Variable),
    Call(usize, Vec<Expression>),
    Function(&'static str, Vec<Expression>),
    Getline {
        from: Source,
        into: Option<Box<Expression>>,
    },
    /// `(a, b)`: of `print` or before `in`.
    List(Vec<Expression>),
}

#[derive(Debug)]
pub enum Source {
    Input,
    File(Box<Expression>),
    Command(Box<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
}
