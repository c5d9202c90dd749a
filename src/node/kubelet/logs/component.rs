//! The reading end of a component's log, which is in memory.

use std::io;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cri::{self, Stream};
use super::reader::{Filter, Query};
use crate::telemetry::ComponentLog;

/// The component's log; one that is followed ends at `stop`.
pub(in crate::node::kubelet) fn read(
    log: &ComponentLog,
    query: &Query,
    stop: CancellationToken,
) -> BoxStream<'static, io::Result<Bytes>> {
    let end_rx = log.end();
    let end = *end_rx.borrow();
    let reader = Reader {
        position: query.tail_lines.map_or(0, |lines| end.saturating_sub(lines)),
        log: log.clone(),
        end_rx,
        follow: query.follow,
        filter: Filter::new(query),
    };
    let chunks = stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((Ok(chunk), reader))
    });
    chunks.take_until(stop.cancelled_owned()).boxed()
}

struct Reader {
    log: ComponentLog,
    /// Of the line to be read next.
    position: u64,
    end_rx: watch::Receiver<u64>,
    follow: bool,
    filter: Filter,
}

impl Reader {
    /// The next chunk; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.filter.is_full() {
            // Before the read: what was there by then, the read must find.
            self.end_rx.mark_unchanged();
            let (lines, next) = self.log.lines(self.position);
            self.position = next;
            let mut records = Vec::new();
            for line in &lines {
                let (time, text) = (cri::stamp(line.time), line.text.as_bytes());
                cri::push(&mut records, &time, Stream::Stderr, false, text);
            }
            let chunk = self.filter.take(&mut records);
            if !chunk.is_empty() {
                return Some(chunk.into());
            }
            if !self.follow || self.end_rx.changed().await.is_err() {
                break;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use jiff::Timestamp;

    use super::*;

    /// A log with the lines `INFO 0`, `INFO 1` …, a second apart.
    fn log(lines: i64) -> ComponentLog {
        let log = ComponentLog::default();
        for second in 0..lines {
            log.push(Timestamp::from_second(second).unwrap(), format!("INFO {second}"));
        }
        log
    }

    #[track_caller]
    fn check(query: Query, expect: &str) {
        let chunks = read(&log(3), &query, CancellationToken::new()).collect::<Vec<_>>();
        let chunks = chunks.now_or_never().expect("nothing is waited for");
        let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.unwrap()).collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), expect, "{query:?}");
    }

    #[test]
    fn a_query_cuts_as_it_does_for_containers() {
        check(Query::default(), "INFO 0\nINFO 1\nINFO 2\n");
        check(Query { tail_lines: Some(1), ..Query::default() }, "INFO 2\n");
        check(
            Query { tail_lines: Some(9), limit_bytes: Some(9), ..Query::default() },
            "INFO 0\nIN",
        );
        let since = Timestamp::from_second(2).ok();
        check(
            Query { since, timestamps: true, ..Query::default() },
            "1970-01-01T00:00:02.000000000Z INFO 2\n",
        );
    }

    #[tokio::test]
    async fn a_followed_log_goes_on_until_the_stop() {
        let (log, stop) = (log(1), CancellationToken::new());
        let mut chunks = read(&log, &Query { follow: true, ..Query::default() }, stop.clone());
        let text = |chunk: Option<io::Result<Bytes>>| chunk.map(|chunk| chunk.unwrap());
        assert_eq!(text(chunks.next().await), Some(Bytes::from("INFO 0\n")));
        assert!(chunks.next().now_or_never().is_none());
        log.push(Timestamp::UNIX_EPOCH, "INFO more".to_owned());
        assert_eq!(text(chunks.next().await), Some(Bytes::from("INFO more\n")));
        stop.cancel();
        assert_eq!(text(chunks.next().await), None);
    }
}
