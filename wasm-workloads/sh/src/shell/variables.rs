//! Variables: values, and whether they are exported or may be changed.

use std::collections::BTreeMap;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Variable {
    /// `None`: marked (exported, read-only, local), but unset.
    pub value: Option<String>,
    pub exported: bool,
    pub read_only: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Variables {
    by_name: BTreeMap<String, Variable>,
}

impl Variables {
    pub fn from_environment(environment: impl Iterator<Item = (String, String)>) -> Self {
        let mut variables = Self::default();
        for (name, value) in environment {
            let variable = Variable { value: Some(value), exported: true, read_only: false };
            variables.by_name.insert(name, variable);
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
        self.by_name.get(name)?.value.as_deref()
    }

    pub fn entry(&self, name: &str) -> Option<&Variable> {
        self.by_name.get(name)
    }

    /// For change of marks, and for restoring.
    pub fn entry_mut(&mut self, name: &str) -> &mut Variable {
        self.by_name.entry(name.to_owned()).or_default()
    }

    /// # Errors
    /// It is read-only; in busybox's words.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let variable = self.entry_mut(name);
        if variable.read_only {
            return Err(format!("{name}: is read only"));
        }
        variable.value = Some(value);
        Ok(())
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

    /// What a program is given.
    pub fn environment(&self) -> Vec<(String, String)> {
        let exported = self.by_name.iter().filter(|(_, variable)| variable.exported);
        exported
            .filter_map(|(name, variable)| Some((name.clone(), variable.value.clone()?)))
            .collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Variable)> {
        self.by_name.iter()
    }
}
