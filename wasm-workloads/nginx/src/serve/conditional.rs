//! Conditional requests and ranges. Upstream: `ngx_http_not_modified_filter_module.c`,
//! `ngx_http_range_filter_module.c`.

use crate::date;
use crate::request::Request;

/// What a file's state makes of a request for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Whole,
    /// Bytes from, and how many.
    Part(u64, u64),
    NotModified,
    PreconditionFailed,
    /// 416
    Unsatisfiable,
}

/// A file as its headers tell it.
pub(super) struct Version<'a> {
    pub(super) etag: Option<&'a str>,
    /// Unix time in seconds.
    pub(super) modified: u64,
    pub(super) bytes: u64,
}

pub(super) fn verdict(request: &Request, file: &Version<'_>) -> Verdict {
    let date = |name| request.header(name).map(date::parse_http);
    if date("if-unmodified-since").is_some_and(|time| time.is_none_or(|time| file.modified > time))
    {
        return Verdict::PreconditionFailed;
    }
    if request.header("if-match").is_some_and(|tags| !lists(tags, file.etag, false)) {
        return Verdict::PreconditionFailed;
    }
    let since = date("if-modified-since");
    let none_match = request.header("if-none-match");
    if since.is_some() || none_match.is_some() {
        let unchanged = since.is_none_or(|time| time == Some(file.modified));
        if unchanged && none_match.is_none_or(|tags| lists(tags, file.etag, true)) {
            return Verdict::NotModified;
        }
    }
    match request.header("range").and_then(|range| range.strip_prefix("bytes=")) {
        Some(ranges) if if_range_holds(request, file) => range(ranges, file.bytes),
        _ => Verdict::Whole,
    }
}

/// Whether a list of entity tags has this one.
fn lists(tags: &str, etag: Option<&str>, weak: bool) -> bool {
    if tags.trim() == "*" {
        return true;
    }
    let Some(etag) = etag else { return false };
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == etag || (weak && tag.strip_prefix("W/").is_some_and(|tag| tag == etag)))
}

fn if_range_holds(request: &Request, file: &Version<'_>) -> bool {
    match request.header("if-range") {
        None => true,
        Some(tag) if tag.ends_with('"') => file.etag == Some(tag),
        Some(time) => date::parse_http(time) == Some(file.modified),
    }
}

/// Of several ranges nothing is made: a server may send the whole then (RFC 9110, section 14.2).
fn range(ranges: &str, bytes: u64) -> Verdict {
    let mut all = ranges.split(',').map(|range| one_range(range.trim(), bytes));
    match (all.next(), all.next()) {
        (Some(None), _) | (_, Some(None)) => Verdict::Unsatisfiable,
        (Some(Some((start, end))), None) if start < end => Verdict::Part(start, end - start),
        (Some(Some(_)), None) | (None, _) => Verdict::Unsatisfiable,
        (Some(_), Some(_)) => Verdict::Whole,
    }
}

/// The first byte and the one after the last; empty if it lies after the end, nothing if it is none.
fn one_range(text: &str, bytes: u64) -> Option<(u64, u64)> {
    let (start, end) = text.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (start.is_empty(), end.is_empty()) {
        (true, _) => Some((bytes.saturating_sub(number(end)?), bytes)),
        (false, true) => Some((number(start)?.min(bytes), bytes)),
        (false, false) => {
            let (start, end) = (number(start)?, number(end)?);
            (start <= end).then(|| (start.min(bytes), end.saturating_add(1).min(bytes)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)], expect: Verdict) {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let request = Request { headers: headers.collect(), ..Request::default() };
        let file = Version { etag: Some("\"5-a\""), modified: 784_111_777, bytes: 10 };
        assert_eq!(verdict(&request, &file), expect, "{request:?}");
    }

    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Mon, 07 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sat, 05 Nov 1994 08:49:37 GMT";

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        check(&[], Verdict::Whole);
        check(&[("if-none-match", "\"5-a\"")], Verdict::NotModified);
        check(&[("if-none-match", "\"x\", W/\"5-a\"")], Verdict::NotModified);
        check(&[("if-none-match", "*")], Verdict::NotModified);
        check(&[("if-none-match", "\"x\"")], Verdict::Whole);
        check(&[("if-modified-since", THEN)], Verdict::NotModified);
        // nginx's default is `if_modified_since exact`.
        check(&[("if-modified-since", LATER)], Verdict::Whole);
        check(&[("if-modified-since", THEN), ("if-none-match", "\"x\"")], Verdict::Whole);
    }

    #[test]
    fn preconditions_can_fail() {
        check(&[("if-match", "\"x\"")], Verdict::PreconditionFailed);
        check(&[("if-match", "\"5-a\"")], Verdict::Whole);
        check(&[("if-unmodified-since", BEFORE)], Verdict::PreconditionFailed);
        check(&[("if-unmodified-since", THEN)], Verdict::Whole);
    }

    #[test]
    fn a_part_is_sent() {
        let range = |text, expect| check(&[("range", text)], expect);
        range("bytes=0-3", Verdict::Part(0, 4));
        range("bytes=4-", Verdict::Part(4, 6));
        range("bytes=-3", Verdict::Part(7, 3));
        range("bytes=-30", Verdict::Part(0, 10));
        range("bytes=8-99", Verdict::Part(8, 2));
        range("bytes=10-", Verdict::Unsatisfiable);
        range("bytes=-0", Verdict::Unsatisfiable);
        range("bytes=3-2", Verdict::Unsatisfiable);
        range("bytes=x", Verdict::Unsatisfiable);
        range("bytes=99999999999999999999-", Verdict::Unsatisfiable);
        range("lines=1-2", Verdict::Whole);
        range("bytes=0-1,3-4", Verdict::Whole);
        check(&[("range", "bytes=0-3"), ("if-range", "\"x\"")], Verdict::Whole);
        check(&[("range", "bytes=0-3"), ("if-range", "\"5-a\"")], Verdict::Part(0, 4));
        check(&[("range", "bytes=0-3"), ("if-range", THEN)], Verdict::Part(0, 4));
    }
}
