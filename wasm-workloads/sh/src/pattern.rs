//! Patterns of `case`, `${x#…}` and file names: `*`, `?`, `[…]`.

/// A character, and whether it was quoted: a quoted one stands for itself.
pub type Char = (char, bool);

/// Whether anything in it is a pattern at all. A bracket without an end is none: the command `[`
/// would have its directory read for each test.
pub fn is_pattern(text: &[Char]) -> bool {
    let is_pattern = |(at, (c, quoted)): (usize, &Char)| match c {
        _ if *quoted => false,
        '*' | '?' => true,
        '[' => text[at..].contains(&(']', false)),
        _ => false,
    };
    text.iter().enumerate().any(is_pattern)
}

/// Whether the pattern matches the whole of `text`.
pub fn matches(pattern: &[Char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not match: one character further.
    let mut star = None;
    loop {
        let step = match pattern.get(p) {
            Some(('*', false)) => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            None => (t == text.len()).then_some((p, t)),
            Some(_) => text.get(t).and_then(|c| one(&pattern[p..], *c)).map(|n| (p + n, t + 1)),
        };
        match (step, star) {
            (Some(_), _) if p == pattern.len() => return true,
            (Some((next_p, next_t)), _) => (p, t) = (next_p, next_t),
            (None, Some((at, from))) if from < text.len() => {
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How long the part of the pattern is that matches `c`; `None` if it does not.
fn one(pattern: &[Char], c: char) -> Option<usize> {
    match pattern[0] {
        ('?', false) => Some(1),
        ('[', false) => match bracket(pattern, c) {
            Some((true, length)) => Some(length),
            Some((false, _)) => None,
            // Without its end a bracket is a character.
            None => (c == '[').then_some(1),
        },
        (literal, _) => (literal == c).then_some(1),
    }
}

/// Whether `[…]` contains `c`, and its length.
fn bracket(pattern: &[Char], c: char) -> Option<(bool, usize)> {
    let mut at = 1;
    let negated = matches!(pattern.get(at), Some(('!' | '^', false)));
    at += usize::from(negated);
    let (first, mut found) = (at, false);
    loop {
        let (low, quoted) = *pattern.get(at)?;
        if low == ']' && !quoted && at > first {
            return Some((found != negated, at + 1));
        }
        if low == '[' && !quoted && matches!(pattern.get(at + 1), Some((':', false))) {
            let name: String =
                pattern[at + 2..].iter().map(|(c, _)| *c).take_while(|c| *c != ':').collect();
            let end = at + 2 + name.chars().count();
            if matches!(pattern.get(end + 1), Some((']', _))) {
                found |= in_class(&name, c);
                at = end + 2;
                continue;
            }
        }
        let range = match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(('-', false)), Some((high, _))) if *high != ']' => Some(*high),
            _ => None,
        };
        found |= (low..=range.unwrap_or(low)).contains(&c);
        at += if range.is_some() { 3 } else { 1 };
    }
}

fn in_class(name: &str, c: char) -> bool {
    match name {
        "alpha" => c.is_alphabetic(),
        "digit" => c.is_ascii_digit(),
        "alnum" => c.is_alphanumeric(),
        "upper" => c.is_uppercase(),
        "lower" => c.is_lowercase(),
        "space" => c.is_whitespace(),
        "blank" => c == ' ' || c == '\t',
        "punct" => c.is_ascii_punctuation(),
        "xdigit" => c.is_ascii_hexdigit(),
        "cntrl" => c.is_control(),
        "print" => !c.is_control(),
        "graph" => !c.is_control() && !c.is_whitespace(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backslash quotes the character after it.
    fn check(pattern: &str, text: &str, expect: bool) {
        let mut chars = pattern.chars();
        let mut compiled = Vec::new();
        while let Some(c) = chars.next() {
            compiled.push(if c == '\\' { (chars.next().unwrap(), true) } else { (c, false) });
        }
        let text: Vec<char> = text.chars().collect();
        assert_eq!(matches(&compiled, &text), expect, "{pattern:?} {text:?}");
    }

    #[test]
    fn stars_and_marks() {
        check("", "", true);
        check("*", "", true);
        check("*", "abc", true);
        check("a*c", "abbc", true);
        check("a*c", "abbd", false);
        check("a*b*c", "aXbXbXc", true);
        check("?", "", false);
        check("??", "äb", true);
        check("a", "ab", false);
        check("\\*", "*", true);
        check("\\*", "x", false);
    }

    #[test]
    fn brackets() {
        check("[abc]", "b", true);
        check("[!abc]", "b", false);
        check("[^a]x", "bx", true);
        check("[a-c]*", "cat", true);
        check("[]a]", "]", true);
        check("[a-]", "-", true);
        check("[[:digit:]]", "7", true);
        check("[[:alpha:]_]", "_", true);
        check("[", "[", true);
        check("[a", "[a", true);
    }

    #[test]
    fn an_open_bracket_alone_is_no_pattern() {
        let check = |text: &str, expect: bool| {
            let text: Vec<Char> = text.chars().map(|c| (c, false)).collect();
            assert_eq!(is_pattern(&text), expect, "{text:?}");
        };
        check("[", false);
        check("a]b[", false);
        check("[a]", true);
        check("a?", true);
        check("plain", false);
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        check(&"a*".repeat(50), &"a".repeat(2000), true);
        check(&format!("{}b", "a*".repeat(50)), &"a".repeat(2000), false);
    }
}
