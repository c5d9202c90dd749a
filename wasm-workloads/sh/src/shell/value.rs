//! The values of parameters: variables, arrays, and what the shell itself knows.

use super::variables::Array;
use super::{Shell, Unwind};
use crate::syntax::{Assigned, Assignment, Parameter, Word};

impl Shell {
    /// The value of a parameter, or of the element that its index means.
    pub(super) fn value_of(&mut self, parameter: &Parameter) -> Result<Option<String>, Unwind> {
        let Some(index) = &parameter.index else { return Ok(self.value(&parameter.name)) };
        let elements = self.array_elements(&parameter.name);
        let at = self.place(index, &elements)?;
        Ok(at.and_then(|at| elements.get(&at).cloned()))
    }

    /// The value of a variable or a special parameter.
    pub fn value(&self, name: &str) -> Option<String> {
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            let n: usize = name.parse().ok()?;
            return if n == 0 {
                Some(self.name.clone())
            } else {
                self.positional.get(n - 1).cloned()
            };
        }
        match name {
            "?" => Some(self.status.to_string()),
            "#" => Some(self.positional.len().to_string()),
            "$" => Some(self.pid.to_string()),
            "!" => self.last_background.map(|pid| pid.to_string()),
            "-" => Some(self.options.letters()),
            "@" | "*" => (!self.positional.is_empty()).then(|| self.positional.join(" ")),
            "LINENO" => Some(self.line.to_string()),
            "_" => Some(self.last_argument.clone()),
            name => self.variables.get(name).map(str::to_owned).or_else(|| self.known(name)),
        }
    }

    /// What the shell knows without having been told.
    fn known(&self, name: &str) -> Option<String> {
        match name {
            "RANDOM" => Some(self.random().to_string()),
            "SECONDS" => Some(self.seconds().to_string()),
            "PPID" => Some(self.parent.to_string()),
            "BASHPID" => Some(sampan_process::pid().to_string()),
            // Every guest is root in its own container.
            "UID" | "EUID" => Some("0".to_owned()),
            "PIPESTATUS" | "FUNCNAME" | "BASH_SOURCE" => {
                self.array_elements(name).into_values().next()
            }
            _ => None,
        }
    }

    /// The elements of an array; a text is an array of one.
    pub(super) fn array_elements(&self, name: &str) -> Array {
        if let Some(elements) = self.variables.array(name) {
            return elements.clone();
        }
        let list: Vec<String> = match name {
            "PIPESTATUS" => self.pipe_status.iter().map(ToString::to_string).collect(),
            "FUNCNAME" => self.calls.iter().rev().map(|call| call.name.clone()).collect(),
            "BASH_SOURCE" => self.in_script.then(|| self.name.clone()).into_iter().collect(),
            name => self.value(name).into_iter().collect(),
        };
        list.into_iter().enumerate().collect()
    }

    pub(super) fn array(&self, name: &str) -> Vec<String> {
        self.array_elements(name).into_values().collect()
    }

    pub(super) fn indices(&self, name: &str) -> Vec<String> {
        self.array_elements(name).keys().map(ToString::to_string).collect()
    }

    /// Where in an array an index is; a negative one counts from its end.
    fn place(&mut self, index: &Word, elements: &Array) -> Result<Option<usize>, Unwind> {
        let n = self.calculate(index)?;
        let end = elements.last_key_value().map_or(0, |(at, _)| at + 1);
        let n = if n < 0 { n.saturating_add(end as i64) } else { n };
        Ok(usize::try_from(n).ok())
    }

    /// Gives a variable a value; with what hangs on it.
    ///
    /// # Errors
    /// It is read-only; in busybox's words.
    pub fn assign(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "PATH" => self.forget_programs(),
            "OPTIND" => self.options_index = 0,
            "SECONDS" => {
                self.set_seconds(value.parse().unwrap_or(0));
                return Ok(());
            }
            "RANDOM" => {
                self.random.set(value.parse().unwrap_or(0));
                return Ok(());
            }
            _ => {}
        }
        self.variables.set(name, value)?;
        if self.options.has('a') {
            self.variables.entry_mut(name).exported = true;
        }
        Ok(())
    }

    /// The same, for an element if there is an index; a fault has been reported.
    pub(super) fn assign_at(
        &mut self,
        name: &str,
        index: Option<&Word>,
        value: String,
    ) -> Result<(), Unwind> {
        let Some(index) = index else {
            return self.assign(name, value).or_else(|message| self.fail(&message));
        };
        let elements = self.array_elements(name);
        let Some(at) = self.place(index, &elements)? else {
            return self.fail(&format!("{name}: bad array subscript"));
        };
        let set = self.variables.set_element(name, at, value);
        set.or_else(|message| self.fail(&message))
    }

    /// `name=value` in all its forms.
    pub(super) fn make_assignment(&mut self, assignment: &Assignment) -> Result<(), Unwind> {
        let Assignment { name, index, append, value } = assignment;
        match value {
            Assigned::Text(word) => {
                let mut text = self.expand_assigned(word)?;
                if *append {
                    let (name, index) = (name.clone(), index.clone());
                    let before = self.value_of(&Parameter { name, index, indirect: false })?;
                    text.insert_str(0, &before.unwrap_or_default());
                }
                self.assign_at(name, index.as_ref(), text)
            }
            Assigned::Elements(words) => {
                let before = if *append { self.array_elements(name) } else { Array::new() };
                let elements = self.make_elements(words, before)?;
                let set = self.variables.set_array(name, elements);
                set.or_else(|message| self.fail(&message))
            }
        }
    }

    fn make_elements(
        &mut self,
        words: &[(Option<Word>, Word)],
        mut elements: Array,
    ) -> Result<Array, Unwind> {
        let mut next = elements.last_key_value().map_or(0, |(at, _)| at + 1);
        for (index, word) in words {
            let values = match index {
                Some(index) => {
                    next = self.place(index, &elements)?.unwrap_or(next);
                    vec![self.expand_text(word)?]
                }
                None => self.expand_words(std::slice::from_ref(word))?,
            };
            for value in values {
                elements.insert(next, value);
                next += 1;
            }
        }
        Ok(elements)
    }

    /// `RANDOM`: 0 to 32767, a linear congruence as C's rand().
    fn random(&self) -> u32 {
        let next = self.random.get().wrapping_mul(1_103_515_245).wrapping_add(12345);
        self.random.set(next);
        (next >> 16) & 0x7fff
    }
}
