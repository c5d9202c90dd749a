//! Someone sits in a Pod: the real kubectl on a real terminal.

use crate::support::{Cluster, Home, Seat};

const PROMPT: &str = "/ # ";

fn pod(cluster: &Cluster<'_>, name: &str) {
    cluster.kubectl(&format!("run {name} --image=busybox -- sleep 1000"));
    cluster.wait_for("condition=Ready", &format!("pod/{name}"));
}

fn sit_down(cluster: &Cluster<'_>, line: &str) -> Seat {
    let mut seat = Seat::take(cluster.command(line), 80, 24);
    seat.until(PROMPT);
    seat
}

#[test]
fn a_pod_is_a_place_one_can_be_in() {
    let home = Home::new();
    let cluster = home.up();
    pod(&cluster, "place");
    let mut seat = sit_down(&cluster, "exec -it place -- sh");

    assert_eq!(seat.run("echo $((6 * 7))", PROMPT), "42\n");
    assert_eq!(seat.run("echo misteak\x7f\x7f\x7fake | tr k t", PROMPT), "mistate\n");
    // Arrow up, arrow up, backspace.
    assert_eq!(seat.run("\x1b[A\x1b[A\x7f\x7f- 2))", PROMPT), "40\n");
    assert_eq!(seat.run("echo found >'/tmp/a file'", PROMPT), "");
    assert_eq!(seat.run("cat /tm\ta\t", PROMPT), "found\n");

    // What is typed before the line editor has left the terminal is text, as on a kernel's.
    seat.type_in("echo begun; sleep 100\r");
    seat.until("\r\nbegun\r\n");
    seat.type_in("\x03");
    seat.until(PROMPT);
    assert_eq!(seat.run("echo $?", PROMPT), "130\n");
    seat.type_in("echo begun; while :; do :; done; echo never\r");
    seat.until("\r\nbegun\r\n");
    seat.type_in("\x03");
    seat.until(PROMPT);
    seat.type_in("echo never\x03");
    seat.until("^C\r\n");
    seat.until(PROMPT);
    assert_eq!(seat.run("echo $?", PROMPT), "130\n");

    seat.type_in("if true\r");
    seat.until("> ");
    seat.type_in("then echo yes; fi\r");
    seat.until("\r\nyes\r\n");
    seat.until(PROMPT);

    // A line of 100 characters: two rows, then one in a wider window.
    seat.type_in(&format!("echo {}", "x".repeat(95)));
    seat.until(&"x".repeat(95));
    seat.resize(120, 30);
    seat.until("\x1b[J");
    seat.until(&"x".repeat(95));
    seat.type_in("\x03");
    seat.until(PROMPT);

    seat.type_in("exit 3\r");
    let (code, shown) = seat.leave();
    assert!(code == 3 && shown.contains("command terminated with exit code 3"), "{code} {shown}");
}

#[test]
fn jobs_run_behind_the_prompt() {
    let home = Home::new();
    let cluster = home.up();
    pod(&cluster, "place");
    let mut seat = sit_down(&cluster, "exec -it place -- sh");
    assert!(seat.run("sleep 500 &", PROMPT).starts_with("[1] "));
    assert_eq!(seat.run("jobs", PROMPT), "[1]+  Running                    sleep 500\n");
    seat.run("kill %1; wait %1", PROMPT);
    assert_eq!(seat.run("jobs", PROMPT), "");
    seat.run("sleep 500 &", PROMPT);
    seat.type_in("fg\r");
    seat.until("fg\r\nsleep 500\r\n");
    seat.type_in("\x03");
    seat.until(PROMPT);
    assert_eq!(seat.run("jobs", PROMPT), "");
    seat.type_in("echo begun; read x; echo never\r");
    seat.until("\r\nbegun\r\n");
    seat.type_in("\x03");
    seat.until(PROMPT);
    assert_eq!(seat.run("echo $?", PROMPT), "130\n");
}

#[test]
fn a_window_may_be_drawn_larger_or_smaller() {
    let home = Home::new();
    let cluster = home.up();
    pod(&cluster, "place");
    let mut seat = sit_down(&cluster, "exec -it place -- sh");
    assert_eq!(seat.run("stty size", PROMPT), "24 80\n");
    seat.resize(100, 30);
    // kubectl tells the server in its own time.
    let told = (0..500).any(|_| seat.run("stty size", PROMPT) == "30 100\n");
    assert!(told, "30 100 never came");

    seat.type_in("vi /tmp/note\r");
    seat.until("\x1b[29;1H");
    seat.type_in("ifirst\rlast\x1b");
    seat.until("last");
    // vi draws anew: the note, and its line of status at the new bottom.
    seat.resize(60, 12);
    seat.until("first");
    seat.until("\x1b[12;1H");
    seat.type_in(":wq\r");
    seat.until(PROMPT);
    assert_eq!(seat.run("cat /tmp/note", PROMPT), "first\nlast\n");
    seat.type_in("\x04");
    assert_eq!(seat.leave().0, 0);
}

#[test]
fn two_sit_in_one_pod() {
    let home = Home::new();
    let cluster = home.up();
    pod(&cluster, "place");
    let mut one = sit_down(&cluster, "exec -it place -- sh");
    let mut two = Seat::take(cluster.command("exec -it place -- bash"), 80, 24);
    two.until("root@place:/# ");
    assert_eq!(one.run("echo from one >/tmp/note", PROMPT), "");
    assert_eq!(two.run("cat /tmp/note", "root@place:/# "), "from one\n");
    two.type_in("echo begun; sleep 100\r");
    two.until("\r\nbegun\r\n");
    one.type_in("\x03");
    one.until("^C\r\n");
    one.until(PROMPT);
    assert_eq!(one.run("echo here", PROMPT), "here\n");
    two.type_in("\x03");
    two.until("# ");
    two.type_in("\x04");
    assert_eq!(two.leave().0, 130);
    one.type_in("\x04");
    assert_eq!(one.leave().0, 0);
}

#[test]
fn a_pod_is_run_to_sit_in() {
    let home = Home::new();
    let cluster = home.up();
    let line = "run place -it --rm --image=busybox --restart=Never";
    let mut seat = Seat::take(cluster.command(line), 80, 24);
    // A prompt that came before kubectl attached is not shown: return asks for another.
    seat.until("If you don't see a command prompt, try pressing enter.");
    seat.type_in("\r");
    seat.until(PROMPT);
    seat.run("x=kept", PROMPT);
    assert_eq!(seat.run("echo $x $$", PROMPT), "kept 1\n");
    seat.type_in("exit\r");
    seat.until("pod \"place\" deleted");
    assert_eq!(seat.leave().0, 0);
}

#[test]
fn a_pods_own_shell_is_attached_to() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("run place -it --image=busybox --restart=Never --attach=false");
    cluster.wait_for("condition=Ready", "pod/place");
    let mut seat = Seat::take(cluster.command("attach -it place"), 80, 24);
    seat.until("try pressing enter.");
    seat.type_in("\r");
    seat.until(PROMPT);
    assert_eq!(seat.run("echo $$", PROMPT), "1\n");
    seat.type_in("exit 3\r");
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pod/place");
}

#[test]
fn without_a_terminal_there_is_no_prompt() {
    let home = Home::new();
    let cluster = home.up();
    pod(&cluster, "place");
    let command = cluster.command("exec -i place -- sh");
    let answer = crate::support::run_with_input(command, b"echo one\nexit 4\n");
    assert_eq!((answer.code, answer.stdout.as_str()), (4, "one\n"), "{}", answer.stderr);
}
