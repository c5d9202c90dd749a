//! The scripts of `cases/`, and how one is compared with a reference shell of Debian.
//!
//! A case begins with `### what it shows [shells and flags]`; the script follows. Shells, `ash` if
//! none is named: `ash` (busybox), `dash`, `bash`; all that are named must agree with ours. Flags:
//! `stdin` has the script on standard input, `stderr` compares what is said there to the byte
//! (otherwise only whether something is), `guest` needs a WebAssembly host (run in a Pod only).

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::accepted::ACCEPTED;

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) shells: Vec<&'static str>,
    pub(crate) script: String,
    pub(crate) stdin: bool,
    pub(crate) stderr: bool,
    /// For the native test to leave out.
    #[allow(dead_code, reason = "the test in a Pod runs all")]
    pub(crate) guest: bool,
}

/// What a script came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

const SHELLS: &[&str] = &["ash", "dash", "bash"];

/// All cases, in the order of their files' names.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/"));
    let folder = ["tests/e2e/shell/cases", "../../tests/e2e/shell/cases"].map(|at| folder.join(at));
    let folder = folder.iter().find(|path| path.is_dir()).unwrap();
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| cases_of(&fs::read_to_string(file).unwrap())).collect()
}

fn cases_of(text: &str) -> Vec<Case> {
    text.split("### ").skip(1).map(case).collect()
}

fn case(text: &str) -> Case {
    let (head, script) = text.split_once('\n').unwrap();
    let (title, words) = match head.rsplit_once(" [") {
        Some((title, words)) => (title, words.strip_suffix(']').unwrap()),
        None => (head, ""),
    };
    let has = |word: &str| words.split(' ').any(|known| known == word);
    let known = |word: &str| SHELLS.contains(&word) || ["stdin", "stderr", "guest"].contains(&word);
    assert!(words.is_empty() || words.split(' ').all(known), "{head}: unknown word");
    let mut shells: Vec<_> = SHELLS.iter().copied().filter(|shell| has(shell)).collect();
    if shells.is_empty() {
        shells.push("ash");
    }
    Case {
        title: title.to_owned(),
        shells,
        script: script.to_owned(),
        stdin: has("stdin"),
        stderr: has("stderr"),
        guest: has("guest"),
    }
}

/// Runs a case by `program` in `directory`, which is made anew, with the programs in `path`.
pub(crate) fn run(case: &Case, program: &[&str], directory: &Path, path: &Path) -> Outcome {
    // There is none the first time.
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory).unwrap();
    let script = directory.join("case.sh");
    fs::write(&script, &case.script).unwrap();
    let mut command = Command::new("/usr/bin/timeout");
    command.args(["-s", "KILL", "10"]).args(program);
    if case.stdin {
        command.stdin(fs::File::open(&script).unwrap());
    } else {
        command.stdin(Stdio::null()).arg("case.sh");
    }
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", "/")
        .env("LC_ALL", "C.UTF-8")
        .env("SH", program.join(" "));
    let output = command.current_dir(directory).output().unwrap();
    let code = output.status.code().or_else(|| Some(128 + output.status.signal()?)).unwrap_or(-1);
    Outcome { code, stdout: output.stdout, stderr: output.stderr }
}

/// How a reference shell is called.
pub(crate) fn reference(shell: &str) -> &'static [&'static str] {
    match shell {
        "dash" => &["/usr/bin/dash"],
        "bash" => &["/usr/bin/bash"],
        _ => &["/usr/bin/busybox", "sh"],
    }
}

/// Fills a directory with links to busybox's programs, so that scripts meet the same ones everywhere.
pub(crate) fn install_programs(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    // It complains of those that are there already, of an earlier run.
    Command::new("/usr/bin/busybox")
        .args(["--install", "-s"])
        .arg(directory)
        .stderr(Stdio::null())
        .status()
        .expect("the reference is Debian's busybox, dash and bash: apt-get install busybox dash");
}

/// What is to be said about a case: a difference nobody accepted, or none where one was.
pub(crate) fn verdict(
    case: &Case,
    shell: &str,
    ours: &Outcome,
    theirs: &Outcome,
) -> Option<String> {
    let accepted = ACCEPTED.iter().find(|(title, _)| *title == case.title);
    match (agree(case, ours, theirs), accepted) {
        (true, None) | (false, Some(_)) => None,
        (true, Some(_)) => {
            Some(format!("{}: agrees with {shell}; strike it off ACCEPTED", case.title))
        }
        (false, None) => Some(difference(case, shell, ours, theirs)),
    }
}

fn agree(case: &Case, ours: &Outcome, theirs: &Outcome) -> bool {
    let stderr = if case.stderr {
        ours.stderr == theirs.stderr
    } else {
        ours.stderr.is_empty() == theirs.stderr.is_empty()
    };
    ours.code == theirs.code && ours.stdout == theirs.stdout && stderr
}

fn difference(case: &Case, shell: &str, ours: &Outcome, theirs: &Outcome) -> String {
    let mut text = format!("### {}\n{}", case.title, case.script);
    for (name, outcome) in [("ours", ours), (shell, theirs)] {
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\n', "\n      ");
        let _ = write!(
            text,
            "--- {name}: exit {}\n  out {}\n  err {}\n",
            outcome.code,
            show(&outcome.stdout),
            show(&outcome.stderr)
        );
    }
    text
}

/// Every accepted difference must be of a case there is, or the list would rot.
pub(crate) fn check_titles(cases: &[Case]) {
    for (title, _) in ACCEPTED {
        assert!(cases.iter().any(|case| case.title == *title), "ACCEPTED: no case {title:?}");
    }
    for (n, case) in cases.iter().enumerate() {
        let again = cases[..n].iter().any(|other| other.title == case.title);
        assert!(!again, "two cases are called {:?}", case.title);
    }
}
