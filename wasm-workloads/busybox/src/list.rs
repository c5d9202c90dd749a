//! `ls`.

use std::fs::{self, Metadata};
use std::io::{self, IsTerminal};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::attributes::{self, Kind};
use crate::call::{Call, Done, Options, print, reason};
use crate::date;

/// A name as it is shown, and what is known of it.
struct Entry {
    name: String,
    path: String,
    metadata: Metadata,
}

impl Entry {
    fn modified(&self) -> SystemTime {
        attributes::modified(&self.metadata)
    }
}

pub fn ls(call: &Call) -> Done {
    let options = call.options("1AaCdFhlpRrStXxLHnigscukqQ")?;
    let operands =
        if options.operands.is_empty() { vec![".".to_owned()] } else { options.operands.clone() };
    let (mut files, mut directories, mut code) = (Vec::new(), Vec::new(), 0);
    for name in &operands {
        let path = call.path(name);
        let follow =
            !(options.has('l') || options.has('d')) || options.has('L') || name.ends_with('/');
        let metadata = if follow {
            fs::metadata(&path).or_else(|_| fs::symlink_metadata(&path))
        } else {
            fs::symlink_metadata(&path)
        };
        match metadata {
            Ok(metadata) => {
                let entry = Entry { name: name.clone(), path, metadata };
                if entry.metadata.is_dir() && !options.has('d') {
                    directories.push(entry)
                } else {
                    files.push(entry)
                }
            }
            Err(err) => {
                call.complain(&format!("{name}: {}", reason(&err)));
                code = 1;
            }
        }
    }
    sort(&mut files, &options);
    sort(&mut directories, &options);
    let mut text = format(&files, &options);
    let titled = operands.len() > 1 || options.has('R');
    let mut first = files.is_empty();
    while !directories.is_empty() {
        let directory = directories.remove(0);
        if titled {
            text += &format!("{}{}:\n", if first { "" } else { "\n" }, directory.name);
        }
        first = false;
        match entries(&directory, &options) {
            Ok(mut inner) => {
                sort(&mut inner, &options);
                if options.has('l') {
                    text += &format!(
                        "total {}\n",
                        inner
                            .iter()
                            .map(|entry| attributes::blocks(&entry.metadata) / 2)
                            .sum::<u64>()
                    );
                }
                text += &format(&inner, &options);
                if options.has('R') {
                    let below = inner.into_iter().filter(|entry| {
                        entry.metadata.is_dir() && entry.name != "." && entry.name != ".."
                    });
                    let below = below.map(|entry| Entry {
                        name: format!("{}/{}", directory.name.trim_end_matches('/'), entry.name),
                        ..entry
                    });
                    directories.splice(0..0, below);
                }
            }
            Err(err) => {
                call.complain(&format!("can't open '{}': {}", directory.name, reason(&err)));
                code = 1;
            }
        }
    }
    print(text)?;
    Ok(code)
}

fn entries(directory: &Entry, options: &Options) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    let base = directory.path.trim_end_matches('/');
    let mut add = |name: String, path: String| {
        let metadata =
            if options.has('L') { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        if let Ok(metadata) = metadata {
            found.push(Entry { name, path, metadata });
        }
    };
    if options.has('a') {
        add(".".to_owned(), format!("{base}/."));
        add("..".to_owned(), format!("{base}/.."));
    }
    for entry in fs::read_dir(&directory.path)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        if !name.starts_with('.') || options.has('a') || options.has('A') {
            let path = format!("{base}/{name}");
            add(name, path);
        }
    }
    Ok(found)
}

fn sort(entries: &mut [Entry], options: &Options) {
    entries.sort_by(|one, other| {
        let by_name = one.name.cmp(&other.name);
        let order = match options.last_of("StX") {
            Some('S') => other.metadata.len().cmp(&one.metadata.len()).then(by_name),
            Some('t') => other.modified().cmp(&one.modified()).then(by_name),
            Some('X') => extension(&one.name).cmp(extension(&other.name)).then(by_name),
            _ => by_name,
        };
        if options.has('r') { order.reverse() } else { order }
    });
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// How wide columns may be together.
const WIDTH: usize = 80;

fn format(entries: &[Entry], options: &Options) -> String {
    if options.has('l') || options.has('n') || options.has('g') {
        return entries.iter().map(|entry| long(entry, options)).collect();
    }
    let names: Vec<String> = entries.iter().map(|entry| marked(entry, options)).collect();
    let columns = options.has('C') || (io::stdout().is_terminal() && !options.has('1'));
    if !columns || options.last_of("1C") == Some('1') {
        return names.iter().map(|name| format!("{name}\n")).collect();
    }
    let width = names.iter().map(|name| name.chars().count() + 2).max().unwrap_or(1);
    let across = (WIDTH / width).max(1);
    let rows = names.len().div_ceil(across);
    let line = |row: usize| {
        let line: String =
            (row..names.len()).step_by(rows).map(|n| format!("{:width$}", names[n])).collect();
        format!("{}\n", line.trim_end())
    };
    (0..rows).map(line).collect()
}

fn marked(entry: &Entry, options: &Options) -> String {
    let mark = match (options.has('F'), options.has('p') || options.has('F')) {
        (_, true) if entry.metadata.is_dir() => "/",
        (true, _) if entry.metadata.is_symlink() => "@",
        _ => "",
    };
    format!("{}{mark}", entry.name)
}

fn long(entry: &Entry, options: &Options) -> String {
    let metadata = &entry.metadata;
    let kind = Kind::of(metadata);
    let mode = kind.mode_text(kind.rights_at(&entry.path, !metadata.is_symlink()));
    let owner = if options.has('n') { "0        0       " } else { "root     root    " };
    let size = if options.has('h') { human(metadata.len()) } else { metadata.len().to_string() };
    let seconds = entry.modified().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    // As ls everywhere: the time of day within half a year, else the year.
    let recent = now.abs_diff(seconds) < 183 * 86400;
    let time = date::format(seconds as i64, 0, if recent { "%b %e %H:%M" } else { "%b %e  %Y" });
    let target = fs::read_link(&entry.path).ok().filter(|_| metadata.is_symlink());
    let target = target.map(|target| format!(" -> {}", target.display())).unwrap_or_default();
    format!("{mode}    1 {owner} {size:>9} {time} {}{target}\n", marked(entry, options))
}

fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["", "K", "M", "G"] {
        if value < 1024.0 {
            return if unit.is_empty() { bytes.to_string() } else { format!("{value:.1}{unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1}T")
}
