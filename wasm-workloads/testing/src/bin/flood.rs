//! Writes lines of 80 bytes: as many as its first argument says, or for ever.

use std::io::{self, BufWriter, Write};

fn main() -> io::Result<()> {
    let most = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    let mut out = BufWriter::new(io::stdout().lock());
    for n in 0..most {
        writeln!(out, "{n:079}")?;
    }
    out.flush()
}
