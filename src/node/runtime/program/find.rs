//! Finding the file that a command means.

use crate::node::files::{
    Error, File, Follow, Kind, OpenOptions, Opened, Origin, Place, Root, Stat,
};
use crate::node::runtime::StartError;

/// Bound: scripts whose interpreter is a script, as on Linux.
const INTERPRETERS_MAX: usize = 4;
/// Bound: the first line of a script, as on Linux.
const SHEBANG_BYTES_MAX: usize = 256;

/// A regular file that may be a program.
#[derive(Debug)]
pub(in crate::node::runtime) struct Executable {
    pub(super) place: Place,
    pub(super) origin: Origin,
    pub(super) stat: Stat,
}

impl Executable {
    pub(super) fn open(&self, root: &Root) -> Result<File, StartError> {
        let options = OpenOptions { read: true, ..OpenOptions::default() };
        match root.open(&Place::root(), &self.place.absolute(), options) {
            Ok(Opened::File(file)) => Ok(file),
            Ok(_) => Err(not_regular(&self.place)),
            Err(error) => Err(StartError::Host(format!("{}: {error}", self.place))),
        }
    }
}

/// The program of a command: a path if there is a `/` in it, else a name sought in `path`.
pub(in crate::node::runtime) fn by_name(
    root: &Root,
    working_place: &Place,
    path: &str,
    name: &str,
) -> Result<Executable, StartError> {
    if name.contains('/') {
        return at(root, working_place, name);
    }
    let not_found =
        || StartError::NotFound(format!("exec: {name:?}: executable file not found in $PATH"));
    if name.is_empty() {
        return Err(not_found());
    }
    let mut refused = None;
    for directory in path.split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        match at(root, working_place, &format!("{directory}/{name}")) {
            Ok(found) => return Ok(found),
            Err(StartError::NotFound(_)) => {}
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(not_found))
}

/// The program at a path.
pub(in crate::node::runtime) fn at(
    root: &Root,
    working_place: &Place,
    path: &str,
) -> Result<Executable, StartError> {
    match root.locate(working_place, path, Follow::Yes) {
        Ok((place, origin, stat)) if stat.kind == Kind::File => {
            Ok(Executable { place, origin, stat })
        }
        Ok((place, _, _)) => Err(not_regular(&place)),
        Err(Error::NotFound | Error::NotDirectory) => Err(StartError::NotFound(format!(
            "exec: {path:?}: stat {path}: no such file or directory"
        ))),
        Err(error) => Err(StartError::NotExecutable(format!("exec: {path:?}: {error}"))),
    }
}

/// If the file is a script, its interpreter instead, with the arguments the kernel of Linux would
/// give it.
pub(in crate::node::runtime) fn interpreter(
    root: &Root,
    mut found: Executable,
    mut argv: Vec<String>,
) -> Result<(Executable, Vec<String>), StartError> {
    for _ in 0..INTERPRETERS_MAX {
        let Some((interpreter, argument)) = shebang(&found.first_bytes(root)?) else {
            return Ok((found, argv));
        };
        let script = found.place.absolute();
        let arguments = argv.drain(..).skip(1);
        let named = [interpreter.clone()].into_iter().chain(argument).chain([script]);
        argv = named.chain(arguments).collect::<Vec<_>>();
        found = at(root, &Place::root(), &interpreter)?;
    }
    Err(StartError::NotExecutable(format!("{}: too many levels of interpreters", found.place)))
}

impl Executable {
    fn first_bytes(&self, root: &Root) -> Result<Vec<u8>, StartError> {
        let mut bytes = vec![0; SHEBANG_BYTES_MAX];
        let read = self.open(root)?.read_at(&mut bytes, 0);
        let read = read.map_err(|error| StartError::Host(format!("{}: {error}", self.place)))?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// The interpreter and its one argument, if a file begins with `#!`.
fn shebang(bytes: &[u8]) -> Option<(String, Option<String>)> {
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim();
    let (interpreter, argument) = match line.split_once([' ', '\t']) {
        Some((interpreter, argument)) => (interpreter, Some(argument.trim().to_owned())),
        None => (line, None),
    };
    (!interpreter.is_empty()).then(|| (interpreter.to_owned(), argument))
}

fn not_regular(place: &Place) -> StartError {
    StartError::NotExecutable(format!(
        "exec: \"{place}\": is a directory or a device, not a program"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: Option<(&str, Option<&str>)>) {
        let found = shebang(line.as_bytes());
        let found = found.as_ref().map(|(a, b)| (a.as_str(), b.as_deref()));
        assert_eq!(found, expect, "{line:?}");
    }

    #[test]
    fn a_script_names_its_interpreter_and_one_argument() {
        check("#!/bin/sh\necho", Some(("/bin/sh", None)));
        check("#! /bin/sh -e -x\n", Some(("/bin/sh", Some("-e -x"))));
        check("#!\n", None);
        check("\0asm", None);
    }
}
