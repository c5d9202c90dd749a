//! How fast files are: `file-bench DIRECTORY` prints nanoseconds per call for `a/b/index.html`
//! (made if it is not there), and MiB per second of a large file in pieces of 64 KiB.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::time::Instant;

const CALLS: u32 = 20_000;
const PIECE_BYTES: usize = 64 << 10;
const FILE_BYTES: usize = 64 << 20;

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let path = format!("{directory}/a/b/index.html");
    if fs::metadata(&path).is_err() {
        fs::create_dir_all(format!("{directory}/a/b"))?;
        fs::write(&path, vec![b'x'; 1000])?;
    }
    let mut buffer = vec![b'x'; PIECE_BYTES];
    each("stat", || fs::metadata(&path).map(drop))?;
    each("miss", || {
        let gone = fs::metadata(format!("{directory}/a/b/index.htm"));
        if gone.is_err() { Ok(()) } else { Err(io::ErrorKind::AlreadyExists.into()) }
    })?;
    each("open", || File::open(&path).map(drop))?;
    each("open_read", || File::open(&path)?.read(&mut buffer).map(drop))?;

    let large = format!("{directory}/large");
    let mut file = File::create(&large)?;
    speed("write", || (0..FILE_BYTES / PIECE_BYTES).try_for_each(|_| file.write_all(&buffer)))?;
    let mut file = File::open(&large)?;
    speed("read", || (0..FILE_BYTES / PIECE_BYTES).try_for_each(|_| file.read_exact(&mut buffer)))?;
    fs::remove_file(&large)
}

fn each(name: &str, mut call: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let began = Instant::now();
    for _ in 0..CALLS {
        call()?;
    }
    println!("{name} {}", began.elapsed().as_nanos() / u128::from(CALLS));
    Ok(())
}

fn speed(name: &str, mut all: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let began = Instant::now();
    all()?;
    println!("{name} {:.0}", (FILE_BYTES >> 20) as f64 / began.elapsed().as_secs_f64());
    Ok(())
}
