//! `!!`, `!-2`, `!12`, `!name` and `!$`: earlier lines in a new one, as in bash.

use super::History;

/// The line with what its `!` stand for; nothing if there are none.
///
/// # Errors
/// The event that there is not, as it is written.
pub fn expand(line: &str, history: &History) -> Result<Option<String>, String> {
    let mut expanded = String::new();
    let (mut changed, mut quoted) = (false, false);
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let mut taken = c.len_utf8();
        match c {
            '\\' => taken += after.chars().next().map_or(0, char::len_utf8),
            '\'' if !quoted => taken += after.find('\'').map_or(after.len(), |end| end + 1),
            '"' => quoted = !quoted,
            '!' if is_event(&expanded, after, quoted) => {
                let (text, length) = event(after, history).ok_or_else(|| {
                    let end = after.find(char::is_whitespace).unwrap_or(after.len());
                    format!("!{}", &after[..end])
                })?;
                expanded.push_str(&text);
                rest = &after[length..];
                changed = true;
                continue;
            }
            _ => {}
        }
        expanded.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    Ok(changed.then_some(expanded))
}

/// Not in `! command`, `!=`, `!(`, `$!`, `${!` and `[!`.
fn is_event(before: &str, after: &str, quoted: bool) -> bool {
    let starts = after.chars().next().is_some_and(|c| {
        let plain = c.is_whitespace() || matches!(c, '=' | '(' | ';' | '&' | '|');
        !plain && (c != '"' || !quoted)
    });
    starts && !before.ends_with(['$', '[']) && !before.ends_with("${")
}

/// What stands for an event, and the length of its name.
fn event(name: &str, history: &History) -> Option<(String, usize)> {
    let last = history.back(1);
    if name.starts_with('!') {
        return Some((last?.to_owned(), 1));
    }
    if name.starts_with('$') {
        return Some((last?.split_whitespace().next_back()?.to_owned(), 1));
    }
    let sign = usize::from(name.starts_with('-'));
    let digits = name[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        let number = name[sign..sign + digits].parse().ok()?;
        let entry = if sign == 1 { history.back(number) } else { history.entry(number) };
        return Some((entry?.to_owned(), sign + digits));
    }
    let end = name.find(|c: char| c.is_whitespace() || ":;&|<>()\"'".contains(c));
    let start = &name[..end.unwrap_or(name.len())];
    let lines = history.find(1, |entry| entry.starts_with(start)).filter(|_| !start.is_empty())?;
    Some((history.back(lines)?.to_owned(), start.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_earlier_lines() {
        let mut history = History::default();
        for line in ["ls -l /etc", "echo one", "cat file"] {
            history.push(line);
        }
        let check = |line: &str, expect: Result<Option<&str>, &str>| {
            let expanded = expand(line, &history);
            assert_eq!(expanded.as_ref().map(Option::as_deref).map_err(String::as_str), expect);
        };
        check("!!", Ok(Some("cat file")));
        check("sudo !! now", Ok(Some("sudo cat file now")));
        check("!1 && !-2", Ok(Some("ls -l /etc && echo one")));
        check("!ec;pwd", Ok(Some("echo one;pwd")));
        check("wc !$", Ok(Some("wc file")));
        check("!nothing there", Err("!nothing"));
        check("!99", Err("!99"));
        let plain =
            ["! true", "[ a != b ]", "echo '!!'", "echo \\!x", "echo $!", "ls [!a]*", "hi!"];
        for line in plain.into_iter().chain(["echo \"hi!\""]) {
            check(line, Ok(None));
        }
    }
}
