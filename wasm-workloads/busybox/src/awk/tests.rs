use super::*;

/// What a program's expression comes to, as text.
fn value_of(expression: &str) -> String {
    let call = Call::new("awk", vec!["awk".to_owned()]);
    let program = parse::parse(&format!("BEGIN {{ result = ({expression}) }}")).unwrap();
    let mut machine = Machine::new(&call, &program);
    machine.set_record(b"one two  three".as_slice().into());
    let done = machine.run();
    if let Err(Stop::Failed(failure)) = done {
        return format!("{failure:?}");
    }
    let place = program.globals.iter().position(|name| name == "result").unwrap();
    let value = machine.get(Variable::Global(place)).ok().unwrap();
    machine.string(&value)
}

fn check(expression: &str, expect: &str) {
    assert_eq!(value_of(expression), expect, "{expression}");
}

#[test]
fn operators_bind_as_posix_says() {
    check("1 + 2 * 3 ^ 2", "19");
    check("-2 ^ 2", "-4");
    check("2 ^ 3 ^ 2", "512");
    check("1 - 1 - 1", "-1");
    check("1 \" \" 2 + 3", "1 5");
    check("1 < 2 ? \"a\" : \"b\"", "a");
    check("!1 + 1", "1");
    check("1 == 1.0", "1");
    check("\"a\" \"b\" == \"ab\"", "1");
    check("x = y = 3", "3");
    check("2 ** 3 % 5", "3");
    check("1 || 0 && 0", "1");
    check("x++ + ++x", "2");
    check("-\"3x\"", "-3");
    check("1e3 0x10 .5", "1000160.5");
    check("3 - -3", "6");
    check("\"a\" > \"b\"", "0");
}

#[test]
fn values_are_numbers_or_texts() {
    check("10 < 9", "0");
    check("\"10\" < \"9\"", "1");
    check("$1 \":\" $NF \":\" NF", "one:three:3");
    check("unset == 0 && unset == \"\"", "1");
    check("0.1 + 0.2", "0.3");
    check("100000 * 100000", "10000000000");
    check("1 / 3", "0.333333");
    check("17 / 0", "Message(\"Division by zero\")");
}

#[test]
fn functions() {
    check("length(\"héllo\")", "5");
    check("substr(\"hello\", 2, 3)", "ell");
    check("substr(\"hello\", 0, 2)", "h");
    check("substr(\"hello\", -1)", "hello");
    check("substr(\"héllo\", 2, 1) substr(\"abc\", 9) substr(\"abc\", 3)", "éc");
    check("index(\"hello\", \"ll\")", "3");
    check("split(\"a:b:c\", parts, \":\") parts[3]", "3c");
    check("split(\"\", parts)", "0");
    check("match(\"xaab\", /a+/) RSTART RLENGTH", "222");
    check("toupper(\"aé\") tolower(\"X\")", "AÉx");
    check(
        "sprintf(\"%5.2f|%-4s|%03d|%c|%x|%e|%i%%\", 3.14159, \"ab\", 7, 65, 255, 1234.5, 3)",
        " 3.14|ab  |007|A|ff|1.234500e+03|3%",
    );
    check("sprintf(\"%*d\", 4, 7) sprintf(\"%s\")", "   7");
    check("gensub(/(.)(.)/, \"\\\\2\\\\1\", \"g\", \"abcd\")", "badc");
    check("int(-3.7) sqrt(16) and(12, 10)", "-348");
    check("strftime(\"%F\", 86400)", "1970-01-02");
    check("mktime(\"1970 01 02 00 00 01\")", "86401");
    check("length()", "14");
}

#[test]
fn faults_are_told_with_their_line() {
    let check = |source, expect: &str| {
        assert_eq!(parse::parse(source).err().as_deref(), Some(expect), "{source}");
    };
    check("BEGIN { print (1 }", "line 1: unexpected token '}'");
    check("{ x = 1\n y = = 2 }", "line 2: unexpected token '='");
    check("BEGIN { f(1) }", "undefined function 'f'");
    check("{ print \"a }", "line 1: unterminated string");
    check("BEGIN {", "line 1: unexpected end of program");
    check("/(/", "line 1: bad regex '(': Unmatched ( or \\(");
}

#[test]
fn endless_recursion_is_ended() {
    let call = Call::new("awk", vec!["awk".to_owned()]);
    let program = parse::parse("function f(n) { return f(n + 1) } BEGIN { f(1) }").unwrap();
    let Err(Stop::Failed(Failure::Message(why))) = Machine::new(&call, &program).run() else {
        panic!("it must fail");
    };
    assert_eq!(why, "function 'f': more than 200 calls within calls");
}
