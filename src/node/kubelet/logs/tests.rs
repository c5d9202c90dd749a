use std::path::Path;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::client::clock::Clock;

fn log(directory: &Path) -> (Arc<Log>, Clock) {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    (Arc::new(Log::create(directory, 0, clock.clone()).unwrap()), clock)
}

async fn shown(directory: &Path, run: u32, query: Query) -> String {
    let mut chunks = read(directory, run, None, &query).unwrap();
    let mut text = Vec::new();
    while let Some(chunk) = chunks.next().await {
        text.extend_from_slice(&chunk.unwrap());
    }
    String::from_utf8(text).unwrap()
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn lines_are_records_on_disk_and_lines_again_when_read() {
    let directory = directory();
    let (log, clock) = log(directory.path());
    log.write(Stream::Stdout, b"one\ntw");
    log.write(Stream::Stderr, b"oops\n");
    clock.advance(std::time::Duration::from_millis(1_500));
    log.write(Stream::Stdout, b"o\nend");
    log.close();
    let disk = std::fs::read_to_string(directory.path().join("0-0.log")).unwrap();
    assert_eq!(
        disk,
        "1970-01-01T00:00:00.000000000Z stdout F one\n\
         1970-01-01T00:00:00.000000000Z stderr F oops\n\
         1970-01-01T00:00:01.500000000Z stdout F two\n\
         1970-01-01T00:00:01.500000000Z stdout P end\n"
    );
    assert_eq!(shown(directory.path(), 0, Query::default()).await, "one\noops\ntwo\nend");
    let since = Timestamp::from_second(1).unwrap();
    let query = Query { since: Some(since), timestamps: true, ..Query::default() };
    assert_eq!(
        shown(directory.path(), 0, query).await,
        "1970-01-01T00:00:01.500000000Z two\n1970-01-01T00:00:01.500000000Z end"
    );
}

#[tokio::test]
async fn tail_and_limit_cut() {
    let directory = directory();
    let (log, _) = log(directory.path());
    log.write(Stream::Stdout, b"one\ntwo\nthree\n");
    let tail = |lines| Query { tail_lines: Some(lines), ..Query::default() };
    assert_eq!(shown(directory.path(), 0, tail(0)).await, "");
    assert_eq!(shown(directory.path(), 0, tail(1)).await, "three\n");
    assert_eq!(shown(directory.path(), 0, tail(3)).await, "one\ntwo\nthree\n");
    assert_eq!(shown(directory.path(), 0, tail(9)).await, "one\ntwo\nthree\n");
    let query = Query { limit_bytes: Some(6), ..Query::default() };
    assert_eq!(shown(directory.path(), 0, query).await, "one\ntw");
}

#[tokio::test]
async fn a_log_that_is_not_there_is_empty() {
    let directory = directory();
    assert_eq!(shown(&directory.path().join("none"), 0, Query::default()).await, "");
}

#[tokio::test]
async fn long_lines_are_split_and_joined() {
    let directory = directory();
    let (log, _) = log(directory.path());
    let line = "x".repeat(100_000);
    for piece in line.as_bytes().chunks(7_001) {
        log.write(Stream::Stdout, piece);
    }
    log.write(Stream::Stdout, b"\nnext\n");
    assert_eq!(shown(directory.path(), 0, Query::default()).await, format!("{line}\nnext\n"));
}

#[tokio::test]
async fn parts_are_bounded_and_read_in_order() {
    let directory = directory();
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let log = Log::with_part_size(directory.path(), 0, clock, 400).unwrap();
    for n in 0..100 {
        log.write(Stream::Stdout, format!("line {n}\n").as_bytes());
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 5);
    let text = shown(directory.path(), 0, Query::default()).await;
    let numbers: Vec<u32> =
        text.lines().map(|line| line["line ".len()..].parse().unwrap()).collect();
    assert_eq!(numbers.last(), Some(&99));
    assert!(numbers.len() > 30 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let query = Query { tail_lines: Some(20), ..Query::default() };
    let text = shown(directory.path(), 0, query).await;
    assert_eq!(text.lines().collect::<Vec<_>>()[0], "line 80");
}

#[tokio::test]
async fn followers_see_every_line_across_parts_and_end_with_the_run() {
    let directory = directory();
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let log = Arc::new(Log::with_part_size(directory.path(), 0, clock, 400).unwrap());
    let query = Query { follow: true, ..Query::default() };
    let mut chunks = read(directory.path(), 0, Some(&log), &query).unwrap();
    let mut text = Vec::new();
    for n in 0..100 {
        log.write(Stream::Stdout, format!("line {n}\n").as_bytes());
        text.extend_from_slice(&chunks.next().await.unwrap().unwrap());
    }
    let mut next = Box::pin(chunks.next());
    assert!(next.as_mut().now_or_never().is_none());
    log.close();
    assert!(next.await.is_none());
    assert_eq!(String::from_utf8(text).unwrap().lines().count(), 100);
}

#[tokio::test]
async fn the_last_run_is_kept_and_those_before_are_not() {
    let directory = directory();
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    for run in 0..3 {
        let log = Log::create(directory.path(), run, clock.clone()).unwrap();
        log.write(Stream::Stdout, format!("run {run}\n").as_bytes());
    }
    assert_eq!(shown(directory.path(), 0, Query::default()).await, "");
    assert_eq!(shown(directory.path(), 1, Query::default()).await, "run 1\n");
    assert_eq!(shown(directory.path(), 2, Query::default()).await, "run 2\n");
}
