use super::*;

/// Runs a script over a text as `sed -n` (if it begins with `#n`) or `sed` does.
fn edited(text: &str, input: &str, extended: bool) -> Result<String, String> {
    let call = Call::new("sed", vec!["sed".to_owned()]);
    let syntax = sampan_regexp::Syntax { extended, ..sampan_regexp::Syntax::default() };
    let script = parse::parse(text, syntax)?;
    let manner = Manner { quiet: text.starts_with("#n\n"), end: b'\n' };
    let mut lines = Lines::of_text(&call, input);
    let mut out = Output::new(Target::Memory(Vec::new()));
    let mut targets = Vec::new();
    let run = Run::new(&call, &script, manner).all(&mut lines, &mut out, &mut targets);
    run.map_err(|failure| format!("{failure:?}"))?;
    Ok(String::from_utf8(out.into_bytes()).unwrap())
}

fn check(script: &str, input: &str, expect: &str) {
    assert_eq!(edited(script, input, false).as_deref(), Ok(expect), "{script}");
}

const FIVE: &str = "1\n2\n3\n4\n5\n";

#[test]
fn addresses_choose_lines() {
    check("#n\n2p", FIVE, "2\n");
    check("#n\n$p", FIVE, "5\n");
    check("#n\n2,4p", FIVE, "2\n3\n4\n");
    check("#n\n2,4!p", FIVE, "1\n5\n");
    check("#n\n/2/,/4/p", FIVE, "2\n3\n4\n");
    check("#n\n2,1p", FIVE, "2\n");
    check("#n\n2,+1p", FIVE, "2\n3\n");
    check("#n\n1~2p", FIVE, "1\n3\n5\n");
    check("#n\n2,~4p", FIVE, "2\n3\n4\n");
    check("#n\n0,/1/p", FIVE, "1\n");
    check("#n\n1,/1/p", "1\n1\n1\n", "1\n1\n");
    check("#n\n\\,3,p", FIVE, "3\n");
    check("#n\n/A/Ip", "a\n", "a\n");
    check("2,3d;4q", FIVE, "1\n4\n");
}

#[test]
fn substitutions() {
    check("s/a/b/", "aa\n", "ba\n");
    check("s/a/b/g", "aa\n", "bb\n");
    check("s/a/b/2", "aaa\n", "aba\n");
    check("s/a/b/2g", "aaa\n", "abb\n");
    check("s/x*/-/g", "abc\n", "-a-b-c-\n");
    check("s/b*/-/g", "abc\n", "-a-c-\n");
    check("s/b*/-/2", "abc\n", "a-c\n");
    check(r"s/\(a\)\(b\)/\2\1&/", "ab\n", "baab\n");
    check(r"s/\(.\)\1/<&>/g", "aabccd\n", "<aa>b<cc>d\n");
    check("s,/,|,g", "/a/b\n", "|a|b\n");
    check(r"s/\//|/g", "/a\n", "|a\n");
    check("s/[/]/|/g", "/a\n", "|a\n");
    check(r"s/a/\n/", "xay\n", "x\ny\n");
    check(r"s/a/\&/", "a\n", "&\n");
    check("s/A/b/I", "a\n", "b\n");
    check(r"s/\w\+/\u&/g;s/b$/\U&/", "ab cb\n", "Ab CB\n");
    check("/a/s//x/", "ba\n", "bx\n");
    check("s/^/> /", "a\nb\n", "> a\n> b\n");
    check("s/$/!/", "a\nb", "a!\nb!");
    check("y/abc/xyz/", "aabbcc\n", "xxyyzz\n");
    assert_eq!(edited("s/(a|b)+/<\\1>/", "xab\n", true).as_deref(), Ok("x<b>\n"));
}

#[test]
fn spaces_are_held_and_joined() {
    check(":a;N;$!ba;s/\\n/,/g", FIVE, "1,2,3,4,5\n");
    check("#n\nH;${x;s/\\n/,/g;p}", FIVE, ",1,2,3,4,5\n");
    check("1!G;h;$!d", "a\nb\nc\n", "c\nb\na\n");
    check("$!N;P;D", "a\nb\nc\n", "a\nb\nc\n");
    check("N;s/\\n/+/", "a\nb\nc\n", "a+b\nc\n");
    check("n;d", FIVE, "1\n3\n5\n");
    check("$!{h;d};G", "a\nb\n", "b\na\n");
}

#[test]
fn text_is_added() {
    check("2a\\\nx\\\ny", "1\n2\n3\n", "1\n2\nx\ny\n3\n");
    check("1i x", "1\n", "x\n1\n");
    check("2,3c\\\nx", FIVE, "1\nx\n4\n5\n");
    check("$a end", "1", "1\nend\n");
    check("1a\\  x", "1\n", "1\n  x\n");
    check("=", "a\n", "1\na\n");
    check("#n\nl", "a\tb\\\u{1}\n", "a\\tb\\\\\\001$\n");
}

#[test]
fn jumps() {
    check(":a;s/^\\(x*\\)a/\\1x/;ta", "aaab\n", "xxxb\n");
    check("/b/b e\ns/$/!/\n:e", "a\nb\n", "a!\nb\n");
    check("s/a/b/;T;s/$/!/", "a\nc\n", "b!\nc\n");
    check("/1/{n;s/2/x/;}", "1\n2\n", "1\nx\n");
}

#[test]
fn faults_are_told() {
    let check = |script, expect: &str| {
        assert_eq!(edited(script, "", false).unwrap_err(), expect, "{script}")
    };
    check("k", "unsupported command k");
    check("s/a/b", "unmatched '/'");
    check("s/a/b/k", "bad option in substitution expression");
    check("bx", "can't find label for jump to 'x'");
    check("{p", "unmatched '{'");
    check("p}", "unexpected '}'");
    check("s/a/\\1/", "invalid reference \\1 on s command's RHS");
    check("s/[/x/", "bad regex '[': Unmatched [, [^, [:, [., or [=");
    check("/a", "unmatched '/'");
    check("dx", "extra characters after command 'd'");
}
