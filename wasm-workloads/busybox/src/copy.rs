//! `cp` and `mv`.

use std::fs;
use std::io;

use crate::call::{Call, Done, Failure, Options, reason};
use crate::files::{remove, symlink};
use crate::names::last;

/// Sources and where each is to go.
pub fn pairs(call: &Call, options: &Options) -> Result<Vec<(String, String)>, Failure> {
    let [sources @ .., destination] = options.operands.as_slice() else {
        return Err(Failure::usage());
    };
    let into = !options.has('T')
        && fs::metadata(call.path(destination)).is_ok_and(|metadata| metadata.is_dir());
    match sources {
        [] => Err(Failure::usage()),
        [_, _, ..] if !into => {
            Err(Failure::Message(format!("target '{destination}' is not a directory")))
        }
        sources => Ok(sources
            .iter()
            .map(|source| {
                let target = if into {
                    format!("{}/{}", destination.trim_end_matches('/'), last(source))
                } else {
                    destination.clone()
                };
                (source.clone(), target)
            })
            .collect()),
    }
}

pub fn cp(call: &Call) -> Done {
    let options = call.options("arRfpnuTLPHdvi")?;
    let recursive = "arR".chars().any(|letter| options.has(letter));
    let links = "aPd".chars().any(|letter| options.has(letter)) || (recursive && !options.has('L'));
    let mut code = 0;
    for (source, target) in pairs(call, &options)? {
        let (from, to) = (call.path(&source), call.path(&target));
        let copied = match fs::metadata(&from)
            .or_else(|err| if links { fs::symlink_metadata(&from) } else { Err(err) })
        {
            Err(err) => Err(format!("can't stat '{source}': {}", reason(&err))),
            Ok(metadata) if metadata.is_dir() && !recursive => {
                Err(format!("omitting directory '{source}'"))
            }
            Ok(metadata) if metadata.is_dir() && is_within(&to, &from) => {
                Err(format!("recursion detected, omitting directory '{source}'"))
            }
            Ok(_) if from == to => Err(format!("'{source}' and '{target}' are the same file")),
            Ok(_) if options.has('n') && fs::symlink_metadata(&to).is_ok() => Ok(()),
            Ok(_) => copy(&from, &to, links)
                .map_err(|(path, err)| format!("can't create '{path}': {}", reason(&err))),
        };
        if let Err(message) = copied {
            call.complain(&message);
            code = 1;
        }
    }
    Ok(code)
}

fn is_within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

/// Copies a file, a link, or a directory with all that is in it; on failure, what failed.
pub fn copy(from: &str, to: &str, links: bool) -> Result<(), (String, io::Error)> {
    let at = |path: &str| {
        let path = path.to_owned();
        move |err| (path, err)
    };
    let metadata = if links { fs::symlink_metadata(from) } else { fs::metadata(from) };
    let metadata = metadata.map_err(at(from))?;
    if metadata.is_symlink() {
        let target = fs::read_link(from).map_err(at(from))?;
        let _ = fs::remove_file(to);
        return symlink(&target.to_string_lossy(), to).map_err(at(to));
    }
    if !metadata.is_dir() {
        let mut source = fs::File::open(from).map_err(at(from))?;
        let mut target = fs::File::create(to).map_err(at(to))?;
        return io::copy(&mut source, &mut target).map(|_| ()).map_err(at(to));
    }
    match fs::create_dir(to) {
        Err(_) if fs::metadata(to).is_ok_and(|metadata| metadata.is_dir()) => {}
        made => made.map_err(at(to))?,
    }
    let entries = fs::read_dir(from).map_err(at(from))?;
    let names: Vec<_> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    for name in names {
        copy(&format!("{from}/{name}"), &format!("{to}/{name}"), links)?;
    }
    Ok(())
}

pub fn mv(call: &Call) -> Done {
    let options = call.options("fnTiv")?;
    let mut code = 0;
    for (source, target) in pairs(call, &options)? {
        let (from, to) = (call.path(&source), call.path(&target));
        if options.has('n') && fs::symlink_metadata(&to).is_ok() {
            continue;
        }
        let moved = match fs::rename(&from, &to) {
            // Onto another volume: a copy, and then without the original.
            Err(err) if err.kind() == io::ErrorKind::CrossesDevices => {
                copy(&from, &to, true).map_err(|(_, err)| err).and_then(|()| remove(&from))
            }
            moved => moved,
        };
        if let Err(err) = moved {
            call.complain(&format!("can't rename '{source}': {}", reason(&err)));
            code = 1;
        }
    }
    Ok(code)
}
