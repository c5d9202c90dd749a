//! A program's arguments, files and messages.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read};

use sampan_process::system;

use crate::stream::Input;
pub use crate::stream::{output, print};

/// What a program comes to: its exit code, or why it failed.
pub type Done = Result<u8, Failure>;

#[derive(Debug)]
pub enum Failure {
    /// Wrong arguments; with what is wrong about them, if there is more to say than the usage.
    Usage(String),
    /// Said after the program's name; exit code 1.
    Message(String),
    /// Standard output could not be written.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(err: io::Error) -> Self {
        Self::Output(err)
    }
}

impl Failure {
    pub fn usage() -> Self {
        Self::Usage(String::new())
    }
}

/// How a program was called.
#[derive(Debug)]
pub struct Call {
    pub name: &'static str,
    arguments: Vec<String>,
    /// Absolute.
    pub directory: String,
}

/// Options and what is left.
#[derive(Debug, Default)]
pub struct Options {
    given: Vec<(char, String)>,
    pub operands: Vec<String>,
}

impl Options {
    pub fn has(&self, letter: char) -> bool {
        self.given.iter().any(|(given, _)| *given == letter)
    }

    /// The last value given.
    pub fn value(&self, letter: char) -> Option<&str> {
        self.values(letter).last()
    }

    pub fn values(&self, letter: char) -> impl Iterator<Item = &str> {
        self.given
            .iter()
            .filter(move |(given, _)| *given == letter)
            .map(|(_, value)| value.as_str())
    }

    /// All that was given, in order.
    pub fn given(&self) -> impl Iterator<Item = (char, &str)> {
        self.given.iter().map(|(letter, value)| (*letter, value.as_str()))
    }

    /// Which of the letters was given last.
    pub fn last_of(&self, letters: &str) -> Option<char> {
        self.given.iter().rev().map(|(letter, _)| *letter).find(|letter| letters.contains(*letter))
    }
}

/// Long names that people type, with their letters.
const LONG: &[(&str, &str, char)] = &[
    ("*", "recursive", 'r'),
    ("*", "force", 'f'),
    ("ls", "all", 'a'),
    ("ls", "color", '\0'),
    ("mkdir", "parents", 'p'),
    ("grep", "ignore-case", 'i'),
    ("grep", "invert-match", 'v'),
    ("grep", "count", 'c'),
    ("grep", "color", '\0'),
    ("grep", "include", '<'),
    ("grep", "exclude", '>'),
    ("grep", "exclude-dir", '^'),
    ("grep", "recursive", 'r'),
    ("grep", "line-number", 'n'),
    ("grep", "only-matching", 'o'),
    ("grep", "quiet", 'q'),
    ("grep", "extended-regexp", 'E'),
    ("grep", "fixed-strings", 'F'),
    ("grep", "files-with-matches", 'l'),
    ("grep", "word-regexp", 'w'),
    ("grep", "no-filename", 'h'),
    ("sed", "expression", 'e'),
    ("sed", "file", 'f'),
    ("sed", "quiet", 'n'),
    ("sed", "silent", 'n'),
    ("sed", "regexp-extended", 'E'),
    ("sed", "in-place", 'i'),
    ("sed", "separate", 's'),
    ("sed", "null-data", 'z'),
    ("head", "lines", 'n'),
    ("head", "bytes", 'c'),
    ("tail", "lines", 'n'),
    ("tail", "bytes", 'c'),
    ("tail", "follow", 'f'),
    ("wc", "lines", 'l'),
    ("sort", "reverse", 'r'),
    ("sort", "unique", 'u'),
    ("date", "utc", 'u'),
    ("date", "date", 'd'),
    ("date", "iso-8601", 'I'),
    ("uniq", "count", 'c'),
    ("tee", "append", 'a'),
    ("ln", "symbolic", 's'),
    ("cut", "fields", 'f'),
    ("cut", "delimiter", 'd'),
    ("xargs", "null", '0'),
    ("tar", "file", 'f'),
    ("tar", "directory", 'C'),
    ("tar", "extract", 'x'),
    ("tar", "create", 'c'),
    ("tar", "no-same-owner", '\0'),
    ("tar", "no-same-permissions", '\0'),
    ("wget", "output-document", 'O'),
    ("wget", "output-file", 'o'),
    ("wget", "directory-prefix", 'P'),
    ("wget", "quiet", 'q'),
    ("wget", "no-verbose", 'n'),
    ("wget", "continue", 'c'),
    ("wget", "server-response", 'S'),
    ("wget", "timeout", 'T'),
    ("wget", "tries", 't'),
    ("wget", "user-agent", 'U'),
    ("wget", "proxy", 'Y'),
    ("wget", "no-check-certificate", '!'),
    ("wget", "ca-certificate", '@'),
    ("wget", "spider", '='),
    ("wget", "header", '<'),
    ("wget", "post-data", '>'),
    ("wget", "post-file", '^'),
];

impl Call {
    pub fn new(name: &'static str, mut arguments: Vec<String>) -> Self {
        arguments.remove(0);
        let directory = std::env::var("PWD").ok().filter(|path| path.starts_with('/'));
        let current =
            || std::env::current_dir().ok().and_then(|path| path.to_str().map(str::to_owned));
        let directory = directory.or_else(current).unwrap_or_else(|| "/".to_owned());
        Self { name, arguments, directory }
    }

    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Takes options as getopt does: `spec` holds their letters, a colon after those with a value
    /// (two if it can only be attached), and begins with `+` if options end at the first operand.
    pub fn options(&self, spec: &str) -> Result<Options, Failure> {
        self.options_of(self.arguments.clone(), spec)
    }

    pub fn options_of(&self, arguments: Vec<String>, spec: &str) -> Result<Options, Failure> {
        let mut options = Options::default();
        let mut rest = VecDeque::from(arguments);
        while let Some(word) = rest.pop_front() {
            if word == "--" {
                options.operands.extend(rest);
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                self.long(long, spec, &mut options, &mut rest)?;
                continue;
            }
            let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                options.operands.push(word);
                if spec.starts_with('+') {
                    options.operands.extend(rest);
                    break;
                }
                continue;
            };
            for (at, letter) in letters.char_indices() {
                let known = spec.find(letter).filter(|_| !":+".contains(letter));
                let Some(known) = known else {
                    return Err(Failure::Usage(format!("invalid option -- '{letter}'")));
                };
                if !spec[known + letter.len_utf8()..].starts_with(':') {
                    options.given.push((letter, String::new()));
                    continue;
                }
                let attached = &letters[at + letter.len_utf8()..];
                let is_optional = spec[known + letter.len_utf8()..].starts_with("::");
                let value = if attached.is_empty() && !is_optional {
                    rest.pop_front()
                } else {
                    Some(attached.to_owned())
                };
                let missing =
                    || Failure::Usage(format!("option requires an argument -- '{letter}'"));
                options.given.push((letter, value.ok_or_else(missing)?));
                break;
            }
        }
        Ok(options)
    }

    fn long(
        &self,
        long: &str,
        spec: &str,
        options: &mut Options,
        rest: &mut VecDeque<String>,
    ) -> Result<(), Failure> {
        let (name, value) =
            long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let known = LONG.iter().find(|(applet, known, letter)| {
            (*applet == self.name || *applet == "*")
                && *known == name
                && (*letter == '\0' || spec.contains(*letter))
        });
        let Some((_, _, letter)) = known else {
            return Err(Failure::Usage(format!("unrecognized option '--{name}'")));
        };
        let takes_value = spec
            .find(*letter)
            .is_some_and(|at| spec[at + 1..].starts_with(':') && !spec[at + 1..].starts_with("::"));
        let value = match value {
            Some(value) => value.to_owned(),
            None if takes_value => rest
                .pop_front()
                .ok_or_else(|| Failure::Usage(format!("option '--{name}' requires an argument")))?,
            None => String::new(),
        };
        options.given.push((*letter, value));
        Ok(())
    }

    /// A name as an absolute path: WASI has no working directory.
    pub fn path(&self, name: &str) -> String {
        sampan_sh::condition::absolute(&self.directory, name)
    }

    pub fn complain(&self, message: &str) {
        eprintln!("{}: {message}", self.name);
    }

    /// Tells why the program failed.
    pub fn explain(&self, failure: &Failure) {
        match failure {
            Failure::Usage(message) => {
                if !message.is_empty() {
                    self.complain(message);
                }
                eprintln!("{}", crate::usage(self.name));
            }
            Failure::Message(message) => self.complain(message),
            Failure::Output(err) => self.complain(&format!("write error: {}", reason(err))),
        }
    }

    /// Opens a file to read, or standard input for `-`; complains if that fails.
    pub fn open(&self, name: &str, complaint: impl FnOnce(&str, &str) -> String) -> Option<Input> {
        match self.try_open(name) {
            Ok(input) => Some(input),
            Err(err) => {
                self.complain(&complaint(name, &reason(&err)));
                None
            }
        }
    }

    pub fn try_open(&self, name: &str) -> io::Result<Input> {
        if name == "-" {
            return Ok(Input::stdin());
        }
        let file = File::open(self.path(name))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(ErrorKind::IsADirectory.into());
        }
        Ok(Input::of(file))
    }

    /// Does something with each input, standard input if none is named; complains of those that
    /// cannot be opened.
    pub fn each_input(
        &self,
        operands: &[String],
        mut act: impl FnMut(&str, Input) -> Result<(), Failure>,
    ) -> Done {
        let mut code = 0;
        for name in Self::inputs(operands) {
            match self.open(&name, |name, why| format!("{name}: {why}")) {
                Some(input) => act(&name, input)?,
                None => code = 1,
            }
        }
        Ok(code)
    }

    /// All of one input.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_all(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let read = self.try_open(name).and_then(|mut input| input.read_to_end(&mut bytes));
        read.map_err(|err| Failure::Message(format!("{name}: {}", reason(&err))))?;
        Ok(bytes)
    }

    /// The operands, or `-` if there are none.
    pub fn inputs(operands: &[String]) -> Vec<String> {
        if operands.is_empty() { vec!["-".to_owned()] } else { operands.to_vec() }
    }

    /// A number of an option, with busybox's suffixes.
    pub fn number(&self, text: &str) -> Result<u64, Failure> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "" => Some(1),
            "b" => Some(512),
            "k" | "K" => Some(1 << 10),
            "m" | "M" => Some(1 << 20),
            "g" | "G" => Some(1 << 30),
            _ => None,
        };
        let number = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+')).zip(factor);
        let number = number.and_then(|(number, factor): (u64, u64)| number.checked_mul(factor));
        number.ok_or_else(|| Failure::Message(format!("invalid number '{text}'")))
    }
}

/// Whether nobody reads any more.
pub fn is_closed(err: &io::Error) -> bool {
    matches!(err.kind(), ErrorKind::BrokenPipe | ErrorKind::WriteZero)
}

/// WASI's number.
const EIO: i32 = 29;

/// wasi-libc answers EIO to whatever fails with a stream: most often it is this.
fn is_something_full() -> bool {
    let full = |mount: &system::Mount| {
        !mount.read_only && mount.size.as_ref().is_some_and(|size| size.available == 0)
    };
    system::mounts().iter().any(full)
}

/// Why a system call failed, as the C library words it.
pub fn reason(err: &io::Error) -> String {
    let text = match err.kind() {
        _ if err.raw_os_error() == Some(EIO) && is_something_full() => "No space left on device",
        ErrorKind::NotFound => "No such file or directory",
        ErrorKind::PermissionDenied => "Permission denied",
        ErrorKind::AlreadyExists => "File exists",
        ErrorKind::IsADirectory => "Is a directory",
        ErrorKind::NotADirectory => "Not a directory",
        ErrorKind::DirectoryNotEmpty => "Directory not empty",
        ErrorKind::StorageFull => "No space left on device",
        ErrorKind::QuotaExceeded => "Disk quota exceeded",
        ErrorKind::ReadOnlyFilesystem => "Read-only file system",
        ErrorKind::CrossesDevices => "Invalid cross-device link",
        ErrorKind::InvalidInput => "Invalid argument",
        ErrorKind::ResourceBusy => "Device or resource busy",
        ErrorKind::TooManyLinks => "Too many links",
        ErrorKind::ConnectionRefused => "Connection refused",
        ErrorKind::ConnectionReset => "Connection reset by peer",
        ErrorKind::ConnectionAborted => "Software caused connection abort",
        ErrorKind::TimedOut => "Connection timed out",
        ErrorKind::HostUnreachable => "No route to host",
        ErrorKind::NetworkUnreachable => "Network is unreachable",
        ErrorKind::AddrInUse => "Address already in use",
        ErrorKind::AddrNotAvailable => "Cannot assign requested address",
        _ => return err.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
    };
    text.to_owned()
}
