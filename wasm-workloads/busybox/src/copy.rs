//! `cp` and `mv`.

use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io::{self, BufRead, ErrorKind};

use crate::attributes::modified;
use crate::call::{Call, Done, Failure, Options, print, reason};
use crate::files::{remove, symlink};
use crate::names::{self, last};

/// Sources and where each is to go.
pub fn pairs(call: &Call, options: &Options) -> Result<Vec<(String, String)>, Failure> {
    let (sources, destination) = match (options.value('t'), options.operands.as_slice()) {
        (Some(directory), sources) => (sources, directory),
        (None, [sources @ .., destination]) => (sources, destination.as_str()),
        (None, []) => return Err(Failure::usage()),
    };
    let into = !options.has('T')
        && fs::metadata(call.path(destination)).is_ok_and(|metadata| metadata.is_dir());
    match sources {
        [] => Err(Failure::usage()),
        _ if !into && (sources.len() > 1 || options.has('t')) => {
            Err(Failure::Message(format!("target '{destination}' is not a directory")))
        }
        sources => Ok(sources
            .iter()
            .map(|source| {
                let target = if into {
                    format!("{}/{}", destination.trim_end_matches('/'), last(source))
                } else {
                    destination.to_owned()
                };
                (source.clone(), target)
            })
            .collect()),
    }
}

/// How files are copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Links as links.
    pub links: bool,
    /// With the times of what is copied.
    pub times: bool,
}

pub fn cp(call: &Call) -> Done {
    let options = call.options("arRfpnuTLPHdvilst:")?;
    let recursive = "arR".chars().any(|letter| options.has(letter));
    let style = Style {
        links: match options.last_of("LPda") {
            Some(letter) => letter != 'L',
            None => recursive,
        },
        times: options.has('p') || options.has('a'),
    };
    let mut code = 0;
    for (source, target) in pairs(call, &options)? {
        match copy_one(call, &options, style, recursive, &source, &target) {
            Ok(true) if options.has('v') => code |= print(format!("'{source}' -> '{target}'\n"))?,
            Ok(_) => {}
            Err(why) => {
                call.complain(&why);
                code = 1;
            }
        }
    }
    Ok(code)
}

/// Whether there was something to do; why not, if it could not be done.
fn copy_one(
    call: &Call,
    options: &Options,
    style: Style,
    recursive: bool,
    source: &str,
    target: &str,
) -> Result<bool, String> {
    let (mut from, to) = (call.path(source), call.path(target));
    if options.has('H') {
        from = names::real(&from).unwrap_or(from);
    }
    let metadata = look(&from, style.links);
    let metadata = metadata.map_err(|err| format!("can't stat '{source}': {}", reason(&err)))?;
    if metadata.is_dir() && !recursive {
        return Err(format!("omitting directory '{source}'"));
    }
    if metadata.is_dir() && is_within(&to, &from) {
        return Err(format!("recursion detected, omitting directory '{source}'"));
    }
    if names::same(&from, &to) {
        return Err(format!("'{source}' and '{target}' are the same file"));
    }
    let there = fs::symlink_metadata(&to).ok();
    if there.as_ref().is_some_and(|there| keeps(call, options, &metadata, there, target)) {
        return Ok(false);
    }
    let failed = |(path, err): (String, io::Error)| {
        let shown = path.strip_prefix(&to).map_or(path.clone(), |rest| format!("{target}{rest}"));
        format!("can't create '{shown}': {}", reason(&err))
    };
    if options.has('l') || options.has('s') {
        if there.is_some() && options.has('f') {
            fs::remove_file(&to).map_err(|err| failed((to.clone(), err)))?;
        }
        let made = if options.has('s') { symlink(source, &to) } else { fs::hard_link(&from, &to) };
        return made.map(|()| true).map_err(|err| failed((to.clone(), err)));
    }
    copy(&from, &to, style).map(|()| true).map_err(failed)
}

fn look(path: &str, links: bool) -> io::Result<Metadata> {
    if links { fs::symlink_metadata(path) } else { fs::metadata(path) }
}

/// Whether what is there is to stay.
fn keeps(call: &Call, options: &Options, new: &Metadata, old: &Metadata, target: &str) -> bool {
    let asks = options.has('i') && !old.is_dir() && options.last_of("nfi") == Some('i');
    (options.has('n') && !new.is_dir())
        || (options.has('u') && !new.is_dir() && modified(new) <= modified(old))
        || (asks && !confirmed(call, target))
}

fn confirmed(call: &Call, target: &str) -> bool {
    eprint!("{}: overwrite '{target}'? ", call.name);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && answer.starts_with(['y', 'Y'])
}

fn is_within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

/// Copies a file, a link, or a directory with all that is in it; on failure, what failed.
pub fn copy(from: &str, to: &str, style: Style) -> Result<(), (String, io::Error)> {
    let at = |path: &str| {
        let path = path.to_owned();
        move |err| (path, err)
    };
    let metadata = look(from, style.links).map_err(at(from))?;
    if metadata.is_symlink() {
        let target = fs::read_link(from).map_err(at(from))?;
        let _ = fs::remove_file(to);
        return symlink(&target.to_string_lossy(), to).map_err(at(to));
    }
    if !metadata.is_dir() {
        let source = File::open(from).map_err(at(from))?;
        return copy_content(source, to, style.times.then_some(&metadata)).map_err(at(to));
    }
    match fs::create_dir(to) {
        Err(_) if fs::metadata(to).is_ok_and(|metadata| metadata.is_dir()) => {}
        made => made.map_err(at(to))?,
    }
    for name in names::entries(from).map_err(at(from))? {
        copy(&format!("{from}/{name}"), &format!("{to}/{name}"), style)?;
    }
    if style.times
        && let Ok(directory) = File::open(to)
    {
        // Not every host lets a directory's times be set; what is in it is there all the same.
        let _ = directory.set_times(times(&metadata));
    }
    Ok(())
}

/// Not cut before it is written: both may be names of one file, which WASI does not tell.
fn copy_content(mut source: File, to: &str, times_of: Option<&Metadata>) -> io::Result<()> {
    let mut target = OpenOptions::new().write(true).create(true).truncate(false).open(to)?;
    let bytes = io::copy(&mut source, &mut target)?;
    if target.metadata()?.is_file() {
        target.set_len(bytes)?;
    }
    times_of.map_or(Ok(()), |metadata| target.set_times(times(metadata)))
}

fn times(metadata: &Metadata) -> FileTimes {
    let modified = modified(metadata);
    FileTimes::new().set_modified(modified).set_accessed(metadata.accessed().unwrap_or(modified))
}

pub fn mv(call: &Call) -> Done {
    let options = call.options("fnTivt:")?;
    let mut code = 0;
    for (source, target) in pairs(call, &options)? {
        let (from, to) = (call.path(&source), call.path(&target));
        let (new, old) = (fs::symlink_metadata(&from), fs::symlink_metadata(&to));
        if let (Ok(new), Ok(old)) = (&new, &old)
            && (options.last_of("nfi") == Some('n') || keeps(call, &options, new, old, &target))
        {
            continue;
        }
        let moved = match fs::rename(&from, &to) {
            // Onto another volume: a copy, and then without the original.
            Err(err) if err.kind() == ErrorKind::CrossesDevices => {
                let style = Style { links: true, times: true };
                copy(&from, &to, style).map_err(|(_, err)| err).and_then(|()| remove(&from))
            }
            moved => moved,
        };
        match moved {
            Ok(()) if options.has('v') => code |= print(format!("'{source}' -> '{target}'\n"))?,
            Ok(()) => {}
            Err(err) => {
                call.complain(&format!("can't rename '{source}': {}", reason(&err)));
                code = 1;
            }
        }
    }
    Ok(code)
}
