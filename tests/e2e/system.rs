//! The programs that tell of the system, in a real container: what they say is the container's own.

use crate::support::{Cluster, Home};

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: machine}
spec:
  containers:
  - name: main
    image: busybox
    command: [sh, -c, "sleep 1000 & echo started; while true; do sleep 2000; done"]
    resources: {limits: {memory: 64Mi, cpu: 500m}}
"#;

/// The Pod, with its first processes.
#[track_caller]
fn start(home: &Home, cluster: &Cluster<'_>) {
    cluster.kubectl(&format!("apply -f {}", home.file("machine.yaml", POD)));
    cluster.wait_for("condition=Ready", "pod/machine");
    cluster.follow("logs -f machine").line_with("started");
}

/// What a program of the container prints, as words line by line.
#[track_caller]
fn told(cluster: &Cluster<'_>, line: &str) -> Vec<Vec<String>> {
    let text = cluster.kubectl(&format!("exec machine -- {line}"));
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// The line that ends with these words.
#[track_caller]
fn line_of<'a>(lines: &'a [Vec<String>], end: &[&str]) -> &'a [String] {
    let found = lines
        .iter()
        .find(|line| line.ends_with(&end.iter().map(|&w| w.to_owned()).collect::<Vec<_>>()));
    found.unwrap_or_else(|| panic!("no line ends with {end:?}: {lines:#?}"))
}

#[test]
fn a_container_is_a_machine_of_its_own() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);

    let processes = told(&cluster, "ps");
    assert_eq!(processes[0], ["PID", "USER", "TIME", "COMMAND"]);
    assert_eq!(processes[1][..4], ["1", "root", "0:00", "sh"], "{processes:?}");
    line_of(&processes, &["ps"]);
    assert_eq!(told(&cluster, "ps aux")[0], processes[0]);

    // Its memory is its limit, in kibibytes, and someone uses some of it.
    let memory = told(&cluster, "free");
    assert_eq!(memory[1][..2], ["Mem:", "65536"], "{memory:?}");
    let used: u64 = memory[1][2].parse().unwrap();
    assert!(used > 0 && used < 65536, "{memory:?}");
    // Half a core is one that is shared.
    assert_eq!(told(&cluster, "nproc"), [["1"]]);
    assert_eq!(told(&cluster, "uptime")[0][1], "up");

    let mounts = told(&cluster, "mount");
    assert!(mounts.iter().any(|line| line[1..5] == ["on", "/", "type", "overlay"]), "{mounts:?}");
    assert!(line_of(&told(&cluster, "df -h"), &["/"])[4].ends_with('%'));
    let refused = cluster.refused("exec machine -- mount -t tmpfs none /mnt");
    assert!(refused.contains("nothing can be mounted from inside"), "{refused}");

    let top = told(&cluster, "top -b -n1");
    assert_eq!(top[0][0], "Mem:");
    line_of(&top, &["sleep", "1000"]);
}

#[test]
fn processes_are_found_and_ended_by_name_and_number() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);

    let pid = told(&cluster, "pgrep -f 1000$")[0][0].clone();
    assert_eq!(line_of(&told(&cluster, "ps"), &["sleep", "1000"])[0], pid);
    cluster.kubectl(&format!("exec machine -- kill -0 {pid}"));
    // It is gone when there is nobody to ask for any more.
    let end = format!("kill {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done");
    let ended = cluster.run_words(&["exec", "machine", "--", "sh", "-c", &end]);
    assert_eq!(ended.code, 0, "{}", ended.all());
    let gone = cluster.refused(&format!("exec machine -- kill -0 {pid}"));
    assert!(gone.contains(&format!("kill: can't kill pid {pid}: No such process")), "{gone}");

    let nobody = cluster.refused("exec machine -- killall nobody");
    assert!(nobody.contains("nobody: no process killed"), "{nobody}");
    assert!(!told(&cluster, "pidof sleep")[0].contains(&pid));
    assert_eq!(cluster.run("exec machine -- pkill -9 sleep").code, 0);
    assert_eq!(cluster.run("exec machine -- pgrep nobody").code, 1);
}

#[test]
fn what_needs_a_terminal_says_so_or_does_without() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);

    let stty = cluster.refused("exec machine -- stty size");
    assert!(stty.contains("stty: standard input: Inappropriate ioctl for device"), "{stty}");
    assert!(cluster.refused("exec machine -- vi /tmp/x").contains("not a terminal"));
    assert_eq!(cluster.run("exec machine -- tty").stdout, "not a tty\n");
    let lines =
        cluster.run_words(&["exec", "machine", "--", "sh", "-c", "seq 3 | less; seq 4 5 | more"]);
    assert_eq!(lines.stdout, "1\n2\n3\n4\n5\n", "{}", lines.all());
    let time = cluster.run("exec machine -- time -p true");
    assert!(time.stderr.starts_with("real 0."), "{}", time.all());
}
