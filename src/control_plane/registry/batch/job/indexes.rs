//! Sets of indexes as text: `1,3-5,7`.
//!
//! Upstream: `validateIndexesFormat`, `validateFailedIndexesNotOverlapCompleted` in
//! `pkg/apis/batch/validation/validation.go`.

/// How many indexes the text names; all are below `completions`.
///
/// # Errors
/// Upstream's complaint about the first slip.
pub(super) fn count(text: &str, completions: i32) -> Result<i32, String> {
    let mut last = None;
    let mut total = 0;
    for interval in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = parse_interval(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

fn parse_interval(interval: &str, completions: i32) -> Result<(i32, i32), String> {
    let parts: Vec<&str> = interval.split('-').collect();
    if parts.len() > 2 {
        return Err(format!(
            "the fragment {interval:?} violates the requirement that an index interval can have at \
             most two parts separated by '-'"
        ));
    }
    let parse = |text: &str| match text.parse::<i64>() {
        Err(_) => Err(format!("cannot convert string to integer for index: {text:?}")),
        Ok(index) if index >= i64::from(completions) => Err(format!("too large index: {text:?}")),
        Ok(index) => i32::try_from(index).map_err(|_| format!("too large index: {text:?}")),
    };
    let first = parse(parts[0])?;
    let Some(end) = parts.get(1) else { return Ok((first, first)) };
    let end = parse(end)?;
    if first >= end {
        return Err(format!("non-increasing order, previous: {first}, current: {end}"));
    }
    Ok((first, end))
}

/// Upstream's complaint if the two sets share an index. Intervals that cannot be read are passed over:
/// they are faults of their own.
pub(super) fn overlap(completed: &str, failed: &str, completions: i32) -> Option<String> {
    let parse = |text: &str| -> Vec<(i32, i32)> {
        text.split(',').filter_map(|part| parse_interval(part, completions).ok()).collect()
    };
    let (completed, failed) = (parse(completed), parse(failed));
    let (mut at, mut against) = (0, 0);
    while let (Some(one), Some(other)) = (completed.get(at), failed.get(against)) {
        if one.0 <= other.1 && other.0 <= one.1 {
            let index = one.0.max(other.0);
            return Some(format!("failedIndexes and completedIndexes overlap at index: {index}"));
        }
        if one.0 <= other.0 { at += 1 } else { against += 1 }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<i32, &str>) {
        assert_eq!(count(text, 10), expect.map_err(str::to_owned));
    }

    #[test]
    fn sets_are_counted_and_slips_are_named() {
        check("", Ok(0));
        check("0", Ok(1));
        check("0-3,5,7-9", Ok(8));
        check("10", Err("too large index: \"10\""));
        check("1-10", Err("too large index: \"10\""));
        check("a", Err("cannot convert string to integer for index: \"a\""));
        check("1,", Err("cannot convert string to integer for index: \"\""));
        check("3,3", Err("non-increasing order, previous: 3, current: 3"));
        check("4-2", Err("non-increasing order, previous: 4, current: 2"));
        check(
            "1-2-3",
            Err("the fragment \"1-2-3\" violates the requirement that an index interval can have \
                 at most two parts separated by '-'"),
        );
    }

    #[test]
    fn no_index_both_fails_and_succeeds() {
        assert_eq!(overlap("0-3,5", "4,6-8", 10), None);
        let text = "failedIndexes and completedIndexes overlap at index: 3";
        assert_eq!(overlap("0-3,5", "3-4", 10).as_deref(), Some(text));
        assert_eq!(overlap("", "3-4", 10), None);
    }
}
