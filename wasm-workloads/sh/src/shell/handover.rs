//! A shell's state as bytes, for another process that continues it: a subshell, a stage of a
//! pipeline, a substitution. Open descriptors above 2 stay behind: a child has three.

use std::rc::Rc;

use super::{Function, Ran, Shell, Unwind, Variable};
use crate::syntax::{HereDocument, Kind, Parser, Source};

/// The first byte: a state of another layout is refused.
const VERSION: u8 = 1;

impl Shell {
    pub(super) fn hand_over(&self, source: &Source) -> Vec<u8> {
        let mut writer = Writer(vec![VERSION]);
        writer.source(source);
        writer.text(&self.name);
        writer.list(&self.positional);
        writer.number(self.variables.iter().count());
        for (name, variable) in self.variables.iter() {
            writer.text(name);
            writer.text(variable.value.as_deref().unwrap_or_default());
            let marks = [variable.value.is_some(), variable.exported, variable.read_only];
            writer.number(marks.iter().enumerate().map(|(n, set)| usize::from(*set) << n).sum());
        }
        writer.number(self.functions.len());
        for function in self.functions.values() {
            writer.source(&function.source);
        }
        // An interactive shell's children are not.
        let letters: String =
            self.options.letters().chars().filter(|c| !"im".contains(*c)).collect();
        writer.text(&letters);
        writer.text(&self.directory);
        for number in [
            self.options.pipefail as usize,
            self.status as usize,
            self.pid as usize,
            self.last_background.map_or(0, |pid| pid as usize),
            self.line as usize,
            self.in_script as usize,
            self.calls.len(),
            self.unchecked as usize,
        ] {
            writer.number(number);
        }
        writer.list(
            &self
                .traps
                .iter()
                .filter(|(_, action)| action.is_empty())
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>(),
        );
        writer.0
    }

    /// Takes over the state of the shell that started this process, and runs what it was started
    /// for.
    pub fn continue_from(&mut self, state: &[u8]) -> Ran {
        match self.take_over(state) {
            Some((text, documents, line)) => {
                self.is_subshell = is_one_subshell(&text);
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
            let (name, value, marks) = (reader.text()?, reader.text()?, reader.number()?);
            let marked = |n: usize| marks & (1 << n) != 0;
            *self.variables.entry_mut(&name) = Variable {
                value: marked(0).then_some(value),
                exported: marked(1),
                read_only: marked(2),
            };
        }
        for _ in 0..reader.number()? {
            let (text, documents) = reader.source()?;
            self.take_function(&text, documents);
        }
        for letter in reader.text()?.chars() {
            self.options.change(letter, true);
        }
        self.directory = reader.text()?;
        self.options.pipefail = reader.number()? != 0;
        self.status = reader.number()? as i32;
        self.pid = reader.number()? as u32;
        self.last_background = Some(reader.number()? as u32).filter(|pid| *pid != 0);
        let line = reader.number()? as u32;
        self.in_script = reader.number()? != 0;
        // `return` and `local` work in a stage of a function's pipeline.
        self.calls = vec![Vec::new(); reader.number()?.min(1)];
        self.unchecked = reader.number()? as u32;
        self.traps.extend(reader.list()?.into_iter().map(|name| (name, String::new())));
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

    fn source(&mut self) -> Option<(String, Vec<String>)> {
        Some((self.text()?, self.list()?))
    }
}
