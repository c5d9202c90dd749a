use super::discipline::{Discipline, Modes, Typed};

/// Keys typed into a new terminal: what is shown, and what can be read, line by line.
#[track_caller]
fn check(keys: &str, shown: &str, lines: &[&str]) {
    let mut discipline = Discipline::default();
    let typed = discipline.type_in(keys.as_bytes());
    assert_eq!(String::from_utf8_lossy(&typed.echo), shown, "shown for {keys:?}");
    assert!(typed.signals.is_empty());
    assert_eq!(read_all(&mut discipline), lines, "read for {keys:?}");
}

fn read_all(discipline: &mut Discipline) -> Vec<String> {
    std::iter::from_fn(|| discipline.read(4096))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

fn raw() -> Modes {
    Modes { canonical: false, echo: false, signals: false, ..Modes::default() }
}

#[test]
fn lines_are_echoed_and_read_one_at_a_time() {
    check("ls\rpwd\r", "ls\r\npwd\r\n", &["ls\n", "pwd\n"]);
    check("unfinished", "unfinished", &[]);
}

#[test]
fn erasing_takes_back_what_was_shown() {
    check("ax\x7fb\r", "ax\x08 \x08b\r\n", &["ab\n"]);
    check("\x7fa\r", "a\r\n", &["a\n"]);
    check("é\x7fe\r", "é\x08 \x08e\r\n", &["e\n"]);
    check("船\x7f\r", "船\x08 \x08\x08 \x08\r\n", &["\n"]);
    check("a\t\x7f\r", &format!("a\t{}\r\n", "\x08 \x08".repeat(7)), &["a\n"]);
    check("\x01\x7f\r", &format!("^A{}\r\n", "\x08 \x08".repeat(2)), &["\n"]);
    check("one two \x17\r", &format!("one two {}\r\n", "\x08 \x08".repeat(4)), &["one \n"]);
    check("ab\x15c\r", &format!("ab{}c\r\n", "\x08 \x08".repeat(2)), &["c\n"]);
}

#[test]
fn end_of_input_ends_a_line_or_the_input() {
    check("\x04", "", &[""]);
    check("ab\x04", "ab", &["ab"]);
    check("a\r\x04b\r", "a\r\nb\r\n", &["a\n", "", "b\n"]);
}

#[test]
fn a_literal_key_means_nothing() {
    check("\x16\x03\r", "^\x08^C\r\n", &["\x03\n"]);
    check("\x16\x7f\x7f\r", &format!("^\x08^?{}\r\n", "\x08 \x08".repeat(2)), &["\n"]);
}

#[test]
fn reprinting_shows_the_line_again() {
    check("ab\x12c\r", "ab^R\r\nabc\r\n", &["abc\n"]);
}

#[test]
fn interrupting_drops_what_was_typed() {
    let mut discipline = Discipline::default();
    let typed = discipline.type_in(b"sleep 1\rhalf\x03");
    assert_eq!(typed.signals, [2]);
    assert!(typed.echo.ends_with(b"half^C"));
    assert_eq!(discipline.read(100), None);
    assert_eq!(discipline.type_in(&[28]).signals, [3]);
    assert_eq!(discipline.type_in(&[26]), Typed { echo: b"^Z".to_vec(), signals: vec![] });
}

#[test]
fn raw_keys_are_read_as_they_come() {
    let mut discipline = Discipline::default();
    discipline.set_modes(raw());
    assert_eq!(discipline.type_in(b"\x1b[A\x03\x04"), Typed::default());
    assert_eq!(discipline.read(2).as_deref(), Some(&b"\x1b["[..]));
    assert_eq!(discipline.read(9).as_deref(), Some(&b"A\x03\x04"[..]));
    assert_eq!(discipline.read(9), None);
}

#[test]
fn what_was_half_typed_is_read_in_raw_mode() {
    let mut discipline = Discipline::default();
    discipline.type_in(b"one\rtwo");
    discipline.set_modes(raw());
    assert_eq!(discipline.read(99).as_deref(), Some(&b"one\ntwo"[..]));
}

#[test]
fn newlines_return_the_cursor_unless_told_otherwise() {
    let mut discipline = Discipline::default();
    assert_eq!(discipline.show(b"a\nb\n"), b"a\r\nb\r\n");
    discipline.set_modes(Modes { newline_returns: false, ..Modes::default() });
    assert_eq!(discipline.show(b"a\nb"), b"a\nb");
}

#[test]
fn an_ended_input_is_read_to_its_end() {
    let mut discipline = Discipline::default();
    discipline.type_in(b"half");
    discipline.end_input();
    assert_eq!(read_some(&mut discipline, 3), ["half", "", ""]);
}

fn read_some(discipline: &mut Discipline, times: usize) -> Vec<String> {
    let mut read = || discipline.read(99).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (0..times).filter_map(|_| read()).collect()
}

#[test]
fn a_line_is_bounded_by_a_bell_and_the_keyboard_by_what_is_unread() {
    let mut discipline = Discipline::default();
    let typed = discipline.type_in(&[b'x'; 5000]);
    assert_eq!(typed.echo.iter().filter(|byte| **byte == 7).count(), 5000 - 4095);
    discipline.set_modes(raw());
    assert!(discipline.has_room());
    discipline.type_in(&[b'x'; 64 << 10]);
    assert!(!discipline.has_room());
}

mod fuzz {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Type(Vec<u8>),
        Show(Vec<u8>),
        Read(usize),
        Modes([bool; 5]),
        Flush,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop::collection::vec(key(), 0..40).prop_map(Step::Type),
            1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Show),
            2 => (0..50_usize).prop_map(Step::Read),
            1 => any::<[bool; 5]>().prop_map(Step::Modes),
            1 => Just(Step::Flush),
        ]
    }

    /// Keys that do something more often than chance would have it.
    fn key() -> impl Strategy<Value = u8> {
        prop_oneof![any::<u8>(), 0..32_u8, Just(127), Just(b'\t'), Just(b'\r'), 0xe4..0xe9_u8]
    }

    /// No input panics; the unread bytes are never more than were typed; the end is an end.
    fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
        let mut discipline = Discipline::default();
        let (mut typed, mut read) = (0, 0);
        for step in steps {
            match step {
                Step::Type(keys) => {
                    typed += keys.len();
                    discipline.type_in(&keys);
                }
                Step::Show(bytes) => {
                    let shown = discipline.show(&bytes);
                    let without = |bytes: &[u8]| {
                        bytes.iter().filter(|byte| **byte != b'\r').copied().collect::<Vec<_>>()
                    };
                    prop_assert_eq!(without(&shown), without(&bytes));
                }
                Step::Read(len) => {
                    let bytes = discipline.read(len).unwrap_or_default();
                    prop_assert!(bytes.len() <= len);
                    read += bytes.len();
                }
                Step::Modes([canonical, echo, signals, return_is_newline, newline_returns]) => {
                    discipline.set_modes(Modes {
                        canonical,
                        echo,
                        signals,
                        return_is_newline,
                        newline_returns,
                    });
                }
                Step::Flush => discipline.flush_input(),
            }
        }
        discipline.end_input();
        while discipline.read(64).is_some_and(|bytes| {
            read += bytes.len();
            !bytes.is_empty() || discipline.has_unread()
        }) {}
        prop_assert!(read <= typed, "{} read of {} typed", read, typed);
        Ok(())
    }

    /// For so many seconds if the environment says so (`SAMPAN_FUZZ_SECONDS`), else a few cases.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "for this test only")]
    fn no_keys_confuse_it() {
        let seconds = std::env::var("SAMPAN_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
        let time = Duration::from_secs(seconds.unwrap_or(0));
        let started = Instant::now();
        loop {
            proptest!(|(steps in prop::collection::vec(step(), 0..60))| { run(steps)?; });
            if started.elapsed() >= time {
                break;
            }
        }
    }
}
