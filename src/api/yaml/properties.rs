//! What is written is read back; nothing that is read can panic.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{parse, parse_all, to_string};

/// Texts that tempt a YAML reader: words of 1.1, numbers in disguise, indicators, odd characters.
fn texts() -> impl Strategy<Value = String> {
    let tempting = prop::sample::select(vec![
        "",
        " ",
        "~",
        "null",
        "yes",
        "No",
        "on",
        "y",
        "0644",
        "0o17",
        "0x1f",
        "1_000",
        "1e3",
        ".5",
        ".inf",
        "-.INF",
        ".nan",
        "12:30:45",
        "2001-01-01",
        "=",
        "<<",
        "---",
        "...",
        "--- a",
        "- a",
        "-",
        "?",
        "? a",
        ":",
        "a:",
        "a: b",
        "a :b",
        "#",
        "a #b",
        "a# b",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "@a",
        "`a`",
        "%a",
        "[a]",
        "{a}",
        "a, b",
        "'a'",
        "\"a\"",
        "a\nb",
        "a\n",
        "\na",
        " a\nb",
        "a\n\n",
        "a\n b\n",
        "\t",
        "a\t",
        "\ta\nb",
        "a\n\tb",
        "a\r\nb",
        "a \nb",
        "\n",
        "\n\n",
        "a\n \n",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{feff}a",
        "\u{0}",
        "\u{7f}",
        "\u{a0}",
        "이름",
        "😀",
        "a\u{2028}b",
        "a\u{85}b",
        "a\u{feff}b",
    ]);
    prop_oneof![
        tempting.prop_map(str::to_owned),
        "[-?:,\\[\\]{}#&*!|>'\"%@`a0 .\\n]{0,6}",
        any::<String>(),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Whole floats are read as integers, as kubectl does; serde_json reads fractions with many
        // digits inexactly, so these are short.
        any::<i32>().prop_map(|whole| json!(f64::from(whole) + 0.5)),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec((texts(), inner), 0..5)
                .prop_map(|entries| entries.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in values()) {
        let text = to_string(&value);
        let read = parse(text.as_bytes());
        prop_assert_eq!(read.as_ref().map(|decoded| &decoded.value), Ok(&value), "{}", text);
    }

    #[test]
    fn json_is_read_as_json(value in values()) {
        let text = json!({"value": value}).to_string();
        let read = parse(text.as_bytes());
        prop_assert_eq!(read.map(|decoded| decoded.value), Ok(json!({"value": value})), "{}", text);
    }

    #[test]
    fn no_text_is_too_strange_to_answer(text in "[-?:,\\[\\]{}#&*!|>'\"%@`ab01~<=. \\t\\n]{0,40}") {
        if let Ok(documents) = parse_all(text.as_bytes()) {
            prop_assert!(documents.iter().all(|document| document.line >= 1));
        }
    }

    #[test]
    fn faults_point_into_the_text(bytes in vec(any::<u8>(), 0..40)) {
        if let Err(error) = parse_all(&bytes) {
            let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 2;
            prop_assert!((1..=lines).contains(&error.line), "{error}");
            prop_assert!(error.column >= 1 && error.column <= bytes.len() + 2, "{error}");
        }
    }
}
