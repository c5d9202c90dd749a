use super::*;

fn syntax(extended: bool) -> Syntax {
    Syntax { extended, ..Syntax::default() }
}

/// The match and its groups, as text.
fn found(pattern: &str, syntax: Syntax, text: &str) -> Option<Vec<String>> {
    let regexp = Regexp::new(pattern, syntax).unwrap();
    let mut captures = Captures::default();
    let any = regexp.is_match(text.as_bytes()).unwrap();
    assert_eq!(regexp.find_at(text.as_bytes(), 0, &mut captures).unwrap(), any);
    let piece = |group| {
        captures.get(group).map_or_else(|| "-".to_owned(), |(from, to)| text[from..to].to_owned())
    };
    any.then(|| (0..=regexp.groups()).map(piece).collect())
}

fn check(pattern: &str, extended: bool, text: &str, expect: Option<&str>) {
    let found = found(pattern, syntax(extended), text);
    assert_eq!(found.map(|found| found.join(",")).as_deref(), expect, "{pattern} in {text}");
}

#[test]
fn basic_expressions() {
    check("a*b", false, "xaab", Some("aab"));
    check("*a", false, "x*a", Some("*a"));
    check("^*a", false, "*a", Some("*a"));
    check("a+b", false, "aab a+b", Some("a+b"));
    check(r"a\+b", false, "aab", Some("aab"));
    check(r"\(ab\)\{2\}", false, "ababab", Some("abab,ab"));
    check(r"a\|b", false, "xb", Some("b"));
    check("[[:digit:]]*$", false, "ab12", Some("12"));
    check(r"[\.]", false, "a\\", Some("\\"));
    check("[]a]", false, "x]", Some("]"));
    check("[^]a]", false, "]ax", Some("x"));
    check("[a-]", false, "-", Some("-"));
    check(r"a\.c", false, "abc", None);
    check("^$", false, "", Some(""));
    check("(x)", false, "(x)", Some("(x)"));
    check("a^b$c", false, "a^b$c", Some("a^b$c"));
    check(r"\(^a\)", false, "ba", None);
    check(r"a\{2,\}", false, "a aaa", Some("aaa"));
    check("a{2}", false, "a{2}", Some("a{2}"));
}

#[test]
fn extended_expressions() {
    check("(ab)+|c", true, "xabab", Some("abab,ab"));
    check("a{2,3}", true, "aaaa", Some("aaa"));
    check("a{,2}b", true, "aaab", Some("aab"));
    check("a{x", true, "a{x", Some("a{x"));
    check(r"\(", true, "(", Some("("));
    check("a)", true, "a)", Some("a)"));
    check("colou?r", true, "color", Some("color"));
    check("()|x", true, "x", Some("x,-"));
    check("(a|b)*c|(a|ab)*c", true, "abc", Some("abc,b,-"));
    check(r"\bfoo\b|\<x", true, "afoo foo", Some("foo"));
    check(r"\w+\s\W", true, "ab1_ -", Some("ab1_ -"));
    check("(a*)*b", true, "aab", Some("aab,aa"));
    check("(a*)+", true, "b", Some(","));
    check("^a|b$", true, "cb", Some("b"));
}

#[test]
fn the_leftmost_and_longest_wins() {
    check("a|ab|abc", true, "xabcd", Some("abc"));
    check("b|a+", true, "aab", Some("aa"));
    check("(a|ab)(c|bcd)(d*)", true, "abcd", Some("abcd,a,bcd,"));
}

#[test]
fn references_to_groups() {
    check(r"\(.\)\1", false, "abccd", Some("cc,c"));
    check(r"^(.+),\1$", true, "ab,ab", Some("ab,ab,ab"));
    check(r"(a*)\1b", true, "aaaab", Some("aaaab,aa"));
}

#[test]
fn characters_are_those_of_utf8() {
    check("^.$", false, "é", Some("é"));
    check("[à-ü]", false, "xé", Some("é"));
    check("[^a]", false, "aé", Some("é"));
    check("é*x", false, "ééx", Some("ééx"));
    let regexp = Regexp::new("a.b", Syntax::default()).unwrap();
    assert_eq!(regexp.is_match(b"a\xffb"), Ok(true));
}

#[test]
fn case_can_be_ignored() {
    let fold = Syntax { extended: true, fold: true, ..Syntax::default() };
    let check = |pattern, text, expect: Option<&str>| {
        assert_eq!(found(pattern, fold, text).map(|found| found[0].clone()).as_deref(), expect)
    };
    check("aBc", "xAbC", Some("AbC"));
    check("[a-c]+", "xAbC", Some("AbC"));
    check("É", "é", Some("é"));
    check("(a)\\1", "aA", Some("aA"));
}

#[test]
fn searches_go_on_behind_a_match() {
    let regexp = Regexp::new("^a|b", syntax(true)).unwrap();
    let mut captures = Captures::default();
    assert_eq!(regexp.find_at(b"aab", 1, &mut captures), Ok(true));
    assert_eq!(captures.whole(), (2, 3));
}

#[test]
fn faults_are_worded_as_the_c_library_does() {
    let check = |pattern, extended, expect| {
        assert_eq!(Regexp::new(pattern, syntax(extended)).unwrap_err(), expect, "{pattern}")
    };
    check("[", false, "Unmatched [, [^, [:, [., or [=");
    check(r"\(", false, "Unmatched ( or \\(");
    check("(", true, "Unmatched ( or \\(");
    check(r"a\)", false, "Unmatched ) or \\)");
    check("[b-a]", false, "Invalid range end");
    check("[[:x:]]", false, "Invalid character class name");
    check("a\\", false, "Trailing backslash");
    check(r"\1", false, "Invalid back reference");
    check("*a", true, "Invalid preceding regular expression");
    check(r"a\{2", false, "Invalid content of \\{\\}");
    check("(((a{999}){999}){999})", true, "Regular expression too big");
}

#[test]
fn hostile_expressions_end() {
    let regexp = Regexp::new("(x+x+)+y", syntax(true)).unwrap();
    assert_eq!(regexp.is_match(&[b'x'; 5000]), Ok(false));
    let regexp = Regexp::new(r"(x+x+)+\1y", syntax(true)).unwrap();
    assert_eq!(regexp.is_match(&[b'x'; 5000]), Err(TooComplex));
}

#[test]
fn plain_strings() {
    let regexp = Regexp::literals(["a.b", "c*"], true).unwrap();
    assert_eq!(regexp.is_match(b"xC*"), Ok(true));
    assert_eq!(regexp.is_match(b"axb c"), Ok(false));
}
