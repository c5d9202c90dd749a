//! The reading end of a run's log.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::watch;

use super::cri;
use super::files;
use super::writer::{Log, Progress};

/// Read at a time. Bound of a reader's memory together with one record.
const CHUNK: usize = 64 << 10;

/// Which part of a log, and how.
#[derive(Debug, Clone, Default)]
pub(in crate::node::kubelet) struct Query {
    pub(in crate::node::kubelet) follow: bool,
    pub(in crate::node::kubelet) since: Option<Timestamp>,
    pub(in crate::node::kubelet) timestamps: bool,
    pub(in crate::node::kubelet) tail_lines: Option<u64>,
    pub(in crate::node::kubelet) limit_bytes: Option<u64>,
}

/// The log of `run` in `directory`; `live` is its writer while the run lasts, without which nothing
/// can be followed.
///
/// # Errors
/// If the directory cannot be read. A log that is not there is an empty one.
pub(in crate::node::kubelet) fn read(
    directory: &Path,
    run: u32,
    live: Option<&Arc<Log>>,
    query: &Query,
) -> io::Result<BoxStream<'static, io::Result<Bytes>>> {
    let parts = files::list(directory)?.into_iter().filter(|(of, _)| *of == run);
    let parts: Vec<u32> = parts.map(|(_, part)| part).collect();
    let start = match query.tail_lines {
        Some(lines) => tail(directory, run, &parts, lines)?,
        None => (parts.first().copied().unwrap_or(0), 0),
    };
    let reader = Reader {
        directory: directory.to_owned(),
        run,
        part: start.0,
        offset: start.1,
        file: None,
        progress_rx: live.map(|log| log.progress()),
        follow: query.follow,
        begun: Vec::new(),
        filter: Filter::new(query),
    };
    let chunks = stream::unfold(reader, |mut reader| async move {
        reader.next().await.transpose().map(|chunk| (chunk, reader))
    });
    Ok(chunks.boxed())
}

struct Reader {
    directory: PathBuf,
    run: u32,
    part: u32,
    /// Where to begin in the part that is opened next.
    offset: u64,
    file: Option<File>,
    progress_rx: Option<watch::Receiver<Progress>>,
    follow: bool,
    /// A record read only in part.
    begun: Vec<u8>,
    filter: Filter,
}

impl Reader {
    /// The next chunk; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.filter.is_full() {
            // Before the read: what the writer had done by then, the read must find.
            let progress = self.progress_rx.as_mut().map(|rx| *rx.borrow_and_update());
            if self.read().await? > 0 {
                let chunk = self.filter.take(&mut self.begun);
                if chunk.is_empty() {
                    continue;
                }
                return Ok(Some(chunk.into()));
            }
            if !self.go_on(progress).await {
                break;
            }
        }
        Ok(None)
    }

    /// Appends to `begun`; zero at the end of the part, or if it has been deleted meanwhile.
    async fn read(&mut self) -> io::Result<usize> {
        if self.file.is_none() {
            match File::open(files::path(&self.directory, self.run, self.part)).await {
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(self.offset)).await?;
                    self.offset = 0;
                    self.file = Some(file);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            }
        }
        let Some(file) = &mut self.file else { return Ok(0) };
        self.begun.reserve(CHUNK);
        file.read_buf(&mut self.begun).await
    }

    /// At a part's end: whether there is more, after waiting for it if need be.
    async fn go_on(&mut self, progress: Option<Progress>) -> bool {
        let last = match progress {
            Some(progress) => progress.part,
            None => self.last_part_on_disk(),
        };
        if self.part < last {
            self.part += 1;
            self.file = None;
            return true;
        }
        match (&mut self.progress_rx, progress) {
            (Some(progress_rx), Some(progress)) if self.follow && !progress.closed => {
                // Gone is as good as closed: the next look finds out.
                let _ = progress_rx.changed().await;
                true
            }
            _ => false,
        }
    }

    fn last_part_on_disk(&self) -> u32 {
        let parts = files::list(&self.directory).unwrap_or_default().into_iter();
        parts.filter(|(run, _)| *run == self.run).map(|(_, part)| part).max().unwrap_or(0)
    }
}

/// What is left of records for the reader to see.
pub(super) struct Filter {
    since: Option<String>,
    timestamps: bool,
    bytes_left: u64,
    at_line_start: bool,
}

impl Filter {
    pub(super) fn new(query: &Query) -> Self {
        Self {
            since: query.since.map(cri::stamp),
            timestamps: query.timestamps,
            bytes_left: query.limit_bytes.unwrap_or(u64::MAX),
            at_line_start: true,
        }
    }

    /// Nothing more is to be shown.
    pub(super) fn is_full(&self) -> bool {
        self.bytes_left == 0
    }

    /// Takes the complete records off `begun`.
    pub(super) fn take(&mut self, begun: &mut Vec<u8>) -> Vec<u8> {
        let mut shown = Vec::new();
        let mut taken = 0;
        while let Some(end) = begun[taken..].iter().position(|byte| *byte == b'\n') {
            if let Some(record) = cri::parse(&begun[taken..taken + end]) {
                self.show(&record, &mut shown);
            }
            taken += end + 1;
        }
        begun.drain(..taken);
        let fits = usize::try_from(self.bytes_left).unwrap_or(usize::MAX).min(shown.len());
        shown.truncate(fits);
        self.bytes_left -= fits as u64;
        shown
    }

    fn show(&mut self, record: &cri::Record<'_>, shown: &mut Vec<u8>) {
        if self.since.as_deref().is_some_and(|since| record.time < since) {
            return;
        }
        if self.timestamps && self.at_line_start {
            shown.extend_from_slice(record.time.as_bytes());
            shown.push(b' ');
        }
        shown.extend_from_slice(record.content);
        if !record.partial {
            shown.push(b'\n');
        }
        self.at_line_start = !record.partial;
    }
}

/// The last lines of the newest part, at most `bytes_max` of them.
pub(super) fn last_lines(
    directory: &Path,
    run: u32,
    lines_max: u64,
    bytes_max: usize,
) -> io::Result<Option<String>> {
    let parts = files::list(directory)?.into_iter().filter(|(of, _)| *of == run);
    let Some((_, part)) = parts.max() else { return Ok(None) };
    let mut file = std::fs::File::open(files::path(directory, run, part))?;
    let start = tail_of(&mut file, lines_max)?.unwrap_or(0);
    file.seek(SeekFrom::Start(start))?;
    // Bound: lines of 16 KiB at most, as the writer splits them.
    let mut records = Vec::new();
    file.read_to_end(&mut records)?;
    let mut filter = Filter::new(&Query::default());
    let shown = filter.take(&mut records);
    let cut = shown.len().saturating_sub(bytes_max);
    let text = String::from_utf8_lossy(&shown[cut..]).into_owned();
    Ok((!text.is_empty()).then_some(text))
}

/// Where the last `lines` records begin: part and offset.
fn tail(directory: &Path, run: u32, parts: &[u32], lines: u64) -> io::Result<(u32, u64)> {
    let mut missing = lines;
    for part in parts.iter().rev() {
        let mut file = match std::fs::File::open(files::path(directory, run, *part)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        match tail_of(&mut file, missing)? {
            Ok(offset) => return Ok((*part, offset)),
            Err(found) => missing -= found,
        }
    }
    Ok((parts.first().copied().unwrap_or(0), 0))
}

/// Where the last `lines` lines of the file begin, or how many there are if there are fewer.
fn tail_of(file: &mut std::fs::File, lines: u64) -> io::Result<Result<u64, u64>> {
    let mut end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(Ok(end));
    }
    let size = end;
    let mut found = 0;
    let mut block = vec![0; CHUNK];
    while end > 0 {
        let length = end.min(CHUNK as u64);
        let start = end - length;
        let block = &mut block[..usize::try_from(length).expect("at most CHUNK")];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        for (at, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let line_start = start + at as u64 + 1;
            // The newline at the very end ends the last line; each other one begins a line.
            if line_start < size {
                found += 1;
                if found == lines {
                    return Ok(Ok(line_start));
                }
            }
        }
        end = start;
    }
    let first_line = u64::from(size > 0);
    if found + first_line == lines { Ok(Ok(0)) } else { Ok(Err(found + first_line)) }
}
