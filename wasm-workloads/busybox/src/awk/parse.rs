//! Reads statements; [`super::expression`] reads what they are made of.

use std::collections::HashMap;

use super::lex::{Token, lex};
use super::program::{
    Expression, Function, Pattern, Program, Redirect, Rule, SPECIAL, Statement, Variable,
};

/// Blocks and parentheses in one another: more than anyone writes, and far from the stack's end.
const DEPTH_MAX: u32 = 100;

/// # Errors
/// What is wrong, with its line.
pub fn parse(source: &str) -> Result<Program, String> {
    let mut parser = Parser {
        tokens: lex(source)?,
        at: 0,
        depth: 0,
        locals: Vec::new(),
        globals: HashMap::new(),
        functions: HashMap::new(),
        program: Program::default(),
        no_greater: false,
    };
    for name in SPECIAL {
        parser.global(name);
    }
    match parser.items() {
        Ok(()) => super::resolve::resolve(parser.program),
        Err(why) => Err(format!("line {}: {why}", parser.tokens[parser.at].1)),
    }
}

pub struct Parser {
    tokens: Vec<(Token, u32)>,
    at: usize,
    depth: u32,
    /// The parameters of the function that is being read.
    locals: Vec<String>,
    globals: HashMap<String, usize>,
    functions: HashMap<String, usize>,
    pub program: Program,
    /// Where `>` is no operator.
    pub no_greater: bool,
}

impl Parser {
    pub fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    pub fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        self.at = (self.at + usize::from(token != Token::End)).min(self.tokens.len() - 1);
        token
    }

    /// The token after the next one.
    pub fn ahead(&self) -> Option<&Token> {
        self.tokens.get(self.at + 1).map(|(token, _)| token)
    }

    /// Takes the last token back, to complain about it.
    pub fn back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    pub fn eat(&mut self, sign: &str) -> bool {
        let found =
            matches!(self.peek(), Token::Sign(found) | Token::Word(found) if *found == sign);
        if found {
            self.next();
        }
        found
    }

    pub fn sees(&self, signs: &[&str]) -> bool {
        matches!(self.peek(), Token::Sign(sign) | Token::Word(sign) if signs.contains(sign))
    }

    pub fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.eat(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn unexpected(&self) -> String {
        match self.peek() {
            Token::End => "unexpected end of program".to_owned(),
            Token::NewLine => "unexpected newline".to_owned(),
            Token::Sign(text) | Token::Word(text) => format!("unexpected token '{text}'"),
            Token::Name(text) | Token::Call(text) => format!("unexpected token '{text}'"),
            Token::Regexp(text) => format!("unexpected token '/{text}/'"),
            Token::Number(number) => format!("unexpected token '{number}'"),
            Token::Text(text) => format!("unexpected token '{}'", String::from_utf8_lossy(text)),
        }
    }

    /// Does something one level deeper.
    pub fn deeper<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too many levels of nesting".to_owned());
        }
        let done = act(self);
        self.depth -= 1;
        done
    }

    pub fn global(&mut self, name: &str) -> usize {
        let next = self.program.globals.len();
        let place = *self.globals.entry(name.to_owned()).or_insert(next);
        if place == next {
            self.program.globals.push(name.to_owned());
        }
        place
    }

    pub fn variable(&mut self, name: &str) -> Variable {
        match self.locals.iter().position(|local| local == name) {
            Some(place) => Variable::Local(place),
            None => Variable::Global(self.global(name)),
        }
    }

    /// A function's place; it may be defined later.
    pub fn function(&mut self, name: &str) -> usize {
        let next = self.program.functions.len();
        let place = *self.functions.entry(name.to_owned()).or_insert(next);
        if place == next {
            self.program.functions.push(Function { name: name.to_owned(), ..Function::default() });
        }
        place
    }

    pub fn new_lines(&mut self) {
        while matches!(self.peek(), Token::NewLine) {
            self.next();
        }
    }

    fn ends(&mut self) {
        while matches!(self.peek(), Token::NewLine | Token::Sign(";")) {
            self.next();
        }
    }

    fn items(&mut self) -> Result<(), String> {
        loop {
            self.ends();
            match self.peek() {
                Token::End => return Ok(()),
                Token::Word("BEGIN") => {
                    self.next();
                    let block = self.block()?;
                    self.program.begin.push(block);
                }
                Token::Word("END") => {
                    self.next();
                    let block = self.block()?;
                    self.program.end.push(block);
                }
                Token::Word("function") => self.definition()?,
                _ => {
                    let rule = self.rule()?;
                    self.program.rules.push(rule);
                }
            }
        }
    }

    fn rule(&mut self) -> Result<Rule, String> {
        let pattern = if self.sees(&["{"]) {
            Pattern::Always
        } else {
            let first = self.expression()?;
            if self.eat(",") {
                self.new_lines();
                Pattern::Range(first, self.expression()?)
            } else {
                Pattern::When(first)
            }
        };
        let action = if self.sees(&["{"]) { Some(self.block()?) } else { None };
        if action.is_none()
            && !matches!(self.peek(), Token::NewLine | Token::Sign(";") | Token::End)
        {
            return Err(self.unexpected());
        }
        Ok(Rule { pattern, action })
    }

    fn definition(&mut self) -> Result<(), String> {
        self.next();
        let name = match self.next() {
            Token::Name(name) | Token::Call(name) => name,
            _ => return Err("function name expected".to_owned()),
        };
        let place = self.function(&name);
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.eat(")") {
            self.new_lines();
            let Token::Name(parameter) = self.next() else { return Err(self.unexpected()) };
            parameters.push(parameter);
            if !self.sees(&[")"]) {
                self.expect(",")?;
                self.new_lines();
            }
        }
        self.new_lines();
        self.locals.clone_from(&parameters);
        let body = self.block()?;
        self.locals.clear();
        let function = &mut self.program.functions[place];
        if !function.body.is_empty() || !function.arrays.is_empty() {
            return Err(format!("function '{name}' is defined twice"));
        }
        function.arrays = vec![false; parameters.len() + 1];
        (function.parameters, function.body) = (parameters, body);
        Ok(())
    }

    fn block(&mut self) -> Result<Vec<Statement>, String> {
        self.expect("{")?;
        let mut statements = Vec::new();
        loop {
            self.ends();
            if self.eat("}") {
                return Ok(statements);
            }
            statements.push(self.deeper(Self::statement)?);
        }
    }

    /// What ends a simple statement.
    fn end(&mut self) -> Result<(), String> {
        match self.peek() {
            Token::NewLine | Token::Sign(";") => {
                self.next();
                Ok(())
            }
            Token::Sign("}") | Token::End => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    /// The statement that belongs to an `if` or a loop.
    fn body(&mut self) -> Result<Box<Statement>, String> {
        self.new_lines();
        if self.eat(";") {
            return Ok(Box::new(Statement::Block(Vec::new())));
        }
        self.deeper(Self::statement).map(Box::new)
    }

    fn statement(&mut self) -> Result<Statement, String> {
        let word = match self.peek() {
            Token::Sign("{") => return Ok(Statement::Block(self.block()?)),
            Token::Word(word) => *word,
            _ => "",
        };
        match word {
            "if" => self.if_(),
            "while" => {
                self.next();
                let condition = self.condition()?;
                Ok(Statement::While(condition, self.body()?))
            }
            "do" => {
                self.next();
                let body = self.body()?;
                self.ends();
                self.expect("while")?;
                let condition = self.condition()?;
                self.end()?;
                Ok(Statement::Do(body, condition))
            }
            "for" => self.for_(),
            _ => {
                let statement = self.simple()?;
                self.end()?;
                Ok(statement)
            }
        }
    }

    fn condition(&mut self) -> Result<Expression, String> {
        self.expect("(")?;
        let condition = self.expression()?;
        self.expect(")")?;
        Ok(condition)
    }

    fn if_(&mut self) -> Result<Statement, String> {
        self.next();
        let condition = self.condition()?;
        let yes = self.body()?;
        let before = self.at;
        self.ends();
        if !self.eat("else") {
            self.at = before;
            return Ok(Statement::If(condition, yes, None));
        }
        Ok(Statement::If(condition, yes, Some(self.body()?)))
    }

    fn for_(&mut self) -> Result<Statement, String> {
        self.next();
        self.expect("(")?;
        if let [
            (Token::Name(_), _),
            (Token::Word("in"), _),
            (Token::Name(array), _),
            (Token::Sign(")"), _),
            ..,
        ] = &self.tokens[self.at..]
        {
            let array = array.clone();
            let Token::Name(name) = self.next() else { return Err(self.unexpected()) };
            self.at += 3;
            let key = Expression::Variable(self.variable(&name));
            let array = self.variable(&array);
            return Ok(Statement::ForIn(key, array, self.body()?));
        }
        let first = if self.sees(&[";"]) { None } else { Some(self.simple()?) };
        self.expect(";")?;
        self.new_lines();
        let condition = if self.sees(&[";"]) { None } else { Some(self.expression()?) };
        self.expect(";")?;
        self.new_lines();
        let step = if self.sees(&[")"]) { None } else { Some(self.simple()?) };
        self.expect(")")?;
        Ok(Statement::For(Box::new([first, step]), condition, self.body()?))
    }

    fn simple(&mut self) -> Result<Statement, String> {
        let word = if let Token::Word(word) = self.peek() { *word } else { "" };
        let plain = match word {
            "next" => Statement::Next,
            "nextfile" => Statement::NextFile,
            "break" => Statement::Break,
            "continue" => Statement::Continue,
            "exit" | "return" => {
                self.next();
                let bare =
                    matches!(self.peek(), Token::NewLine | Token::Sign(";" | "}") | Token::End);
                let value = if bare { None } else { Some(self.expression()?) };
                return Ok(if word == "exit" {
                    Statement::Exit(value)
                } else {
                    Statement::Return(value)
                });
            }
            "delete" => return self.delete(),
            "print" | "printf" => return self.print(word == "printf"),
            _ => return self.expression().map(Statement::Expression),
        };
        self.next();
        Ok(plain)
    }

    fn delete(&mut self) -> Result<Statement, String> {
        self.next();
        let (Token::Name(name) | Token::Call(name)) = self.next() else {
            return Err(self.unexpected());
        };
        let array = self.variable(&name);
        if !self.eat("[") {
            return Ok(Statement::Delete(array, None));
        }
        let key = self.list(&["]"])?;
        self.expect("]")?;
        Ok(Statement::Delete(array, Some(key)))
    }

    fn print(&mut self, formatted: bool) -> Result<Statement, String> {
        self.next();
        let before = std::mem::replace(&mut self.no_greater, true);
        let mut arguments = match self.peek() {
            Token::NewLine | Token::End | Token::Sign(";" | "}" | ">" | ">>" | "|") => Vec::new(),
            _ => self.list(&[])?,
        };
        self.no_greater = before;
        if let [Expression::List(_)] = arguments.as_slice()
            && let Some(Expression::List(inner)) = arguments.pop()
        {
            arguments = inner;
        }
        let redirect = match self.peek() {
            Token::Sign(">") => Some(Redirect::Write),
            Token::Sign(">>") => Some(Redirect::Append),
            Token::Sign("|") => Some(Redirect::Pipe),
            _ => None,
        };
        let to = match redirect {
            Some(redirect) => {
                self.next();
                let before = std::mem::replace(&mut self.no_greater, true);
                let target = self.joined()?;
                self.no_greater = before;
                Some((redirect, target))
            }
            None => None,
        };
        if formatted && arguments.is_empty() {
            return Err("printf needs a format".to_owned());
        }
        Ok(if formatted {
            Statement::Printf { arguments, to }
        } else {
            Statement::Print { arguments, to }
        })
    }

    /// Expressions between commas; none if one of these comes first.
    pub fn list(&mut self, ends: &[&str]) -> Result<Vec<Expression>, String> {
        let mut list = Vec::new();
        self.new_lines();
        if self.sees(ends) {
            return Ok(list);
        }
        loop {
            list.push(self.expression()?);
            if !self.eat(",") {
                return Ok(list);
            }
            self.new_lines();
        }
    }
}
