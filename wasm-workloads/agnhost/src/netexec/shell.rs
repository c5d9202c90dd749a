//! `/shell?cmd=`: a command of the container's shell, while other requests are served.

use std::time::Instant;

use sampan_process::{Child, Command, Handle, null, pipe, spawn};

use crate::clock::log;
use crate::json;
use crate::server::{Answer, Job, Reply};

const SHELL: &str = "/bin/sh";
/// Bound: what a command may say; the rest is read and dropped.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

struct Shell {
    child: Child,
    reader: Handle,
    output: Vec<u8>,
    at_end: bool,
}

pub(super) fn run(command: &str) -> Answer {
    log(&format!("GET /shell?cmd={command}"));
    match start(command) {
        Ok(shell) => Answer::Job(Box::new(shell)),
        Err(error) => Answer::Reply(reply(b"", Some(error))),
    }
}

fn start(command: &str) -> Result<Shell, String> {
    let (reader, writer) = pipe().map_err(|error| error.to_string())?;
    let cwd = std::env::var("PWD").ok().filter(|cwd| cwd.starts_with('/'));
    let command = Command {
        program: SHELL.to_owned(),
        args: [SHELL, "-c", command].map(str::to_owned).to_vec(),
        env: std::env::vars().collect(),
        cwd: cwd.unwrap_or_else(|| "/".to_owned()),
        ..Command::default()
    };
    let child = spawn(command, &null(), &writer, &writer)
        .map_err(|error| format!("fork/exec {SHELL}: {error:?}"))?;
    Ok(Shell { child, reader, output: Vec::new(), at_end: false })
}

impl Job for Shell {
    fn step(&mut self, _: Instant) -> Option<Answer> {
        while !self.at_end && self.reader.wait_readable(0).unwrap_or(true) {
            match self.reader.read(65_536) {
                Ok(bytes) if !bytes.is_empty() => {
                    let room = OUTPUT_BYTES_MAX - self.output.len();
                    self.output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                _ => self.at_end = true,
            }
        }
        // Who the command left behind may hold the pipe open, and Go waits for that too.
        if !self.at_end {
            return None;
        }
        let code = self.child.try_wait()?;
        let error = match code {
            0 => None,
            129.. => Some(format!("signal: {}", code - 128)),
            code => Some(format!("exit status {code}")),
        };
        Some(Answer::Reply(reply(&self.output, error)))
    }
}

fn reply(output: &[u8], error: Option<String>) -> Reply {
    let mut entries = Vec::new();
    entries.extend(error.map(|error| ("error", json::string(&error))));
    if !output.is_empty() {
        entries.push(("output", json::string(&String::from_utf8_lossy(output))));
    }
    let text = json::object(&entries);
    log(&format!("Output: {text}"));
    Reply::text(text)
}
