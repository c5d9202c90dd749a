//! Guests that mean harm, or forget themselves: they are bounded and end with their Pod, and the
//! cluster goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::{Cluster, Following, Home};

const MIB: u64 = 1 << 20;

/// A Pod `guest` of busybox that waits, or does what it is told.
fn with_guest<'a>(home: &'a Home, command: &[&str]) -> Cluster<'a> {
    let cluster = home.up();
    let manifest = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "guest"},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "guest", "image": "busybox", "command": command}],
        },
    });
    let pod = home.file("guest.json", manifest.to_string());
    cluster.kubectl(&format!("apply -f {pod}"));
    cluster.wait_for("condition=Ready", "pod/guest");
    cluster
}

fn in_shell(home: &Home, script: &str) -> Following {
    Following::start(home.kubectl(&["exec", "guest", "--", "sh", "-c", script]))
}

/// The API answers, another Pod runs, and the guest is gone when it is told to go.
#[track_caller]
fn check_unharmed(cluster: &Cluster<'_>) {
    cluster.kubectl("run other --image=busybox --restart=Never -- echo alive");
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/other");
    assert_eq!(cluster.kubectl("logs other"), "alive\n");
    cluster.kubectl("delete pod guest --timeout=20s");
}

#[test]
fn a_fork_bomb_is_bounded_and_ends_with_its_pod() {
    let home = Home::new();
    let cluster = with_guest(&home, &["sleep", "1000"]);
    let bomb = in_shell(&home, ":(){ :|:& };:; sleep 1000");
    bomb.line_with("can't fork: Resource temporarily unavailable");
    check_unharmed(&cluster);
}

#[test]
fn a_guest_that_ignores_every_signal_ends_with_its_pod() {
    let deaf = "trap '' HUP INT QUIT TERM; echo deaf; while :; do :; done";
    let home = Home::new();
    let cluster = with_guest(&home, &["sh", "-c", deaf]);
    cluster.follow("logs -f guest").line_with("deaf");
    let another = in_shell(&home, deaf);
    another.line_with("deaf");
    check_unharmed(&cluster);
}

#[test]
fn what_nobody_reads_is_not_kept() {
    let home = Home::new();
    let cluster = with_guest(&home, &["sleep", "1000"]);
    let pipe = in_shell(&home, "yes | { head -n 1; sleep 1000; }");
    pipe.line_with("y");
    let client = Unread::start(&home);
    // Some seconds: a guest that is not held back writes a gigabyte.
    check_growth(&cluster, 32 * MIB, || {
        for _ in 0..20 {
            cluster.kubectl("get pod guest");
        }
    });
    drop(client);
    check_unharmed(&cluster);
}

#[test]
fn a_thousand_processes_leave_no_memory_behind() {
    let home = Home::new();
    let cluster = with_guest(&home, &["sleep", "1000"]);
    let run = |count: u32| {
        let script = format!("i=0; while [ $i -lt {count} ]; do /bin/true; i=$((i+1)); done");
        let answer = cluster.run_words(&["exec", "guest", "--", "sh", "-c", &script]);
        assert_eq!(answer.code, 0, "{}", answer.all());
    };
    // 4 KiB for each process would be found.
    check_growth(&cluster, 4 * MIB, || run(1000));
}

/// What each of a crowd does, over and over.
const ATTACKS: &[&str] = &[
    "while :; do :; done",
    "yes we are here; true",
    "bomb() { bomb | bomb & }; while :; do bomb; done",
    "i=0; while :; do echo x > /tmp/$i; i=$((i+1)); done",
    "while :; do head -c 16777216 /dev/zero > /big; rm /big; done",
    "while :; do ls -R / /proc; cat /../../../etc/passwd /proc/*/status; done > /dev/null 2>&1",
    "a=xxxxxxxx; while :; do a=$a$a; done",
    "i=0; while :; do ln -s /l$i /l$((i+1)); cat /l$i; i=$((i+1)); done > /dev/null 2>&1",
    "f() { f; }; f",
    "while :; do exec 3< /etc/hosts 4< /etc/hosts 5< /dev/zero; head -c 999999 <&5 > /dev/null; done",
];
const CROWD: usize = 100;

fn crowd() -> String {
    let pod = |number: usize| {
        serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("hostile-{number}"), "labels": {"kind": "hostile"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                "name": "main", "image": "busybox",
                "command": ["sh", "-c", ATTACKS[number % ATTACKS.len()]],
                "resources": {"limits": {"memory": "64Mi", "ephemeral-storage": "32Mi"}},
            }]},
        })
    };
    let pods: Vec<String> = (0..CROWD).map(|number| pod(number).to_string()).collect();
    pods.join("\n---\n")
}

/// `GET /` over a new connection: whether nginx's page came.
fn is_answered(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.contains("nginx"))
}

/// How long it takes them is for the bench `hostile` to say.
#[test]
fn a_hundred_hostile_pods_keep_no_server_from_answering() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl("run web --image=nginx --port=80");
    cluster.kubectl("expose pod web --type=NodePort");
    cluster.wait_for("condition=Ready", "pod/web");
    let port = cluster.node_port("web");
    // The Service's door follows its Pod a moment later.
    assert!((0..100).any(|_| is_answered(port)));
    let (memory, files) = (cluster.resident_bytes(), cluster.open_files());
    let crowd = home.file("crowd.yaml", crowd());
    cluster.kubectl(&format!("apply -f {crowd}"));
    let has_begun = "jsonpath={.status.containerStatuses[0].started}=true";
    for number in [0, CROWD / 2, CROWD - 6] {
        cluster.wait_for(has_begun, &format!("pod/hostile-{}", number / 10 * 10));
    }
    let answered = (0..300).filter(|_| is_answered(port)).count();
    assert_eq!(answered, 300);
    assert_eq!(cluster.kubectl("get pods --no-headers").lines().count(), CROWD + 1);
    cluster.kubectl("delete pods -l kind=hostile --timeout=50s");
    assert!(is_answered(port));
    // What is made once for a hundred Pods is kept: pools, caches, the C library's arenas.
    let after = cluster.resident_bytes();
    assert!(after < memory + 512 * MIB, "{} KiB became {} KiB", memory >> 10, after >> 10);
    for _ in 0..100 {
        if cluster.open_files() <= files + 64 {
            return;
        }
        cluster.kubectl("get pods");
    }
    panic!("{files} files became {}", cluster.open_files());
}

/// What `round` leaves behind is below `bytes_max`, in one of five rounds. What is made once is made
/// in the first of them, and what goes on beside it (compiling busybox again, with optimisations)
/// ends; what leaks grows in every one.
#[track_caller]
fn check_growth(cluster: &Cluster<'_>, bytes_max: u64, round: impl Fn()) {
    let mut before = cluster.resident_bytes();
    let mut growths = Vec::new();
    while growths.last().is_none_or(|growth| *growth >= bytes_max) {
        assert!(growths.len() < 5, "each round left bytes: {growths:?}");
        round();
        let after = cluster.resident_bytes();
        growths.push(after.saturating_sub(before));
        before = after;
    }
}

/// A kubectl whose output nobody takes; killed when dropped.
struct Unread(Child);

impl Unread {
    fn start(home: &Home) -> Self {
        let mut kubectl = home.kubectl(&["exec", "guest", "--", "yes"]);
        kubectl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(kubectl.spawn().unwrap())
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
