//! Programs: where they lie, and how they are started.

use std::fs;

use sampan_process::{self as process, Child, Command, Handle, SpawnError};

use super::Shell;

/// Why a program did not start: what to say, and the exit status.
#[derive(Debug)]
pub(super) struct NotStarted {
    message: String,
    status: i32,
}

/// How much of a file tells what it is.
const HEAD_BYTES: u32 = 256;

impl Shell {
    /// Starts a program and waits for it; its exit status.
    pub fn run_program(&mut self, words: &[String]) -> i32 {
        let (stdin, stdout, stderr) = (self.handle(0), self.handle(1), self.handle(2));
        let group = self.job_group();
        match self.start(words, &stdin, &stdout, &stderr, group) {
            Ok(child) => {
                // Its pipes must end with it, not with this shell's copies.
                drop((stdin, stdout, stderr));
                self.bring_forward(group, child.pid());
                let status = child.wait();
                self.end_foreground(&[status]);
                status
            }
            Err(err) => self.report(&err),
        }
    }

    pub(super) fn report(&self, err: &NotStarted) -> i32 {
        self.complain(&err.message);
        err.status
    }

    pub(super) fn start(
        &mut self,
        words: &[String],
        stdin: &Handle,
        stdout: &Handle,
        stderr: &Handle,
        group: Option<u32>,
    ) -> Result<Child, NotStarted> {
        let name = words.first().map(String::as_str).unwrap_or_default();
        let not_found = || NotStarted { message: format!("{name}: not found"), status: 127 };
        let denied = |why: &str| NotStarted { message: format!("{name}: {why}"), status: 126 };
        let path = self.find_program(name).ok_or_else(not_found)?;
        let spawn = |program: &str, args: Vec<String>| {
            let env = self.variables.environment();
            let cwd = self.directory.clone();
            let program = program.to_owned();
            let others = self.other_handles();
            let command = Command { program, args, env, cwd, group, others, ..Command::default() };
            process::spawn(command, stdin, stdout, stderr)
        };
        let mut started = spawn(&path, words.to_vec());
        if let Err(SpawnError::NotExecutable(_)) = &started
            && let Some(mut args) = interpreter(&path)
        {
            let program = self.absolute(&args[0]);
            args.push(if name.contains('/') { name.to_owned() } else { path.clone() });
            args.extend(words.iter().skip(1).cloned());
            started = spawn(&program, args);
        }
        started.map_err(|err| match err {
            SpawnError::NotFound => {
                self.paths.remove(name);
                not_found()
            }
            SpawnError::NotExecutable(_)
                if fs::metadata(&path).is_ok_and(|found| found.is_dir()) =>
            {
                denied("Permission denied")
            }
            SpawnError::NotExecutable(why) if why.is_empty() => denied("Exec format error"),
            SpawnError::NotExecutable(why) | SpawnError::Other(why) => denied(&why),
            SpawnError::Limit => NotStarted {
                message: "can't fork: Resource temporarily unavailable".to_owned(),
                status: 2,
            },
        })
    }

    /// The absolute path of a program; a name without a slash is sought in `PATH`.
    pub fn find_program(&mut self, name: &str) -> Option<String> {
        if name.is_empty() {
            return None;
        }
        if name.contains('/') {
            let path = self.absolute(name);
            return fs::metadata(&path).is_ok().then_some(path);
        }
        if let Some(path) = self.paths.get(name) {
            return Some(path.clone());
        }
        let path = self.program_path().split(':').find_map(|directory| {
            let directory = if directory.is_empty() { "." } else { directory };
            let path = self.absolute(&format!("{}/{name}", directory.trim_end_matches('/')));
            fs::metadata(&path).is_ok_and(|found| found.is_file()).then_some(path)
        })?;
        self.paths.insert(name.to_owned(), path.clone());
        Some(path)
    }

    /// Directories with `:` between them.
    pub fn program_path(&self) -> &str {
        self.variables.get("PATH").unwrap_or("/sbin:/usr/sbin:/bin:/usr/bin")
    }

    pub(super) fn forget_programs(&mut self) {
        self.paths.clear();
    }
}

/// What runs a script: its `#!` line, or this shell for a text without one.
fn interpreter(path: &str) -> Option<Vec<String>> {
    let head = process::open(path, process::OpenMode::Read).ok()?.read(HEAD_BYTES).ok()?;
    let Some(line) = head.strip_prefix(b"#!") else {
        return (!head.contains(&0)).then(|| vec![process::own_program()]);
    };
    let line = String::from_utf8_lossy(line);
    let line = line.lines().next()?.trim().to_owned();
    let (program, argument) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
    let argument = Some(argument.trim().to_owned()).filter(|argument| !argument.is_empty());
    Some([program.to_owned()].into_iter().chain(argument).collect())
}
