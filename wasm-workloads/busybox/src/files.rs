//! Programs that make and remove files.

use std::fs::{self, FileTimes, OpenOptions};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::call::{Call, Done, Failure, Options, print, reason};

/// Does something with each operand; complains where it fails.
pub fn each(
    call: &Call,
    operands: &[String],
    mut act: impl FnMut(&str) -> io::Result<()>,
    complaint: impl Fn(&str, &str) -> String,
) -> Done {
    if operands.is_empty() {
        return Err(Failure::usage());
    }
    let mut code = 0;
    for name in operands {
        if let Err(err) = act(name) {
            call.complain(&complaint(name, &reason(&err)));
            code = 1;
        }
    }
    Ok(code)
}

pub fn touch(call: &Call) -> Done {
    let options = call.options("camd:r:t:")?;
    let time = match (options.value('r'), options.value('d')) {
        (Some(name), _) => {
            let modified = fs::metadata(call.path(name)).and_then(|metadata| metadata.modified());
            modified.map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))?
        }
        (None, Some(text)) => {
            let seconds = crate::date::parse(text)
                .ok_or_else(|| Failure::Message(format!("invalid date '{text}'")))?;
            UNIX_EPOCH + Duration::from_secs(seconds.max(0) as u64)
        }
        (None, None) => SystemTime::now(),
    };
    let act = |name: &str| {
        let path = call.path(name);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            return Ok(());
        }
        let mut open = OpenOptions::new();
        open.write(true).create(!options.has('c')).truncate(false);
        match open.open(path) {
            Ok(file) => file.set_times(FileTimes::new().set_modified(time).set_accessed(time)),
            Err(err) if err.kind() == io::ErrorKind::NotFound && options.has('c') => Ok(()),
            Err(err) => Err(err),
        }
    };
    each(call, &options.operands, act, |name, why| format!("{name}: {why}"))
}

pub fn mkdir(call: &Call) -> Done {
    let options = call.options("pm:v")?;
    let act = |name: &str| {
        let path = call.path(name);
        if !options.has('p') {
            return fs::create_dir(path);
        }
        make_directories(&path)
    };
    each(call, &options.operands, act, |name, why| {
        format!("can't create directory '{name}': {why}")
    })
}

/// Makes a directory and those it is in, as far as they are missing.
pub fn make_directories(path: &str) -> io::Result<()> {
    let mut so_far = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        so_far = format!("{so_far}/{part}");
        match fs::create_dir(&so_far) {
            Err(_) if fs::metadata(&so_far).is_ok_and(|metadata| metadata.is_dir()) => {}
            made => made?,
        }
    }
    Ok(())
}

pub fn rmdir(call: &Call) -> Done {
    let options = call.options("p")?;
    let act = |name: &str| {
        fs::remove_dir(call.path(name))?;
        let mut parent = name.trim_end_matches('/');
        while let Some((above, _)) =
            parent.rsplit_once('/').filter(|(above, _)| options.has('p') && !above.is_empty())
        {
            fs::remove_dir(call.path(above))?;
            parent = above;
        }
        Ok(())
    };
    each(call, &options.operands, act, |name, why| format!("'{name}': {why}"))
}

pub fn rm(call: &Call) -> Done {
    let options = call.options("rRfiv")?;
    let (recursive, force) = (options.has('r') || options.has('R'), options.has('f'));
    if options.operands.is_empty() && force {
        return Ok(0);
    }
    if options.operands.is_empty() {
        return Err(Failure::usage());
    }
    let mut code = 0;
    for name in &options.operands {
        if matches!(crate::names::last(name), "." | ".." | "/") {
            call.complain(&format!("can't remove '{name}': it is where everything else is"));
            code = 1;
            continue;
        }
        let path = call.path(name);
        let removed = match fs::symlink_metadata(&path) {
            Err(err) if force && err.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(format!("can't remove '{name}': {}", reason(&err))),
            Ok(metadata) if metadata.is_dir() && !recursive => {
                Err(format!("'{name}' is a directory"))
            }
            Ok(_) => {
                remove(&path).map_err(|err| format!("can't remove '{name}': {}", reason(&err)))
            }
        };
        if let Err(message) = removed {
            call.complain(&message);
            code = 1;
        }
    }
    Ok(code)
}

/// Removes a file, or a directory with all that is in it. Links are removed, not followed.
pub fn remove(path: &str) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    // All names first: a directory that changes while it is read may be read badly.
    let names: Vec<_> = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    for name in names {
        let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        remove(&format!("{path}/{name}"))?;
    }
    fs::remove_dir(path)
}

pub fn ln(call: &Call) -> Done {
    let options = call.options("sfnTbvS:")?;
    let (targets, link) = match options.operands.as_slice() {
        [] => return Err(Failure::usage()),
        [target] => (vec![target.clone()], ".".to_owned()),
        [targets @ .., link] => (targets.to_vec(), link.clone()),
    };
    let is_directory = |path: &str| {
        let metadata =
            if options.has('n') { fs::symlink_metadata(path) } else { fs::metadata(path) };
        !options.has('T') && metadata.is_ok_and(|metadata| metadata.is_dir())
    };
    let mut code = 0;
    for target in &targets {
        let mut name = link.clone();
        if is_directory(&call.path(&name)) {
            name = format!("{}/{}", name.trim_end_matches('/'), crate::names::last(target));
        }
        match make_link(call, &options, target, &call.path(&name)) {
            Ok(()) if options.has('v') => code |= print(format!("'{name}' -> '{target}'\n"))?,
            Ok(()) => {}
            Err(err) => {
                let missing = err.kind() == io::ErrorKind::NotFound && !options.has('s');
                call.complain(&format!(
                    "{}: {}",
                    if missing { target } else { &name },
                    reason(&err)
                ));
                code = 1;
            }
        }
    }
    Ok(code)
}

fn make_link(call: &Call, options: &Options, target: &str, path: &str) -> io::Result<()> {
    let file = call.path(target);
    let symbolic = options.has('s');
    // Before anything is removed for a link that cannot be.
    if !symbolic {
        fs::symlink_metadata(&file)?;
        if crate::names::same(&file, path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
    }
    if fs::symlink_metadata(path).is_ok() {
        if options.has('b') || options.has('S') {
            fs::rename(path, format!("{path}{}", options.value('S').unwrap_or("~")))?;
        } else if options.has('f') {
            fs::remove_file(path)?;
        }
    }
    if symbolic { symlink(target, path) } else { fs::hard_link(file, path) }
}

#[expect(deprecated, reason = "the only way to a symbolic link that std has for WASI")]
pub fn symlink(target: &str, path: &str) -> io::Result<()> {
    fs::soft_link(target, path)
}
