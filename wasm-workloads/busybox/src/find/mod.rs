//! `find`: `expression.rs` reads what is asked, `test.rs` tells whether it holds of a file, and here
//! directories are walked and actions done.

mod expression;
mod test;

use std::fs::{self, Metadata};
use std::io::{self, Write};

use sampan_process as process;

use crate::call::{Call, Done, Failure, output, reason};
use crate::run::{self, ARGUMENT_BYTES_MAX};
use crate::stream::Stream;

use expression::{Action, Expression, Follow, Query};

pub fn find(call: &Call) -> Done {
    let arguments = call.arguments();
    let leading = arguments.iter().take_while(|word| matches!(word.as_str(), "-H" | "-L" | "-P"));
    let (flags, rest) = arguments.split_at(leading.count());
    let is_path = |word: &&String| !word.starts_with('-') && !matches!(word.as_str(), "(" | "!");
    let (paths, words) = rest.split_at(rest.iter().take_while(is_path).count());
    let mut query = Query::parse(call, words)?;
    match flags.last().map(String::as_str) {
        Some("-L") => query.follow = Follow::Always,
        Some("-H") if query.follow == Follow::Never => query.follow = Follow::Operands,
        _ => {}
    }
    let current = [".".to_owned()];
    let paths = if paths.is_empty() { &current } else { paths };
    let batches = vec![Batch::default(); query.batches];
    let mut walk = Walk {
        call,
        query: &query,
        out: output(),
        batches,
        pruned: false,
        stopped: false,
        code: 0,
    };
    for path in paths {
        if !walk.stopped {
            walk.visit(path, 0)?;
        }
    }
    walk.finish()
}

/// Files that an `-exec … {} +` has yet to be told of.
#[derive(Debug, Clone, Default)]
struct Batch {
    command: Vec<String>,
    names: Vec<String>,
    bytes: usize,
}

/// A file on the way.
struct Visited<'a> {
    name: &'a str,
    path: &'a str,
    metadata: &'a Metadata,
}

struct Walk<'a> {
    call: &'a Call,
    query: &'a Query,
    out: io::BufWriter<Stream>,
    batches: Vec<Batch>,
    /// The directory just seen is not to be entered.
    pruned: bool,
    stopped: bool,
    code: u8,
}

impl Walk<'_> {
    fn visit(&mut self, name: &str, depth: usize) -> Result<(), Failure> {
        let path = self.call.path(name);
        let metadata = match self.metadata(&path, depth) {
            Ok(metadata) => metadata,
            Err(err) => {
                self.fail(&format!("{name}: {}", reason(&err)));
                return Ok(());
            }
        };
        let file = Visited { name, path: &path, metadata: &metadata };
        let wanted = depth >= self.query.shallowest;
        self.pruned = false;
        if wanted && !self.query.depth_first {
            self.holds(&self.query.expression, &file)?;
        }
        if metadata.is_dir() && !self.pruned && depth < self.query.deepest {
            match crate::names::entries(&path) {
                Err(err) => self.fail(&format!("{name}: {}", reason(&err))),
                Ok(entries) => {
                    let slash = if name.ends_with('/') { "" } else { "/" };
                    for entry in entries {
                        if self.stopped {
                            break;
                        }
                        self.visit(&format!("{name}{slash}{entry}"), depth + 1)?;
                    }
                }
            }
        }
        if wanted && self.query.depth_first && !self.stopped {
            self.holds(&self.query.expression, &file)?;
        }
        Ok(())
    }

    fn metadata(&self, path: &str, depth: usize) -> io::Result<Metadata> {
        match self.query.follow {
            Follow::Operands if depth > 0 => fs::symlink_metadata(path),
            Follow::Never => fs::symlink_metadata(path),
            // A link to nothing is a link.
            _ => fs::metadata(path).or_else(|_| fs::symlink_metadata(path)),
        }
    }

    fn fail(&mut self, why: &str) {
        self.call.complain(why);
        self.code = 1;
    }

    fn holds(&mut self, expression: &Expression, file: &Visited) -> Result<bool, Failure> {
        Ok(match expression {
            Expression::Test(test) => test.holds(file.name, file.path, file.metadata),
            Expression::Not(inner) => !self.holds(inner, file)?,
            Expression::All(parts) => {
                for part in parts {
                    if self.stopped || !self.holds(part, file)? {
                        return Ok(false);
                    }
                }
                true
            }
            Expression::Any(parts) => {
                for part in parts {
                    if self.stopped || self.holds(part, file)? {
                        return Ok(true);
                    }
                }
                false
            }
            Expression::Do(action) => self.act(action, file)?,
        })
    }

    fn act(&mut self, action: &Action, file: &Visited) -> Result<bool, Failure> {
        match action {
            Action::Print(end) => {
                self.out.write_all(file.name.as_bytes())?;
                self.out.write_all(&[*end])?;
            }
            Action::Prune => self.pruned = true,
            Action::Quit => self.stopped = true,
            Action::Delete => return Ok(self.delete(file)),
            Action::Exec(command) => {
                let command: Vec<_> =
                    command.iter().map(|word| word.replace("{}", file.name)).collect();
                return self.run(&command);
            }
            Action::Gather(at, command) => {
                let batch = &mut self.batches[*at];
                command.clone_into(&mut batch.command);
                batch.names.push(file.name.to_owned());
                batch.bytes += file.name.len() + 1;
                if batch.bytes >= ARGUMENT_BYTES_MAX {
                    self.flush(*at)?;
                }
            }
        }
        Ok(true)
    }

    fn delete(&mut self, file: &Visited) -> bool {
        let removed = match crate::names::last(file.name) {
            // The directory one is in stays, as everywhere.
            "." | ".." => Ok(()),
            _ if file.metadata.is_dir() => fs::remove_dir(file.path),
            _ => fs::remove_file(file.path),
        };
        if let Err(err) = &removed {
            self.fail(&format!("{}: {}", file.name, reason(err)));
        }
        removed.is_ok()
    }

    /// Whether a command ended well.
    fn run(&mut self, command: &[String]) -> Result<bool, Failure> {
        self.out.flush()?;
        match run::start(self.call, command, std::env::vars().collect(), &process::stdin()) {
            Ok(child) => Ok(child.wait() == 0),
            Err((_, why)) => {
                self.call.complain(&format!("{}: {why}", command[0]));
                Ok(false)
            }
        }
    }

    /// Runs the command of a batch with what was gathered.
    fn flush(&mut self, at: usize) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batches[at]);
        if batch.names.is_empty() {
            return Ok(());
        }
        let mut command = Vec::new();
        for word in batch.command {
            if word == "{}" { command.extend_from_slice(&batch.names) } else { command.push(word) }
        }
        if !self.run(&command)? {
            self.code = 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Done {
        for at in 0..self.batches.len() {
            self.flush(at)?;
        }
        self.out.flush()?;
        Ok(self.code)
    }
}
