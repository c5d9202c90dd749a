//! The parser on arbitrary text: it ends, and never panics.

use super::Parser;

/// A congruential generator: the same texts each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

const TOKENS: &[&str] = &[
    "a",
    " ",
    "\n",
    ";",
    ";;",
    ";&",
    ";;&",
    "&",
    "&&",
    "|",
    "||",
    "|&",
    "(",
    ")",
    "((",
    "))",
    "{ ",
    "}",
    "<",
    ">",
    ">>",
    "<<E",
    "<<-E\n",
    "\nE\n",
    "<<<",
    ">&",
    "&>",
    "<(",
    "2>",
    "$",
    "$(",
    "$((",
    "${",
    "${#",
    "${!",
    "${x",
    "[",
    "]",
    "[[ ",
    " ]]",
    "=~",
    "==",
    "=",
    "+=",
    "a=(",
    "`",
    "'",
    "\"",
    "\\",
    "$'",
    "if ",
    "then ",
    "fi",
    "for ",
    "in ",
    "do ",
    "done",
    "while ",
    "case ",
    "esac",
    "function ",
    "select ",
    "!",
    "#",
    "*",
    "?",
    "~",
    "/",
    ":",
    "-",
    "@",
    "^",
    ",",
    "..",
    "é",
    "\0",
    "\r\n",
    "1",
    "x",
];

fn parse_all(text: &str) {
    let mut parser = Parser::new(text, 1);
    // Every line takes something of the text, or is the last.
    for _ in 0..=text.len() {
        if !matches!(parser.next_line(), Ok(Some(_))) {
            return;
        }
    }
    panic!("no end: {text:?}");
}

#[test]
fn arbitrary_text_ends_without_a_panic() {
    let mut random = Random(7);
    for _ in 0..50_000 {
        let length = random.below(40);
        let text: String = (0..length).map(|_| TOKENS[random.below(TOKENS.len())]).collect();
        parse_all(&text);
    }
}

#[test]
fn arbitrary_bytes_end_without_a_panic() {
    let mut random = Random(11);
    for _ in 0..20_000 {
        let length = random.below(60);
        let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        parse_all(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for opener in [
        "(",
        "{ ",
        "$(",
        "$((",
        "((",
        "\"$(",
        "${x:-",
        "`",
        "[[ ( ",
        "if ",
        "while ",
        "case x in (",
        "f() ",
        "! ",
        "a=(",
    ] {
        parse_all(&opener.repeat(20_000));
    }
    let error = Parser::new(&"( ".repeat(20_000), 1).next_line().unwrap_err();
    assert_eq!(error.message, "nested too deeply");
}
