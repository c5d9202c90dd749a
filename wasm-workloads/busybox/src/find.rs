//! `find`: names, kinds and depths.

use std::fs;

use crate::call::{Call, Done, Failure, print, reason};

/// What must hold of a file.
#[derive(Debug, Default)]
struct Wanted {
    name: Option<String>,
    fold: bool,
    path: Option<String>,
    kind: Option<char>,
    shallowest: usize,
    deepest: Option<usize>,
    end: char,
}

pub fn find(call: &Call) -> Done {
    let arguments = call.arguments();
    let starts = arguments.iter().take_while(|word| !word.starts_with('-')).count();
    let (paths, tests) = arguments.split_at(starts);
    let wanted = wanted(tests)?;
    let paths = if paths.is_empty() { vec![".".to_owned()] } else { paths.to_vec() };
    let (mut lines, mut code) = (String::new(), 0);
    for path in paths {
        let mut waiting = vec![(path, 0)];
        while let Some((name, depth)) = waiting.pop() {
            let real = call.path(&name);
            let metadata = match fs::symlink_metadata(&real) {
                Ok(metadata) => metadata,
                Err(err) => {
                    call.complain(&format!("{name}: {}", reason(&err)));
                    code = 1;
                    continue;
                }
            };
            if wanted.holds(&name, &metadata, depth) {
                lines += &name;
                lines.push(wanted.end);
            }
            if metadata.is_dir() && wanted.deepest.is_none_or(|deepest| depth < deepest) {
                let entries = fs::read_dir(&real).into_iter().flatten().flatten();
                let mut inner: Vec<String> =
                    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
                inner.sort_by(|one, other| other.cmp(one));
                waiting.extend(
                    inner.into_iter().map(|entry| {
                        (format!("{}/{entry}", name.trim_end_matches('/')), depth + 1)
                    }),
                );
            }
        }
    }
    print(lines)?;
    Ok(code)
}

fn wanted(tests: &[String]) -> Result<Wanted, Failure> {
    let mut wanted = Wanted { end: '\n', ..Wanted::default() };
    let mut tests = tests.iter();
    while let Some(test) = tests.next() {
        let mut value = || {
            tests
                .next()
                .cloned()
                .ok_or_else(|| Failure::Message(format!("{test} requires an argument")))
        };
        let number = |text: String| {
            text.parse().map_err(|_| Failure::Message(format!("invalid number '{text}'")))
        };
        match test.as_str() {
            "-name" => wanted.name = Some(value()?),
            "-iname" => (wanted.name, wanted.fold) = (Some(value()?.to_lowercase()), true),
            "-path" => wanted.path = Some(value()?),
            "-type" => wanted.kind = value()?.chars().next(),
            "-maxdepth" => wanted.deepest = Some(number(value()?)?),
            "-mindepth" => wanted.shallowest = number(value()?)?,
            "-print" => {}
            "-print0" => wanted.end = '\0',
            test => return Err(Failure::Message(format!("unrecognized: {test}"))),
        }
    }
    Ok(wanted)
}

impl Wanted {
    fn holds(&self, name: &str, metadata: &fs::Metadata, depth: usize) -> bool {
        let last = crate::names::last(name);
        let last = if self.fold { last.to_lowercase() } else { last.to_owned() };
        depth >= self.shallowest
            && self.name.as_ref().is_none_or(|pattern| sampan_sh::matches(pattern, &last))
            && self.path.as_ref().is_none_or(|pattern| sampan_sh::matches(pattern, name))
            && self.kind.is_none_or(|kind| match kind {
                'd' => metadata.is_dir(),
                'l' => metadata.is_symlink(),
                'f' => metadata.is_file(),
                _ => false,
            })
    }
}
