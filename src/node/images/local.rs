//! `image: file:///abs/app.wasm`: one program of this machine as an image, from directories that
//! the operator allowed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::Error;

/// A program on this machine, as it was when looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// Canonical.
    pub(super) path: PathBuf,
    pub(super) length: u64,
    pub(super) modified: Option<SystemTime>,
}

impl Program {
    /// Finds the file of a reference, if it lies in an allowed directory after all links are
    /// followed. Whether it exists is not told for a path outside of them.
    pub(super) fn find(reference: &str, allowed: &[PathBuf]) -> Result<Self, Error> {
        let asked = path_of(reference)?;
        let path = asked.canonicalize();
        let lies_in = |path: &Path| {
            allowed.iter().any(|dir| dir.canonicalize().is_ok_and(|dir| path.starts_with(dir)))
        };
        let path = match path {
            Ok(path) if lies_in(&path) => path,
            Err(err) if lies_in_by_name(&asked, allowed) => {
                return Err(Error::NotFound(format!("{}: {err}", asked.display())));
            }
            _ => return Err(Error::Failed(not_allowed(&asked))),
        };
        let failed = |err| Error::Failed(format!("{}: {err}", path.display()));
        let metadata = fs::metadata(&path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::Failed(format!("{} is not a file", path.display())));
        }
        Ok(Self { length: metadata.len(), modified: metadata.modified().ok(), path })
    }

    /// `sha256:…` of the content.
    pub(super) fn digest(&self) -> io::Result<String> {
        self.read_into(&mut io::sink())
    }

    /// Copies the content, and answers the digest of what was copied: it may be replaced at any time.
    pub(super) fn read_into(&self, to: &mut impl io::Write) -> io::Result<String> {
        let mut hash = Sha256::new();
        let mut file = File::open(&self.path)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match io::Read::read(&mut file, &mut buffer)? {
                0 => return Ok(super::digest_text(&hash.finalize())),
                n => {
                    hash.update(&buffer[..n]);
                    to.write_all(&buffer[..n])?;
                }
            }
        }
    }

    /// `app.wasm` for `/abs/app.wasm`, and for `/abs/app`.
    pub(super) fn name(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        format!("{stem}.wasm")
    }
}

fn not_allowed(path: &Path) -> String {
    let directory = path.parent().unwrap_or(path);
    format!(
        "{} is not in a directory that images may come from: start sampan with --allow-images {}",
        path.display(),
        directory.display()
    )
}

/// For a file that is not there: whether its name leads into an allowed directory.
fn lies_in_by_name(path: &Path, allowed: &[PathBuf]) -> bool {
    let up = path.components().any(|part| matches!(part, std::path::Component::ParentDir));
    !up && allowed.iter().any(|dir| {
        path.starts_with(dir) || dir.canonicalize().is_ok_and(|dir| path.starts_with(dir))
    })
}

/// The path of a `file:` URL, percent-decoded.
fn path_of(reference: &str) -> Result<PathBuf, Error> {
    let invalid = || {
        Error::InvalidName(format!(
            "couldn't parse image reference {reference:?}: a local image is file:// and an absolute path"
        ))
    };
    let rest = reference.strip_prefix("file://").ok_or_else(invalid)?;
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    let text = percent_decoded(rest).ok_or_else(invalid)?;
    // `file:///C:/app.wasm` names a drive on Windows.
    let drive = cfg!(windows) && text.as_bytes().get(2) == Some(&b':');
    let path = PathBuf::from(if drive { &text[1..] } else { &text[..] });
    if path.is_absolute() { Ok(path) } else { Err(invalid()) }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let hex = str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}
