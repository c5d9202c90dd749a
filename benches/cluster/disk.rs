//! What the disk under the data directory asks for a commit: the floor of every durable write.

use std::io::Write;

use tokio::time::Instant;

use crate::figures::{Samples, Table};

const SYNCS: usize = 300;
/// A small object with the log's frame around it, about.
const BYTES: usize = 500;

pub(crate) async fn run(table: &Table) -> anyhow::Result<()> {
    let mut file = tempfile::tempfile()?;
    let mut samples = Samples::default();
    for _ in 0..SYNCS {
        file.write_all(&[b'x'; BYTES])?;
        let begin = Instant::now();
        file.sync_data()?;
        samples.push(begin.elapsed());
    }
    table.times("500 bytes appended -> on disk (fdatasync)", &samples, "no sampan in it");
    Ok(())
}
