//! The built-in busybox in containers: the shell, its processes and its programs as users meet
//! them. What is expected here is what Debian's busybox prints for the same script.

use crate::containers::{Ran, busybox, start};

async fn run(argv: &[&str], stdin: &str) -> Ran {
    let (container, ran) = start(&*busybox().await, argv, stdin, None).await;
    let exit = container.wait().await;
    ran(exit.code)
}

async fn sh(script: &str) -> Ran {
    run(&["/bin/sh", "-c", script], "").await
}

/// The script's output; no errors, exit code 0.
async fn check(script: &str, output: &str) {
    let expect = Ran { output: output.to_owned(), errors: String::new(), code: 0 };
    assert_eq!(sh(script).await, expect, "{script}");
}

/// The script's errors and exit code; no output.
async fn check_fails(script: &str, errors: &str, code: i32) {
    let expect = Ran { output: String::new(), errors: errors.to_owned(), code };
    assert_eq!(sh(script).await, expect, "{script}");
}

#[tokio::test]
async fn the_tutorials_loop_counts_and_complains() {
    let script = r#"i=0; while [ $i -lt 3 ]; do echo "$i: $(data)"; i=$((i+1)); sleep 0; done"#;
    let expect = Ran {
        output: "0: \n1: \n2: \n".to_owned(),
        errors: "/bin/sh: data: not found\n".repeat(3),
        code: 0,
    };
    assert_eq!(sh(script).await, expect);
}

#[tokio::test]
async fn pipelines_are_processes() {
    check("echo hello | cat | tr a-z A-Z", "HELLO\n").await;
    check("seq 1 50000 | wc -l", "50000\n").await;
    check("seq 1 50000 | head -n 1", "1\n").await;
    check("yes | head -n 2", "y\ny\n").await;
    check("{ echo b; echo a; } | sort | while read x; do echo \"<$x>\"; done", "<a>\n<b>\n").await;
    check("echo a | (cat; echo b) | { cat; echo c; }", "a\nb\nc\n").await;
    check("f() { cat; echo f; }; echo x | f", "x\nf\n").await;
    check("false | true; echo $?; true | false; echo $?; ! true | false; echo $?", "0\n1\n0\n")
        .await;
}

#[tokio::test]
async fn substitutions_and_subshells_have_the_shells_state() {
    check("x=1; y=$(echo $x; x=2; echo $x); echo $y $x", "1 2 1\n").await;
    check("f() { echo f:$1; }; echo $(f a) `f b`", "f:a f:b\n").await;
    check("x=1; (x=2; echo $x; exit 3); echo $? $x", "2\n3 1\n").await;
    check("cd /tmp; (cd /; pwd); pwd; echo $(cd /etc; pwd)", "/\n/tmp\n/etc\n").await;
    check("set -- a 'b c'; (echo $# \"$2\"); echo $(echo $2)", "2 b c\nb c\n").await;
    check("echo $(cat <<E\nhere $((1+1))\nE\n)", "here 2\n").await;
    check("(cat <<E\nlate\nE\n) | cat", "late\n").await;
    check("x=$(exit 4); echo $?; export E=v; env | grep ^E=", "4\nE=v\n").await;
}

#[tokio::test]
async fn files_and_redirections() {
    check("echo a > /tmp/f; echo b >> /tmp/f; cat < /tmp/f; wc -l < /tmp/f", "a\nb\n2\n").await;
    check(
        "ls /nope 2>&1 | cat; ls /nope 2>/dev/null; echo $?",
        "ls: /nope: No such file or directory\n1\n",
    )
    .await;
    check("exec 3>/root/x; echo three >&3; exec 3>&-; cat /root/x", "three\n").await;
    check(
        "mkdir -p /a/b; cd /a/b; touch x y .z; echo *; cd ..; ls -a b; rm -r b; ls",
        "x y\n.\n..\n.z\nx\ny\n",
    )
    .await;
    check(
        "cd /tmp; echo 1 >a; cp a b; mv b c; ln -s c d; cat d; readlink d; ls",
        "1\nc\na\nc\nd\n",
    )
    .await;
    check("cat /dev/null; echo x > /dev/null; head -c 3 /dev/zero | wc -c", "3\n").await;
    check(
        "printf '#!/bin/sh\\necho script $1\\n' > /tmp/s; /tmp/s arg; sh /tmp/s two",
        "script arg\nscript two\n",
    )
    .await;
    check(
        "cd /tmp; mkdir d; echo hi > d/f; tar cf - d | (mkdir o; tar xf - -C o); cat o/d/f",
        "hi\n",
    )
    .await;
}

#[tokio::test]
async fn jobs_are_waited_for_and_killed() {
    check("sleep 0 & wait $!; echo $?; (exit 7) & wait $!; echo $?", "0\n7\n").await;
    check("sleep 1000 & kill $!; wait $!; echo $?", "143\n").await;
    check("timeout 1 sleep 1000; echo $?", "143\n").await;
    check(
        "for i in 1 2 3; do echo $i > /tmp/$i & done; wait; cat /tmp/1 /tmp/2 /tmp/3",
        "1\n2\n3\n",
    )
    .await;
}

#[tokio::test]
async fn faults_are_worded_as_busybox() {
    check_fails("nosuch", "/bin/sh: nosuch: not found\n", 127).await;
    check_fails("/tmp", "/bin/sh: /tmp: Permission denied\n", 126).await;
    check_fails("cat < /nope", "/bin/sh: can't open /nope: no such file\n", 1).await;
    check_fails("echo $((1/0))", "/bin/sh: divide by zero\n", 2).await;
    check_fails("if", "/bin/sh: syntax error: unexpected end of file (expecting \"then\")\n", 2)
        .await;
    check_fails("set -u; echo $x", "/bin/sh: x: parameter not set\n", 2).await;
    check_fails("cat /nope", "cat: can't open '/nope': No such file or directory\n", 1).await;
    check_fails("rm /etc", "rm: '/etc' is a directory\n", 1).await;
    check_fails("exit 300", "", 44).await;
    check_fails(
        "echo x >/etc/passwd/y",
        "/bin/sh: can't create /etc/passwd/y: Not a directory\n",
        1,
    )
    .await;
}

#[tokio::test]
async fn scripts_come_from_standard_input_too() {
    let ran =
        run(&["sh"], "read line\nthe line\necho got $line\ncat <<E\nhere\nE\nexit 5\necho no\n")
            .await;
    assert_eq!(
        ran,
        Ran { output: "got the line\nhere\n".to_owned(), errors: String::new(), code: 5 }
    );
}

#[tokio::test]
async fn a_program_runs_without_a_shell() {
    let ran = run(&["echo", "a  b"], "").await;
    assert_eq!(ran, Ran { output: "a  b\n".to_owned(), errors: String::new(), code: 0 });
    assert_eq!(run(&["cat"], "through\n").await.output, "through\n");
    assert_eq!(run(&["busybox", "false"], "").await.code, 1);
    assert_eq!(run(&["hostname"], "").await.output, "pod\n");
}

#[tokio::test]
async fn a_loop_without_end_is_killed_with_all_its_processes() {
    let (container, ran) =
        start(&*busybox().await, &["sh", "-c", "while :; do sleep 1000 | cat; done"], "", None)
            .await;
    container.kill(15);
    let exit = container.wait().await;
    assert_eq!(ran(exit.code).code, 143);
}
