//! Uses std::fs in the directory of its first argument (`/tmp`): makes, writes, appends, reads,
//! seeks, renames, links, lists and removes; says `ok`, or what went wrong.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};

fn main() {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "/tmp".to_owned());
    match exercise(&directory) {
        Ok(()) => println!("ok"),
        Err(err) => {
            println!("failed: {err}");
            std::process::exit(1);
        }
    }
}

fn exercise(directory: &str) -> io::Result<()> {
    let base = format!("{directory}/files-test");
    let path = |name: &str| format!("{base}/{name}");
    at("create_dir_all", fs::create_dir_all(path("a/b")))?;
    at("write", fs::write(path("one"), "hello"))?;
    let mut file = at("open to append", OpenOptions::new().append(true).open(path("one")))?;
    at("append", file.write_all(b" world"))?;
    expect("content", &at("read", fs::read_to_string(path("one")))?, "hello world")?;

    let mut file = at("open", File::options().read(true).write(true).open(path("one")))?;
    at("seek", file.seek(SeekFrom::Start(6)))?;
    at("write after a seek", file.write_all(b"there"))?;
    at("seek from the end", file.seek(SeekFrom::End(-5)))?;
    let mut text = String::new();
    at("read after a seek", file.read_to_string(&mut text))?;
    expect("after a seek", &text, "there")?;
    at("set_len", file.set_len(5))?;
    expect("length", &at("metadata", file.metadata())?.len().to_string(), "5")?;

    at("rename", fs::rename(path("one"), path("a/two")))?;
    at("copy", fs::copy(path("a/two"), path("three")))?;
    let mut names = Vec::new();
    for entry in at("read_dir", fs::read_dir(&base))? {
        names.push(at("entry", entry)?.file_name());
    }
    names.sort();
    expect("names", &format!("{names:?}"), "[\"a\", \"three\"]")?;
    let missing = File::open(path("no")).map_err(|err| err.kind()).err();
    expect("a missing file", &format!("{missing:?}"), "Some(NotFound)")?;
    at("remove_dir_all", fs::remove_dir_all(&base))?;
    expect("removed", &at("exists", fs::exists(&base))?.to_string(), "false")
}

/// Says which step failed.
fn at<T>(what: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|err| io::Error::other(format!("{what}: {err}")))
}

fn expect(what: &str, got: &str, wanted: &str) -> io::Result<()> {
    if got == wanted {
        Ok(())
    } else {
        Err(io::Error::other(format!("{what}: {got:?} instead of {wanted:?}")))
    }
}
