//! A small file system for a cluster to live on, in a mount namespace of the test's own: it needs no
//! privileges where users may have namespaces, by the `unshare` and `nsenter` of util-linux.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Answer, Home, run};

/// Ways to a namespace of one's own: as anybody, or as root of a container that may mount.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];

/// Mounted for those who are started inside; gone when dropped.
pub(crate) struct SmallDisk {
    holder: Child,
    in_user_namespace: bool,
}

impl SmallDisk {
    /// So many bytes at `path`, which it makes. `None`, and the reason on stderr, on a machine that lets
    /// nobody mount: tests need no more than loopback and a directory.
    #[expect(clippy::print_stderr, reason = "who runs the story is to know that it was left out")]
    pub(crate) fn at(path: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mut reasons = Vec::new();
        for way in WAYS {
            match Self::by(way, path, bytes) {
                Ok(disk) => return Some(disk),
                Err(reason) => reasons.push(reason),
            }
        }
        eprintln!(
            "left out: no mount namespace (unshare --user --mount) to be had here: {reasons:?}"
        );
        None
    }

    fn by(way: &[&str], path: &Path, bytes: u64) -> Result<Self, String> {
        let script = r#"mount -t tmpfs -o size="$1" none "$2" && echo mounted && exec cat"#;
        let mut command = Command::new("unshare");
        command.args(way).args(["sh", "-c", script, "sh", &bytes.to_string()]).arg(path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line == "mounted\n" {
            return Ok(Self { holder, in_user_namespace: way.contains(&"--user") });
        }
        let mut reason = String::new();
        holder.stderr.take().unwrap().read_to_string(&mut reason).unwrap();
        holder.wait().unwrap();
        Err(reason)
    }

    /// A program that sees it. It has the number of the process that is started.
    pub(super) fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if self.in_user_namespace {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg(program);
        command
    }

    /// The same for a command that only the disk concerns.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let mut command = self.inside(words.next().unwrap());
        command.args(words);
        let answer = run(command);
        assert_eq!(answer.code, 0, "{line}: {}", answer.all());
        answer.stdout
    }

    /// `sampan …` of this home, for one that ends by itself.
    pub(crate) fn sampan(&self, home: &Home, arguments: &[&str]) -> Answer {
        let mut command = self.inside(env!("CARGO_BIN_EXE_sampan"));
        home.settle(&mut command);
        command.args(arguments);
        run(command)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
