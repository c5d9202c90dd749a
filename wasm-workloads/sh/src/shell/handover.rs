//! A shell's state as bytes, for another process that continues it: a subshell, a stage of a
//! pipeline, a substitution.

use std::rc::Rc;

use super::variables::{Array, Value, Variable};
use super::{Call, Function, Ran, Shell, Unwind};
use crate::syntax::{HereDocument, Kind, Parser, Source};

/// The first byte: a state of another layout is refused.
const VERSION: u8 = 2;

impl Shell {
    pub(super) fn hand_over(&self, source: &Source) -> Vec<u8> {
        let mut writer = Writer(vec![VERSION]);
        writer.source(source);
        writer.text(&self.name);
        writer.list(&self.positional);
        writer.number(self.variables.iter().count());
        for (name, variable) in self.variables.iter() {
            writer.text(name);
            writer.variable(variable);
        }
        writer.number(self.functions.len());
        for function in self.functions.values() {
            writer.source(&function.source);
        }
        let aliases = self.aliases.borrow();
        writer.number(aliases.len());
        for (name, text) in aliases.iter() {
            writer.text(name);
            writer.text(text);
        }
        writer.text(&self.options.inherited());
        writer.text(&self.directory);
        writer.text(&self.last_argument);
        for number in [
            self.status as usize,
            self.pid as usize,
            self.parent as usize,
            self.last_background.map_or(0, |pid| pid as usize),
            self.line as usize,
            self.in_script as usize,
            self.unchecked as usize,
            self.seconds() as usize,
        ] {
            writer.number(number);
        }
        let calls = self.calls.iter().map(|call| call.name.clone());
        writer.list(&calls.collect::<Vec<_>>());
        let ignored = self.traps.iter().filter(|(_, action)| action.is_empty());
        writer.list(&ignored.map(|(name, _)| name.clone()).collect::<Vec<_>>());
        writer.0
    }

    /// Takes over the state of the shell that started this process, and runs what it was started
    /// for.
    pub fn continue_from(&mut self, state: &[u8]) -> Ran {
        match self.take_over(state) {
            Some((text, documents, line)) => {
                self.is_subshell = is_one_subshell(&text);
                // Aliases have been replaced where the text was read first.
                let parser = Parser::new(&text, line).with_here_documents(documents);
                self.run_parsed(parser)
            }
            None => {
                self.complain("state of another shell is not understood");
                Err(Unwind::Exit(2))
            }
        }
    }

    fn take_over(&mut self, state: &[u8]) -> Option<(String, Vec<String>, u32)> {
        let mut reader = Reader(state.strip_prefix(&[VERSION])?);
        let (text, documents) = reader.source()?;
        self.name = reader.text()?;
        self.positional = reader.list()?;
        for _ in 0..reader.number()? {
            let name = reader.text()?;
            *self.variables.entry_mut(&name) = reader.variable()?;
        }
        for _ in 0..reader.number()? {
            let (text, documents) = reader.source()?;
            self.take_function(&text, documents);
        }
        for _ in 0..reader.number()? {
            let (name, text) = (reader.text()?, reader.text()?);
            self.aliases.borrow_mut().insert(name, text);
        }
        for letter in reader.text()?.chars() {
            self.options.change(letter, true);
        }
        self.directory = reader.text()?;
        self.last_argument = reader.text()?;
        self.status = reader.number()? as i32;
        self.pid = reader.number()? as u32;
        self.parent = reader.number()? as u32;
        self.last_background = Some(reader.number()? as u32).filter(|pid| *pid != 0);
        let line = reader.number()? as u32;
        self.in_script = reader.number()? != 0;
        self.unchecked = reader.number()? as u32;
        let seconds = reader.number()? as u64;
        self.set_seconds(seconds);
        // `return` and `local` work in a stage of a function's pipeline.
        let calls = reader.list()?.into_iter();
        self.calls = calls.map(|name| Call { name, locals: Vec::new() }).collect();
        for name in reader.list()? {
            self.set_trap(&name, Some(String::new()));
        }
        Some((text, documents, line))
    }

    /// Defines a function from its source, without running anything.
    fn take_function(&mut self, text: &str, documents: Vec<String>) {
        let parsed = Parser::new(text, self.line).with_here_documents(documents).next_line();
        let Ok(Some(list)) = parsed else { return };
        let Some(command) = list.0.first().and_then(|item| item.first.stages.first()) else {
            return;
        };
        if let Kind::Function { name, body } = &command.kind {
            let function = Function { body: Rc::clone(body), source: command.source.clone() };
            self.functions.insert(name.clone(), Rc::new(function));
        }
    }
}

/// Whether the text is `(…)` and nothing else.
fn is_one_subshell(text: &str) -> bool {
    let text = text.trim();
    if !text.starts_with('(') {
        return false;
    }
    let Ok(Some(list)) = Parser::new(text, 0).next_line() else { return false };
    match list.0.as_slice() {
        [item] if item.rest.is_empty() => match item.first.stages.as_slice() {
            [command] => matches!(command.kind, Kind::Subshell(_)) && *command.source.text == *text,
            _ => false,
        },
        _ => false,
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: usize) {
        self.0.extend((number as u32).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend(text.as_bytes());
    }

    fn list(&mut self, texts: &[String]) {
        self.number(texts.len());
        texts.iter().for_each(|text| self.text(text));
    }

    /// Marks first, then the value: 1 is a text, 2 an array.
    fn variable(&mut self, variable: &Variable) {
        self.number(usize::from(variable.exported) | usize::from(variable.read_only) << 1);
        match &variable.value {
            None => self.number(0),
            Some(Value::Text(text)) => {
                self.number(1);
                self.text(text);
            }
            Some(Value::Array(elements)) => {
                self.number(2);
                self.number(elements.len());
                for (at, text) in elements {
                    self.number(*at);
                    self.text(text);
                }
            }
        }
    }

    fn source(&mut self, source: &Source) {
        self.text(&source.text);
        let raw = |document: &Rc<HereDocument>| document.raw.get().cloned().unwrap_or_default();
        self.list(&source.late.iter().map(raw).collect::<Vec<_>>());
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Option<usize> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(bytes.to_vec()).ok()
    }

    fn list(&mut self) -> Option<Vec<String>> {
        (0..self.number()?).map(|_| self.text()).collect()
    }

    fn variable(&mut self) -> Option<Variable> {
        let marks = self.number()?;
        let value = match self.number()? {
            0 => None,
            1 => Some(Value::Text(self.text()?)),
            _ => {
                let elements = (0..self.number()?).map(|_| Some((self.number()?, self.text()?)));
                Some(Value::Array(elements.collect::<Option<Array>>()?))
            }
        };
        Some(Variable { value, exported: marks & 1 != 0, read_only: marks & 2 != 0 })
    }

    fn source(&mut self) -> Option<(String, Vec<String>)> {
        Some((self.text()?, self.list()?))
    }
}
