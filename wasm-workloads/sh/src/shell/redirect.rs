//! Redirections: what the descriptors of a command lead to.

use sampan_process::{self as process, Error, Handle, OpenMode};

use super::{Shell, Stream, Unwind};
use crate::syntax::{Redirect, RedirectKind, Word};

/// Descriptors as they were, latest first.
pub type Saved = Vec<(u32, Option<Stream>)>;

/// Highest descriptor a script may use, as in busybox.
const DESCRIPTOR_MAX: u32 = 255;

/// A longer here-document goes through a file: a pipe holds 64 KiB, and its writer is this shell.
const PIPE_BYTES: usize = 60 << 10;

impl Shell {
    /// Makes a command's redirections. The inner error has been reported and undone.
    pub(super) fn redirect(&mut self, redirects: &[Redirect]) -> Result<Result<Saved, ()>, Unwind> {
        let mut saved = Saved::new();
        for redirect in redirects {
            match self.target(redirect) {
                Ok(Ok(stream)) => {
                    if let Some(moved) = self.moved.take() {
                        self.set_stream(moved, None, &mut saved);
                    }
                    self.set_stream(redirect.fd, stream.clone(), &mut saved);
                    if matches!(redirect.kind, RedirectKind::Both { .. }) {
                        self.set_stream(2, stream, &mut saved);
                    }
                }
                Ok(Err(message)) => {
                    self.complain(&message);
                    self.restore(saved);
                    return Ok(Err(()));
                }
                Err(unwind) => {
                    self.restore(saved);
                    return Err(unwind);
                }
            }
        }
        Ok(Ok(saved))
    }

    pub(super) fn set_stream(&mut self, fd: u32, stream: Option<Stream>, saved: &mut Saved) {
        let before = match stream {
            Some(stream) => self.streams.insert(fd, stream),
            None => self.streams.remove(&fd),
        };
        saved.push((fd, before));
    }

    pub(super) fn restore(&mut self, saved: Saved) {
        for (fd, stream) in saved.into_iter().rev() {
            match stream {
                Some(stream) => self.streams.insert(fd, stream),
                None => self.streams.remove(&fd),
            };
        }
    }

    /// Where a redirection leads; `None` closes. The inner error is busybox's message.
    fn target(&mut self, redirect: &Redirect) -> Result<Result<Option<Stream>, String>, Unwind> {
        if redirect.fd > DESCRIPTOR_MAX {
            return Ok(Err(format!("{}: Bad file descriptor", redirect.fd)));
        }
        let open = |shell: &mut Self, word: &Word, mode| {
            let name = shell.expand_text(word)?;
            Ok(shell.open(&name, mode).map(|handle| Some(Stream::Handle(handle))))
        };
        match &redirect.kind {
            RedirectKind::Read(word) => open(self, word, OpenMode::Read),
            RedirectKind::Write(word) if self.options.has('C') => {
                open(self, word, OpenMode::WriteNew)
            }
            RedirectKind::Write(word)
            | RedirectKind::Clobber(word)
            | RedirectKind::Both { word, append: false } => open(self, word, OpenMode::Write),
            RedirectKind::Append(word) | RedirectKind::Both { word, append: true } => {
                open(self, word, OpenMode::Append)
            }
            RedirectKind::ReadWrite(word) => open(self, word, OpenMode::ReadWrite),
            RedirectKind::Duplicate(word) => {
                let name = self.expand_text(word)?;
                Ok(self.duplicate(&name))
            }
            RedirectKind::HereDocument(document) => {
                let text = match document.text.get() {
                    Some(word) => self.expand_text(word)?,
                    None => String::new(),
                };
                Ok(self.readable(&text).map(|handle| Some(Stream::Handle(handle))))
            }
            RedirectKind::HereString(word) => {
                let text = self.expand_text(word)? + "\n";
                Ok(self.readable(&text).map(|handle| Some(Stream::Handle(handle))))
            }
        }
    }

    fn duplicate(&mut self, name: &str) -> Result<Option<Stream>, String> {
        if name == "-" {
            return Ok(None);
        }
        // `3-` moves: the other one is closed.
        let number = name.strip_suffix('-');
        let fd: u32 =
            number.unwrap_or(name).parse().map_err(|_| "syntax error: bad fd number".to_owned())?;
        let stream = self.streams.get(&fd).cloned();
        self.moved = number.map(|_| fd).filter(|_| stream.is_some());
        stream.map(Some).ok_or_else(|| format!("{fd}: Bad file descriptor"))
    }

    /// Opens a file by its name in a script; the error is busybox's message.
    fn open(&self, name: &str, mode: OpenMode) -> Result<Handle, String> {
        let standard = match name {
            "/dev/null" => return Ok(process::null()),
            "/dev/stdin" | "/dev/fd/0" => Some(0),
            "/dev/stdout" | "/dev/fd/1" => Some(1),
            "/dev/stderr" | "/dev/fd/2" => Some(2),
            _ => None,
        };
        if let Some(Stream::Handle(handle)) = standard.and_then(|fd| self.streams.get(&fd)) {
            return Ok(handle.clone());
        }
        process::open(&self.absolute(name), mode).map_err(|err| {
            let reads = matches!(mode, OpenMode::Read);
            let why = match err {
                Error::NotFound if reads => "no such file".to_owned(),
                Error::NotFound => "nonexistent directory".to_owned(),
                err => err.to_string(),
            };
            let what = if reads { "open" } else { "create" };
            format!("can't {what} {name}: {why}")
        })
    }

    /// Something that reads as `text`.
    fn readable(&self, text: &str) -> Result<Handle, String> {
        if text.len() > PIPE_BYTES {
            return readable_file(text).map_err(|err| format!("can't keep a here-document: {err}"));
        }
        let (read, write) = process::pipe().map_err(|err| format!("pipe: {err}"))?;
        write.write(text.as_bytes()).map_err(|err| format!("pipe: {err}"))?;
        Ok(read)
    }

    /// What a program is given beyond the three.
    pub(super) fn other_handles(&self) -> Vec<(u32, Handle)> {
        let others = self.streams.iter().filter(|(fd, _)| **fd > 2);
        others
            .filter_map(|(fd, stream)| match stream {
                Stream::Handle(handle) => Some((*fd, handle.clone())),
                Stream::Capture(_) => None,
            })
            .collect()
    }

    /// What a program is given as descriptor `fd`.
    pub(super) fn handle(&self, fd: u32) -> Handle {
        match self.streams.get(&fd) {
            Some(Stream::Handle(handle)) => handle.clone(),
            // Only builtins that start nothing run with captured output.
            Some(Stream::Capture(_)) | None => process::null(),
        }
    }
}

/// A file of its own, whose name is gone before anyone reads it.
fn readable_file(text: &str) -> Result<Handle, Error> {
    let path = temporary_path();
    process::open(&path, OpenMode::WriteNew)?.write(text.as_bytes())?;
    let handle = process::open(&path, OpenMode::Read);
    let _ = std::fs::remove_file(&path);
    handle
}

/// A name in /tmp that no other process of the container has.
pub(super) fn temporary_path() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("/tmp/.sh-{}-{n}", process::pid())
}
