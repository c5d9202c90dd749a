//! What a word could become: programs, files and variables there are.

use std::fs;

use crate::builtins::BUILTINS;
use crate::editor::{Kind, Wanted};
use crate::shell::Shell;
use crate::syntax::RESERVED;

impl Shell {
    /// Names of the wanted kind, those of directories with a slash at the end.
    pub(super) fn names(&self, wanted: &Wanted) -> Vec<String> {
        match wanted.kind {
            Kind::Variable { .. } => self.variables.iter().map(|(name, _)| name.clone()).collect(),
            Kind::Command => self.commands(&wanted.stem),
            Kind::File | Kind::Directory => {
                let mut names = self.files(&wanted.directory, &wanted.stem);
                if wanted.kind == Kind::Directory {
                    names.retain(|name| name.ends_with('/'));
                }
                names
            }
        }
    }

    fn commands(&self, stem: &str) -> Vec<String> {
        let builtins = BUILTINS.iter().map(|builtin| builtin.name);
        let own = builtins.chain(RESERVED.iter().copied()).map(str::to_owned);
        let mut names: Vec<String> = own.chain(self.functions.keys().cloned()).collect();
        names.extend(self.aliases.borrow().keys().cloned());
        for directory in self.program_path().split(':') {
            names.extend(self.files(&format!("{directory}/"), stem));
        }
        // A directory is no program; from the current one it is a path to one.
        names.retain(|name| !name.ends_with('/'));
        names.extend(self.files("", stem).into_iter().filter(|name| name.ends_with('/')));
        names
    }

    /// Hidden ones only if the name begins with a dot.
    fn files(&self, directory: &str, stem: &str) -> Vec<String> {
        let path = match (directory.split_once('/'), self.variables.get("HOME")) {
            (Some(("~", rest)), Some(home)) => format!("{home}/{rest}"),
            _ => self.absolute(if directory.is_empty() { "." } else { directory }),
        };
        let Ok(entries) = fs::read_dir(&path) else { return Vec::new() };
        let mut names = Vec::new();
        for entry in entries.flatten() {
            let Ok(mut name) = entry.file_name().into_string() else { continue };
            if !name.starts_with(stem) || name.starts_with('.') && !stem.starts_with('.') {
                continue;
            }
            let is_directory = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => {
                    fs::metadata(entry.path()).is_ok_and(|found| found.is_dir())
                }
                kind => kind.is_ok_and(|kind| kind.is_dir()),
            };
            if is_directory {
                name.push('/');
            }
            names.push(name);
        }
        names
    }
}
