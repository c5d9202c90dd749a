//! Programs about names of files.

use std::env;
use std::fs;
use std::io;

use crate::call::{Call, Done, Failure, print};

pub fn basename(call: &Call) -> Done {
    let options = call.options("+as:")?;
    let (names, suffix) = match (options.operands.as_slice(), options.value('s')) {
        ([], _) => return Err(Failure::usage()),
        (names, Some(suffix)) => (names, suffix),
        (names, None) if options.has('a') => (names, ""),
        ([_], None) => (&options.operands[..1], ""),
        ([_, suffix], None) => (&options.operands[..1], suffix.as_str()),
        _ => return Err(Failure::usage()),
    };
    let mut lines = String::new();
    for name in names {
        let base = last(name);
        let base = base.strip_suffix(suffix).filter(|stem| !stem.is_empty()).unwrap_or(base);
        lines += &format!("{base}\n");
    }
    print(lines)
}

/// The last part of a path; `/` of the root.
pub fn last(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None if path.starts_with('/') => "/",
        Some(last) => last,
        None => "",
    }
}

/// The names in a directory, sorted; such as are no Unicode are left out.
pub fn entries(directory: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

pub fn dirname(call: &Call) -> Done {
    let [name] = call.arguments() else { return Err(Failure::usage()) };
    let trimmed = name.trim_end_matches('/');
    let directory = match trimmed.rsplit_once('/') {
        Some((directory, _)) if directory.trim_end_matches('/').is_empty() => "/",
        Some((directory, _)) => directory.trim_end_matches('/'),
        None if trimmed.is_empty() && !name.is_empty() => "/",
        None => ".",
    };
    print(format!("{directory}\n"))
}

pub fn pwd(call: &Call) -> Done {
    print(format!("{}\n", call.directory))
}

pub fn readlink(call: &Call) -> Done {
    let options = call.options("fnm")?;
    let [name] = options.operands.as_slice() else { return Err(Failure::usage()) };
    let path = call.path(name);
    let target = if options.has('f') || options.has('m') {
        real(&path)
    } else {
        fs::read_link(path).ok().map(|path| path.display().to_string())
    };
    let end = if options.has('n') { "" } else { "\n" };
    target.map_or(Ok(1), |target| print(target + end))
}

pub fn realpath(call: &Call) -> Done {
    let options = call.options("")?;
    if options.operands.is_empty() {
        return Err(Failure::usage());
    }
    let mut code = 0;
    for name in &options.operands {
        match real(&call.path(name)) {
            Some(path) => code |= print(path + "\n")?,
            None => {
                call.complain(&format!("{name}: No such file or directory"));
                code = 1;
            }
        }
    }
    Ok(code)
}

/// Links in links; more are a circle.
const LINKS_MAX: u32 = 40;

/// The path with links followed; only its last part may be missing. By hand: WASI has no realpath.
pub fn real(path: &str) -> Option<String> {
    let mut done: Vec<String> = Vec::new();
    let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => done.push(part),
        }
        let here = format!("/{}", done.join("/"));
        match fs::symlink_metadata(&here) {
            Ok(metadata) if metadata.is_symlink() => {
                links += 1;
                let target = fs::read_link(&here).ok().filter(|_| links <= LINKS_MAX)?;
                done.pop();
                let target = target.to_str()?.to_owned();
                if target.starts_with('/') {
                    done.clear();
                }
                rest.extend(target.split('/').rev().map(str::to_owned));
            }
            Ok(_) => {}
            Err(_) if rest.iter().all(String::is_empty) => {}
            Err(_) => return None,
        }
    }
    Some(format!("/{}", done.join("/")))
}

/// Whether two paths lead to one file, as far as their names tell.
pub fn same(one: &str, other: &str) -> bool {
    real(one).is_some_and(|one| real(other) == Some(one))
}

pub fn which(call: &Call) -> Done {
    let options = call.options("a")?;
    if options.operands.is_empty() {
        return Err(Failure::usage());
    }
    let path = env::var("PATH").unwrap_or_else(|_| "/sbin:/usr/sbin:/bin:/usr/bin".to_owned());
    let (mut code, mut lines) = (0, String::new());
    for name in &options.operands {
        let found = candidates(call, name, &path);
        code |= u8::from(found.is_empty());
        let shown = if options.has('a') { found.len() } else { 1 };
        found.iter().take(shown).for_each(|path| lines += &format!("{path}\n"));
    }
    print(lines)?;
    Ok(code)
}

/// The files that a command's name may mean, best first.
pub fn candidates(call: &Call, name: &str, path: &str) -> Vec<String> {
    let is_file = |path: &String| fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if name.contains('/') {
        return [call.path(name)].into_iter().filter(is_file).collect();
    }
    let directories =
        path.split(':').map(|directory| if directory.is_empty() { "." } else { directory });
    directories
        .map(|directory| call.path(&format!("{}/{name}", directory.trim_end_matches('/'))))
        .filter(is_file)
        .collect()
}
