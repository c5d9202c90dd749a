//! What was asked and what came of it.

use std::fmt::Debug;

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

pub(crate) type Result<T> = std::result::Result<T, ErrorCode>;

pub(crate) const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
pub(crate) const READ: DescriptorFlags = DescriptorFlags::READ;
pub(crate) const WRITE: DescriptorFlags = DescriptorFlags::WRITE;

#[derive(Default)]
pub(crate) struct Answers {
    count: usize,
    wrong: Vec<String>,
}

impl Answers {
    pub(crate) fn is<T: PartialEq + Debug>(&mut self, what: &str, got: T, wanted: T) {
        self.count += 1;
        if got != wanted {
            self.wrong.push(format!("{what}: {got:?} instead of {wanted:?}"));
        }
    }

    pub(crate) fn refused<T>(&mut self, what: &str, got: Result<T>, wanted: ErrorCode) {
        self.is(what, got.err().map(|error| error.name()), Some(wanted.name()));
    }

    pub(crate) fn done<T>(&mut self, what: &str, got: Result<T>) -> Option<T> {
        self.is(what, got.as_ref().err().map(|error| error.name()), None);
        got.ok()
    }

    pub(crate) fn tell(self) {
        self.wrong.iter().for_each(|wrong| println!("{wrong}"));
        println!("{} answers, {} wrong", self.count, self.wrong.len());
        if !self.wrong.is_empty() {
            std::process::exit(1);
        }
    }
}

/// For open-at: as what it is.
pub(crate) fn none() -> OpenFlags {
    OpenFlags::empty()
}

/// A symlink as the last name stands for itself.
pub(crate) fn as_is() -> PathFlags {
    PathFlags::empty()
}

/// The preopened `/`.
pub(crate) fn root() -> Descriptor {
    let directories = get_directories().into_iter();
    let mut roots = directories.filter(|(_, name)| name == "/").map(|(descriptor, _)| descriptor);
    roots.next().expect("there is a root")
}

pub(crate) fn open(path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor> {
    root().open_at(FOLLOW, path, how, flags)
}

/// A new file with this in it, open for both.
pub(crate) fn file(path: &str, text: &[u8]) -> Descriptor {
    let made = open(path, OpenFlags::CREATE | OpenFlags::TRUNCATE, READ | WRITE);
    let made = made.unwrap_or_else(|error| panic!("{path}: {error:?}"));
    made.write(text, 0).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    made
}

/// A new directory.
pub(crate) fn directory(path: &str) -> Descriptor {
    let made =
        root().create_directory_at(path).and_then(|()| open(path, OpenFlags::DIRECTORY, READ));
    made.unwrap_or_else(|error| panic!("{path}: {error:?}"))
}

pub(crate) fn text(path: &str) -> String {
    let read = open(path, none(), READ).and_then(|file| file.read(4096, 0));
    read.map_or_else(
        |error| error.name().to_owned(),
        |(bytes, _)| String::from_utf8_lossy(&bytes).into(),
    )
}

/// The names in a directory, sorted.
pub(crate) fn names(path: &str) -> Vec<String> {
    let Ok(listing) = open(path, OpenFlags::DIRECTORY, READ).and_then(|it| it.read_directory())
    else {
        return Vec::new();
    };
    let mut names = Vec::new();
    while let Ok(Some(entry)) = listing.read_directory_entry() {
        names.push(entry.name);
    }
    names.sort();
    names
}
