//! Variables: values, and whether they are exported or may be changed.

use std::collections::BTreeMap;

use super::quote;

/// The elements of an array; there may be gaps.
pub type Array = BTreeMap<usize, String>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    /// As a text it is its first element.
    Array(Array),
}

impl Value {
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Array(elements) => elements.get(&0).map(String::as_str),
        }
    }

    /// As a script would assign it.
    pub fn quoted(&self) -> String {
        match self {
            Self::Text(text) => quote(text),
            Self::Array(elements) => {
                let elements = elements.iter().map(|(at, text)| format!("[{at}]={}", quote(text)));
                format!("({})", elements.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Variable {
    /// `None`: marked (exported, read-only, local), but unset.
    pub value: Option<Value>,
    pub exported: bool,
    pub read_only: bool,
}

impl Variable {
    /// `declare -p`: in double quotes, as bash has it.
    pub fn declaration(&self, name: &str) -> String {
        let is_array = matches!(self.value, Some(Value::Array(_)));
        let marks = [(is_array, 'a'), (self.read_only, 'r'), (self.exported, 'x')];
        let marks: String = marks.iter().filter(|(set, _)| *set).map(|(_, mark)| mark).collect();
        let marks = if marks.is_empty() { "-" } else { &marks };
        let value = match &self.value {
            None => String::new(),
            Some(Value::Text(text)) => format!("={}", double_quoted(text)),
            Some(Value::Array(elements)) => {
                let elements = elements.iter();
                let elements = elements.map(|(at, text)| format!("[{at}]={}", double_quoted(text)));
                format!("=({})", elements.collect::<Vec<_>>().join(" "))
            }
        };
        format!("declare -{marks} {name}{value}\n")
    }
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        if "\"\\$`".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted + "\""
}

#[derive(Debug, Default, Clone)]
pub struct Variables {
    by_name: BTreeMap<String, Variable>,
}

impl Variables {
    pub fn from_environment(environment: impl Iterator<Item = (String, String)>) -> Self {
        let mut variables = Self::default();
        for (name, value) in environment {
            let value = Some(Value::Text(value));
            variables.by_name.insert(name, Variable { value, exported: true, read_only: false });
        }
        variables.set_quietly("IFS", " \t\n".to_owned());
        variables.set_quietly("OPTIND", "1".to_owned());
        for (name, value) in [("PS1", "\\w \\$ "), ("PS2", "> "), ("PS4", "+ ")] {
            if variables.get(name).is_none() {
                variables.set_quietly(name, value.to_owned());
            }
        }
        variables
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.by_name.get(name)?.value.as_ref()?.text()
    }

    pub fn array(&self, name: &str) -> Option<&Array> {
        match self.by_name.get(name)?.value.as_ref()? {
            Value::Array(elements) => Some(elements),
            Value::Text(_) => None,
        }
    }

    pub fn entry(&self, name: &str) -> Option<&Variable> {
        self.by_name.get(name)
    }

    /// For change of marks, and for restoring.
    pub fn entry_mut(&mut self, name: &str) -> &mut Variable {
        self.by_name.entry(name.to_owned()).or_default()
    }

    /// Of an array it sets the first element.
    ///
    /// # Errors
    /// It is read-only; in busybox's words.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let variable = self.changeable(name)?;
        match &mut variable.value {
            Some(Value::Array(elements)) => {
                elements.insert(0, value);
            }
            other => *other = Some(Value::Text(value)),
        }
        Ok(())
    }

    /// # Errors
    /// It is read-only; in busybox's words.
    pub fn set_array(&mut self, name: &str, elements: Array) -> Result<(), String> {
        self.changeable(name)?.value = Some(Value::Array(elements));
        Ok(())
    }

    /// Makes a text the first element of an array.
    ///
    /// # Errors
    /// It is read-only; in busybox's words.
    pub fn set_element(&mut self, name: &str, at: usize, value: String) -> Result<(), String> {
        self.elements_mut(name)?.insert(at, value);
        Ok(())
    }

    /// # Errors
    /// It is read-only; in busybox's words.
    pub fn unset_element(&mut self, name: &str, at: usize) -> Result<(), String> {
        self.elements_mut(name)?.remove(&at);
        Ok(())
    }

    fn elements_mut(&mut self, name: &str) -> Result<&mut Array, String> {
        let value = &mut self.changeable(name)?.value;
        let elements = match value.take() {
            Some(Value::Array(elements)) => elements,
            Some(Value::Text(text)) => Array::from([(0, text)]),
            None => Array::new(),
        };
        match value.insert(Value::Array(elements)) {
            Value::Array(elements) => Ok(elements),
            Value::Text(_) => Err(String::new()),
        }
    }

    fn changeable(&mut self, name: &str) -> Result<&mut Variable, String> {
        let variable = self.entry_mut(name);
        if variable.read_only { Err(format!("{name}: is read only")) } else { Ok(variable) }
    }

    /// For the shell's own variables; a read-only one stays.
    pub fn set_quietly(&mut self, name: &str, value: String) {
        let _ = self.set(name, value);
    }

    /// # Errors
    /// It is read-only; in busybox's words.
    pub fn unset(&mut self, name: &str) -> Result<(), String> {
        if self.by_name.get(name).is_some_and(|variable| variable.read_only) {
            return Err(format!("{name}: is read only"));
        }
        self.by_name.remove(name);
        Ok(())
    }

    /// Puts back what was there before.
    pub fn restore(&mut self, name: String, before: Option<Variable>) {
        match before {
            Some(variable) => self.by_name.insert(name, variable),
            None => self.by_name.remove(&name),
        };
    }

    /// What a program is given: texts only.
    pub fn environment(&self) -> Vec<(String, String)> {
        let exported = self.by_name.iter().filter(|(_, variable)| variable.exported);
        exported
            .filter_map(|(name, variable)| match &variable.value {
                Some(Value::Text(text)) => Some((name.clone(), text.clone())),
                _ => None,
            })
            .collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Variable)> {
        self.by_name.iter()
    }
}
