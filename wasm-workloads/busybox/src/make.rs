//! Programs that make, link and cut single files.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};

use crate::attributes::Kind;
use crate::call::{Call, Done, Failure, Options, print, reason};
use crate::copy::{Style, copy, pairs};
use crate::files::{each, make_directories};
use crate::{names, rights};

/// As many names are tried before `mktemp` gives up.
const TRIES: u32 = 100;

/// What is put in place of a name's end, which must be this.
const MARK: &str = "XXXXXX";

pub fn mktemp(call: &Call) -> Done {
    let options = call.options("dqtup:")?;
    let template = match options.operands.as_slice() {
        [] => "tmp.XXXXXX",
        [template] => template,
        _ => return Err(Failure::usage()),
    };
    let base = options.value('p').map(str::to_owned);
    let in_base = base.is_some() || options.has('t') || options.operands.is_empty();
    let base = base.or_else(|| env::var("TMPDIR").ok()).filter(|base| !base.is_empty());
    let template = match base.unwrap_or_else(|| "/tmp".to_owned()) {
        base if in_base => format!("{}/{template}", base.trim_end_matches('/')),
        _ => template.to_owned(),
    };
    match temporary(call, &template, &options) {
        Ok(name) => print(name + "\n"),
        Err(_) if options.has('q') => Ok(1),
        Err(err) => Err(Failure::Message(format!("{template}: {}", reason(&err)))),
    }
}

fn temporary(call: &Call, template: &str, options: &Options) -> io::Result<String> {
    let stem = template.strip_suffix(MARK).ok_or(ErrorKind::InvalidInput)?;
    for _ in 0..TRIES {
        let name = format!("{stem}{}", random());
        let path = call.path(&name);
        let made = if options.has('u') {
            return Ok(name);
        } else if options.has('d') {
            fs::create_dir(path)
        } else {
            File::create_new(path).map(drop)
        };
        match made {
            Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| name),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// As many letters and digits as the mark has, that nobody can guess.
fn random() -> String {
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut number = RandomState::new().hash_one(());
    let mut letter = |_| {
        let at = (number % 62) as usize;
        number /= 62;
        char::from(LETTERS[at])
    };
    MARK.chars().map(&mut letter).collect()
}

pub fn truncate(call: &Call) -> Done {
    let options = call.options("cs:")?;
    let size = call.number(options.value('s').ok_or_else(Failure::usage)?)?;
    let act = |name: &str| {
        let mut open = OpenOptions::new();
        open.write(true).create(!options.has('c')).truncate(false);
        match open.open(call.path(name)) {
            Err(err) if err.kind() == ErrorKind::NotFound && options.has('c') => Ok(()),
            opened => opened?.set_len(size),
        }
    };
    each(call, &options.operands, act, |name, why| format!("{name}: open: {why}"))
}

pub fn sync(call: &Call) -> Done {
    let options = call.options("df")?;
    // What no file is named for is the host's to write.
    if options.operands.is_empty() {
        return Ok(0);
    }
    let act = |name: &str| {
        let file = File::open(call.path(name))?;
        let kind = file.metadata()?.file_type();
        if kind.is_file() || kind.is_dir() { file.sync_all() } else { Ok(()) }
    };
    each(call, &options.operands, act, |name, why| format!("can't open '{name}': {why}"))
}

pub fn unlink(call: &Call) -> Done {
    let options = call.options("")?;
    let [name] = options.operands.as_slice() else { return Err(Failure::usage()) };
    let path = call.path(name);
    let removed = match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Err(ErrorKind::IsADirectory.into()),
        _ => fs::remove_file(path),
    };
    let failed = |err| Failure::Message(format!("can't remove file '{name}': {}", reason(&err)));
    removed.map(|()| 0).map_err(failed)
}

pub fn link(call: &Call) -> Done {
    let options = call.options("")?;
    let [file, link] = options.operands.as_slice() else { return Err(Failure::usage()) };
    let linked = fs::hard_link(call.path(file), call.path(link));
    linked.map(|()| 0).map_err(|err| {
        Failure::Message(format!("can't create hardlink '{link}' to '{file}': {}", reason(&err)))
    })
}

pub fn install(call: &Call) -> Done {
    let options = call.options("cdDpsvo:g:m:t:")?;
    let change = options.value('m').map(rights::Change::parse).transpose()?;
    let kind = if options.has('d') { Kind::Directory } else { Kind::File };
    if change.is_some_and(|change| change.takes(kind)) {
        return Err(Failure::Message(rights::NO_MODES.to_owned()));
    }
    let fail = |name: &str, err: &io::Error| {
        Failure::Message(format!("can't create '{name}': {}", reason(err)))
    };
    if options.has('d') {
        let make = |name: &str| make_directories(&call.path(name));
        let complaint = |name: &str, why: &str| format!("can't create directory '{name}': {why}");
        return each(call, &options.operands, make, complaint);
    }
    let made = match (options.has('D'), options.value('t'), options.operands.as_slice()) {
        (true, Some(directory), _) => Some((directory, call.path(directory))),
        (true, None, [_, target]) => {
            let path = call.path(target);
            path.rsplit_once('/').map(|(parent, _)| (target.as_str(), parent.to_owned()))
        }
        _ => None,
    };
    if let Some((name, path)) = made {
        make_directories(&path).map_err(|err| fail(name, &err))?;
    }
    let style = Style { links: false, times: options.has('p') };
    let mut code = 0;
    for (source, target) in pairs(call, &options)? {
        if let Err(why) = install_file(call, &source, &target, style) {
            call.complain(&why);
            code = 1;
        } else if options.has('v') {
            print(format!("'{source}' -> '{target}'\n"))?;
        }
    }
    Ok(code)
}

/// What was there is replaced, not written over: it may be a link, or run just now.
fn install_file(call: &Call, source: &str, target: &str, style: Style) -> Result<(), String> {
    let (from, to) = (call.path(source), call.path(target));
    let metadata = fs::metadata(&from);
    if metadata.map_err(|err| format!("can't stat '{source}': {}", reason(&err)))?.is_dir() {
        return Err(format!("omitting directory '{source}'"));
    }
    if names::same(&from, &to) {
        return Err(format!("'{source}' and '{target}' are the same file"));
    }
    // There may be none.
    let _ = fs::remove_file(&to);
    copy(&from, &to, style).map_err(|(_, err)| format!("can't create '{target}': {}", reason(&err)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_up_of_letters_and_digits() {
        let name = random();
        assert_eq!(name.len(), MARK.len());
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(name, random());
    }
}
