//! Keys in, text and cursor out.

use super::buffer::{Line, Place};
use super::editor::{Editor, Mode, Request};
use crate::screen::{Key, Size};

const SIZE: Size = Size { rows: 10, columns: 20 };

fn editor(text: &str) -> Editor {
    let lines: Vec<Line> = text.split('\n').map(|line| line.chars().collect()).collect();
    Editor::new(lines, Some("x".to_owned()), SIZE)
}

/// `⏎`, `␛` and `⌫` are keys, and `^r` is a control key.
fn keys(typed: &str) -> Vec<Key> {
    let mut chars = typed.chars();
    let mut keys = Vec::new();
    while let Some(c) = chars.next() {
        keys.push(match c {
            '⏎' => Key::Enter,
            '␛' => Key::Escape,
            '⌫' => Key::Backspace,
            '↓' => Key::Down,
            '⌃' => Key::Control(chars.next().unwrap()),
            c => Key::Char(c),
        });
    }
    keys
}

fn press(editor: &mut Editor, typed: &str) -> Option<Request> {
    keys(typed).into_iter().fold(None, |_, key| editor.press(key))
}

fn text(editor: &Editor) -> String {
    let lines: Vec<String> =
        editor.buffer.lines().iter().map(|line| line.iter().collect()).collect();
    lines.join("\n")
}

/// The text with `|` before the cursor.
#[track_caller]
fn check(before: &str, typed: &str, expect: &str) {
    let at = before.find('|').unwrap_or(0);
    let mut editor = editor(&before.replacen('|', "", 1));
    let start = &before[..at];
    let column = start.rsplit('\n').next().unwrap().chars().count();
    editor.cursor = Place { line: start.matches('\n').count(), column };
    editor.want_here();
    press(&mut editor, typed);
    let mut lines = editor.buffer.lines().to_vec();
    let Place { line, column } = editor.cursor;
    lines[line].insert(column, '|');
    let shown: Vec<String> = lines.iter().map(|line| line.iter().collect()).collect();
    assert_eq!(shown.join("\n"), expect, "{before:?} {typed:?}; {}", editor.message);
}

#[test]
fn motions() {
    check("|abc", "l", "a|bc");
    check("ab|c", "lll", "ab|c");
    check("ab|c", "0", "|abc");
    check("  a|b", "^", "  |ab");
    check("|abc", "$", "ab|c");
    check("|abc\nx\nabcd", "$jj", "abc\nx\nabc|d");
    check("ab|c\nx\nabc", "jj", "abc\nx\nab|c");
    check("|foo.bar baz", "w", "foo|.bar baz");
    check("|foo.bar baz", "W", "foo.bar |baz");
    check("|foo\n\nbar", "ww", "foo\n\n|bar");
    check("|foo bar", "e", "fo|o bar");
    check("fo|o bar", "e", "foo ba|r");
    check("foo b|ar", "bb", "|foo bar");
    check("|a\nb\nc", "G", "a\nb\n|c");
    check("a\nb\n|c", "gg", "|a\nb\nc");
    check("|a\nb\nc", "2G", "a\n|b\nc");
    check("|a,b,c", "f,;", "a,b|,c");
    check("a,b|,c", "F,", "a|,b,c");
    check("|a,b,c", "t,;", "a,|b,c");
    check("|a\nb\n\nc", "}", "a\nb\n|\nc");
    check("f|(a(b)c)", "%", "f(a(b)c|)");
    check("|日本語 x", "ll", "日本|語 x");
    check("|日本語\nabcdef", "ll⏎", "日本語\n|abcdef");
    check("日本|語\nabcdef", "j", "日本語\nabcd|ef");
    check("|a\n  b", "+", "a\n  |b");
    check("a|b", "⌫", "|ab");
}

#[test]
fn deletions() {
    check("a|bc", "x", "a|c");
    check("ab|c", "x", "a|b");
    check("|abcd", "3x", "|d");
    check("ab|c", "X", "a|c");
    check("a\n|b\nc", "dd", "a\n|c");
    check("a\n|b", "dd", "|a");
    check("|a", "dd", "|");
    check("|a\nb\nc", "2dd", "|c");
    check("|a\nb\nc", "dj", "|c");
    check("a|bc", "D", "|a");
    check("|foo bar", "dw", "|bar");
    check("foo |bar", "dw", "foo| ");
    check("foo |bar\nx", "dw", "foo| \nx");
    check("|a b c d", "d2w", "|c d");
    check("|a b c d", "2dw", "|c d");
    check("foo b|ar", "db", "foo |ar");
    check("|foo bar", "de", "| bar");
    check("|a(b)c", "df)", "|c");
    check("|a(b)c", "dt)", "|)c");
    check("x|(b)c", "d%", "x|c");
    check("a\n|b\nc", "dG", "|a");
    check("foo(a, |b)", "di(", "foo(|)");
    check("say \"|hi\" x", "da\"", "say | x");
    check("foo b|ar baz", "diw", "foo | baz");
    check("foo b|ar baz", "daw", "foo |baz");
    check("|a\nb\n\nc", "d}", "|\nc");
}

#[test]
fn insertions_and_changes() {
    check("a|b", "ix␛", "a|xb");
    check("a|b", "ax␛", "ab|x");
    check("  a|b", "Ix␛", "  |xab");
    check("a|b c", "Ax␛", "ab c|x");
    check("|a\nb", "ox␛", "a\n|x\nb");
    check("|a\nb", "Ox␛", "|x\na\nb");
    check("|a", "3ix␛", "xx|xa");
    check("|a", "2ob␛", "a\nb\n|b");
    check("|foo bar", "cwx␛", "|x bar");
    check("|foo bar baz", "c2wx␛", "|x baz");
    check("|a b", "cwx␛", "|x b");
    check("a|bc", "Cx␛", "a|x");
    check("a\n|b\nc", "ccx␛", "a\n|x\nc");
    check("a|bc", "sx␛", "a|xc");
    check("|abc", "Sx␛", "|x");
    check("|", "Cx␛", "|x");
    check("|abc", "Rxy␛", "x|yc");
    check("|abc", "rx", "|xbc");
    check("|abc", "2r ", " | c");
    check("a| c", "r⏎", "a\n|c");
    check("|a", "iab⏎c␛", "ab\n|ca");
    check("|a", "iab⌫⌫⌫x␛", "|xa");
    check("a\n|b", "i⌫␛", "|ab");
    check("|x", "ifoo bar⌃wq␛", "foo |qx");
    check("|ab", "~", "A|b");
    check("|äß", "2~", "Ä|ß");
    check("|ab\ncd", "J", "ab| cd");
    check("|a\n  b\nc", "3J", "a b| c");
    check("|a\nb", ">>", "\t|a\nb");
    check("\t|a\n\tb", "2<<", "|a\nb");
}

#[test]
fn copies_and_registers() {
    check("|a\nb", "yyp", "a\n|a\nb");
    check("|a\nb", "yyjp", "a\nb\n|a");
    check("|a\nb", "ddp", "b\n|a");
    check("a\n|b", "ddP", "|b\na");
    check("|ab", "xp", "b|a");
    check("|foo bar", "ywP", "foo| foo bar");
    check("|a\nb", "\"xyyjdd\"xp", "a\n|a");
    check("|ab", "yl3p", "aaa|ab");
    check("|a", "p", "|a");
}

#[test]
fn repetition_and_undo() {
    check("|a b c", "dw.", "|c");
    check("|abcdef", "x3.", "|ef");
    check("|a\nb", "A;␛j.", "a;\nb|;");
    check("|a b", "cwxy␛w.", "xy x|y");
    check("|a\nb\nc", "dd.u", "|b\nc");
    check("|a\nb\nc", "dd.uu", "|a\nb\nc");
    check("|a\nb\nc", "dd.uu⌃r", "|b\nc");
    check("|ab", "ixy␛u", "|ab");
    check("|ab", "xxuu", "|ab");
    check("|a/b/c", "d/\\/⏎.", "|/c");
}

#[test]
fn searches() {
    check("|a\nfoo\nb foo", "/foo⏎", "a\n|foo\nb foo");
    check("|a\nfoo\nb foo", "/foo⏎n", "a\nfoo\nb |foo");
    check("|a\nfoo\nb foo", "/foo⏎nn", "a\n|foo\nb foo");
    check("|a\nfoo\nb foo", "/foo⏎N", "a\nfoo\nb |foo");
    check("a\nfoo\nb |foo", "?fo*⏎", "a\n|foo\nb foo");
    check("|a b c", "d/c⏎", "|c");
    check("|foo x foobar foo", "*", "foo x foobar |foo");
    check("|a", "/none⏎", "|a");
    check("|a", "/x␛x", "|");
}

#[test]
fn ex_commands() {
    check("|a\nb\nc", ":2⏎", "a\n|b\nc");
    check("|a\nb\nc", ":$⏎", "a\nb\n|c");
    check("|a\nb\nc", ":2,3d⏎", "|a");
    check("|aa\naa", ":s/a/b/⏎", "|ba\naa");
    check("|aa\naa", ":%s/a/b/g⏎", "bb\n|bb");
    check("|a/b", ":s#/#-#⏎", "|a-b");
    check("|foo bar", r":s/\(o*\) \(b\)/[&\2\1]/⏎", "|f[oo bboo]ar");
    check("|a,b", r":s/,/\n/⏎", "a\n|b");
    check("|a,b\nc,d", r":%s/,/\r/⏎", "a\nb\nc\n|d");
    check("|a,b\nc,d", ":%s/,/;/⏎u", "|a,b\nc,d");
    check("|A", ":s/a/b/i⏎", "|b");
    check("|a\nb\nc", ":1m$⏎", "b\nc\n|a");
    check("a\nb\n|c", ":m0⏎", "|c\na\nb");
    check("|a\nb", ":t.⏎", "a\n|a\nb");
    check("|a\nb\nc", ":%j⏎", "a b| c");
    check("|a\nb\nc", ":.,+1d⏎", "|c");
    check("|a\nb", "majdd:'a⏎", "|a");
}

#[test]
fn what_the_world_is_asked() {
    let mut editor = editor("a");
    assert_eq!(press(&mut editor, ":q⏎"), Some(Request::Quit { force: false }));
    press(&mut editor, "x");
    assert_eq!(press(&mut editor, ":q⏎"), None);
    assert_eq!(editor.message, "No write since last change (:q! overrides)");
    assert_eq!(press(&mut editor, ":q!⏎"), Some(Request::Quit { force: true }));
    let write = |path: Option<&str>, range, quit| {
        Some(Request::Write { path: path.map(str::to_owned), range, force: false, quit })
    };
    assert_eq!(press(&mut editor, ":w⏎"), write(None, None, false));
    assert_eq!(press(&mut editor, ":1w y z⏎"), write(Some("y z"), Some((0, 0)), false));
    assert_eq!(press(&mut editor, ":x⏎"), write(None, None, true));
    assert_eq!(press(&mut editor, "ZZ"), write(None, None, true));
    press(&mut editor, "u");
    assert_eq!(press(&mut editor, "ZZ"), Some(Request::Quit { force: false }));
    assert_eq!(press(&mut editor, ":e y⏎"), Some(Request::Edit { path: Some("y".to_owned()) }));
    assert_eq!(press(&mut editor, ":r y⏎"), Some(Request::Read { path: "y".to_owned(), after: 1 }));
    press(&mut editor, ":frobnicate⏎");
    assert_eq!(editor.message, "'frobnicate' is not implemented");
    press(&mut editor, ":set nosuch⏎");
    assert_eq!(editor.message, "bad option: nosuch");
}

#[test]
fn the_screen_follows_the_cursor() {
    let text: Vec<String> = (1..=30).map(|n| n.to_string()).collect();
    let mut editor = editor(&text.join("\n"));
    editor.resize(SIZE);
    let frame = editor.frame();
    assert_eq!(frame.lines.len(), 10);
    assert_eq!((&*frame.lines[0], &*frame.lines[9]), ("1", "- x 1/30 3%"));
    press(&mut editor, "G");
    let frame = editor.frame();
    assert_eq!(frame.lines[4], "30");
    assert_eq!(frame.lines[5], "~");
    press(&mut editor, "gg");
    editor.frame();
    press(&mut editor, "10j:set nu⏎");
    let frame = editor.frame();
    assert_eq!(frame.lines[8], " 11 11");
    assert_eq!(frame.cursor, Some((8, 4)));
    editor.resize(Size { rows: 5, columns: 20 });
    assert_eq!(editor.frame().lines.len(), 5);
}

#[test]
fn long_and_wide_lines_are_cut_where_they_can_be() {
    let mut editor = editor("abcdefghijklmnopqr日本語\n\tx");
    editor.resize(SIZE);
    let frame = editor.frame();
    assert_eq!(frame.lines[0], "abcdefghijklmnopqr日");
    assert_eq!(frame.lines[1], "        x");
    press(&mut editor, "$");
    let frame = editor.frame();
    let (_, column) = frame.cursor.unwrap();
    assert!(frame.lines[0].ends_with("本語") && column < 20, "{frame:?}");
    assert_eq!(editor.mode, Mode::Normal);
    assert_eq!(text(&editor).lines().count(), 2);
}

#[test]
fn no_key_breaks_it() {
    // Every pair of keys after some text, in an empty and in a full buffer.
    let every: Vec<Key> = (' '..='~')
        .map(Key::Char)
        .chain(('a'..='z').map(Key::Control))
        .chain([Key::Enter, Key::Escape, Key::Backspace, Key::Delete, Key::Down, Key::End])
        .collect();
    for start in ["", "a (b) \"c\"\n\n\tx y\nz", "日本"] {
        for one in &every {
            for two in &every {
                let mut editor = editor(start);
                editor.resize(SIZE);
                for key in
                    [Key::Char('$'), *one, *two, *one, Key::Enter, Key::Escape, Key::Char('.')]
                {
                    editor.press(key);
                    let frame = editor.frame();
                    let (row, column) = frame.cursor.unwrap();
                    assert!(row < 10 && column < 20, "{one:?} {two:?}: {frame:?}");
                }
            }
        }
    }
}
