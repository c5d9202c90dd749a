//! How containers start, are told to end, and end: hooks, signals, grace periods, last words.

use crate::programs;
use crate::support::{Cluster, Home};

/// Keeps a Pod's object until the test has seen how its containers ended.
const KEPT: &str = "finalizers: [example.com/kept]";

/// A Pod of one busybox with this script; `more` are fields of its container.
fn shell(name: &str, grace_seconds: u32, script: &str, more: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, {KEPT}}}
spec:
  terminationGracePeriodSeconds: {grace_seconds}
  containers:
  - name: c
    image: busybox
    command:
    - sh
    - -c
    - |
      {}
{more}",
        script.replace('\n', "\n      ")
    )
}

impl Cluster<'_> {
    fn apply(&self, home: &Home, name: &str, manifest: &str) {
        let file = home.file(&format!("{name}.yaml"), manifest);
        self.kubectl(&format!("apply -f {file}"));
    }

    #[track_caller]
    fn wait_for_words(&self, pod: &str, words: &str) {
        self.wait_for("condition=Ready", &format!("pod/{pod}"));
        self.follow(&format!("logs -f {pod}")).line_with(words);
    }

    #[track_caller]
    fn wait_for_exit(&self, pod: &str, code: i32) {
        let state = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}";
        self.wait_for(&format!("{state}={code}"), &format!("pod/{pod}"));
    }

    fn status(&self, pod: &str, path: &str) -> String {
        self.kubectl(&format!("get pod {pod} -o jsonpath={{.status.containerStatuses[0].{path}}}"))
    }

    /// `reason: message` of each Event about the Pod, in no order.
    fn events(&self, pod: &str) -> String {
        let text = "-o=jsonpath={range .items[*]}{.type}:{.reason}:{.message}|{end}";
        let field = format!("--field-selector=involvedObject.name={pod}");
        let answer = self.run_words(&["get", "events", &field, text]);
        assert_eq!(answer.code, 0, "{}", answer.all());
        answer.stdout
    }

    #[track_caller]
    fn release(&self, pod: &str) {
        let patch = "{\"metadata\":{\"finalizers\":null}}";
        let answer = self.run_words(&["patch", "pod", pod, "--type=merge", "-p", patch]);
        assert_eq!(answer.code, 0, "{}", answer.all());
        self.wait_for("delete", &format!("pod/{pod}"));
    }
}

#[test]
fn a_shell_that_traps_sigterm_says_goodbye_and_completes() {
    let home = Home::new();
    let cluster = home.up();
    let script = "trap 'echo bye; exit 0' TERM\necho up\nwhile true; do sleep 0.1; done";
    let more = "    lifecycle: {postStart: {sleep: {seconds: 1}}}\n";
    cluster.apply(&home, "polite", &shell("polite", 300, script, more));
    cluster.wait_for("condition=Ready", "pod/polite");
    let log = cluster.follow("logs -f polite");
    log.line_with("up");
    cluster.kubectl("delete pod polite --wait=false");
    log.line_with("bye");
    cluster.wait_for_exit("polite", 0);
    assert_eq!(cluster.status("polite", "state.terminated.reason"), "Completed");
    assert!(cluster.events("polite").contains("Normal:Killing:Stopping container c|"));
    cluster.release("polite");
}

#[test]
fn one_that_ignores_sigterm_is_killed_when_its_grace_period_is_over() {
    let home = Home::new();
    let cluster = home.up();
    let script = "trap '' TERM\necho up\nwhile true; do sleep 0.1; done";
    cluster.apply(&home, "deaf", &shell("deaf", 3, script, ""));
    cluster.wait_for_words("deaf", "up");
    cluster.kubectl("delete pod deaf --wait=false");
    cluster.wait_for_exit("deaf", 137);
    let over = cluster.kubectl("get pod deaf -o jsonpath={.metadata.deletionTimestamp}");
    assert!(cluster.status("deaf", "state.terminated.finishedAt") >= over);
    cluster.release("deaf");
}

#[test]
fn a_later_delete_shortens_the_grace_period() {
    let home = Home::new();
    let cluster = home.up();
    let script = "trap '' TERM\necho up\nwhile true; do sleep 0.1; done";
    cluster.apply(&home, "deaf", &shell("deaf", 3000, script, ""));
    cluster.wait_for_words("deaf", "up");
    cluster.kubectl("delete pod deaf --wait=false");
    let state = cluster.status("deaf", "state");
    assert!(state.contains("running"), "{state}");
    cluster.kubectl("delete pod deaf --now --wait=false");
    cluster.wait_for_exit("deaf", 137);
    cluster.release("deaf");
}

#[test]
fn nobody_waits_for_a_shell_that_someone_could_sit_at() {
    let home = Home::new();
    let cluster = home.up();
    let manifest = shell("seat", 300, "exec sh -i", "    stdin: true\n    tty: true\n");
    cluster.apply(&home, "seat", &manifest);
    cluster.wait_for("condition=Ready", "pod/seat");
    cluster.kubectl("delete pod seat --wait=false");
    cluster.wait_for_exit("seat", 143);
    cluster.release("seat");
}

#[test]
fn a_component_asks_to_be_told_and_ends_by_itself() {
    let home = Home::new();
    let program = home.file("graceful.wasm", programs::component("graceful"));
    let cluster = home.up_with(&["--allow-images", home.path().to_str().unwrap()]);
    for (name, args) in [("waits", "[]"), ("looks", "['500']")] {
        let manifest = format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: {name}, {KEPT}}}
spec:
  terminationGracePeriodSeconds: 300
  containers:
  - {{name: c, image: 'file://{program}', args: {args}}}
"
        );
        cluster.apply(&home, name, &manifest);
        cluster.wait_for("condition=Ready", &format!("pod/{name}"));
        let log = cluster.follow(&format!("logs -f {name}"));
        log.line_with("serving");
        cluster.kubectl(&format!("delete pod {name} --wait=false"));
        log.line_with("goodbye");
        cluster.wait_for_exit(name, 0);
        cluster.release(name);
    }
}

const HOOKS: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: hooks}
spec:
  containers:
  - name: web
    image: nginx
    ports: [{name: http, containerPort: 80}]
    lifecycle:
      postStart: {httpGet: {scheme: HTTPS, port: http, path: '/?web-started', httpHeaders: [{name: User-Agent, value: hook}]}}
      preStop: {exec: {command: [sh, -c, 'wget -qO /dev/null http://localhost/?web-stops; sleep 1']}}
  - name: app
    image: busybox
    command: [sleep, '1000']
    lifecycle:
      postStart: {exec: {command: [wget, -q, -O, /dev/null, 'http://localhost/?app-started']}}
      preStop: {httpGet: {port: 80, path: '/?app-stops'}}
  - name: nap
    image: busybox
    command: [sleep, '1000']
    lifecycle:
      postStart: {sleep: {seconds: 1}}
      preStop: {sleep: {seconds: 1}}
";

#[test]
fn hooks_run_when_a_container_has_started_and_before_it_ends() {
    let home = Home::new();
    let cluster = home.up();
    cluster.apply(&home, "hooks", HOOKS);
    cluster.wait_for("condition=Ready", "pod/hooks");
    let log = cluster.follow("logs -f hooks -c web");
    let asked = log.line_with("GET /?web-started");
    assert!(asked.contains("hook"), "{asked}");
    log.line_with("GET /?app-started");
    // One container after the other, each with its hook.
    let started = |name: &str| {
        let path = format!("{{.status.containerStatuses[?(@.name=='{name}')]");
        cluster.kubectl(&format!("get pod hooks -o jsonpath={path}.state.running.startedAt}}"))
    };
    assert!(started("web") <= started("app") && started("app") <= started("nap"));
    cluster.kubectl("delete pod hooks --wait=false");
    let lines = [log.line_with("-stops"), log.line_with("-stops")].concat();
    assert!(lines.contains("app-stops") && lines.contains("web-stops"), "{lines}");
    cluster.wait_for("delete", "pod/hooks");
    let events = cluster.events("hooks");
    let fallback = events.split('|').filter(|event| event.starts_with("Warning"));
    let fallback: Vec<&str> = fallback.collect();
    let expect = "got HTTP response, retry with HTTP succeeded";
    assert!(fallback.len() == 1 && fallback[0].ends_with(expect), "{events}");
}

#[test]
fn a_container_whose_post_start_hook_fails_is_ended_and_tried_again() {
    let home = Home::new();
    let cluster = home.up();
    let hooks = [
        ("exec", "{exec: {command: [sh, -c, 'echo no luck; exit 3']}}"),
        ("http", "{httpGet: {port: 81}}"),
        ("tcp", "{tcpSocket: {port: 80}}"),
    ];
    for (name, hook) in hooks {
        let more = format!("    lifecycle: {{postStart: {hook}}}\n");
        cluster.apply(&home, name, &shell(name, 300, "exec sleep 1000", &more));
    }
    for (name, _) in hooks {
        let waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
        cluster.wait_for(&format!("{waiting}=CrashLoopBackOff"), &format!("pod/{name}"));
        assert_eq!(cluster.status(name, "lastState.terminated.exitCode"), "143");
        let events = cluster.events(name);
        assert!(events.contains("Warning:FailedPostStartHook:PostStartHook failed|"), "{events}");
        assert!(events.contains("Normal:Killing:FailedPostStartHook|"), "{events}");
        cluster.kubectl(&format!("delete pod {name} --wait=false"));
        cluster.release(name);
    }
}

#[test]
fn a_pre_stop_hook_that_fails_is_told_in_an_event() {
    let home = Home::new();
    let cluster = home.up();
    let more = "    lifecycle: {preStop: {exec: {command: ['false']}}}\n";
    cluster.apply(&home, "fails", &shell("fails", 300, "exec sleep 1000", more));
    let more = "    lifecycle: {preStop: {exec: {command: [sleep, '1000']}}}\n";
    cluster.apply(&home, "hangs", &shell("hangs", 2, "exec sleep 1000", more));
    for name in ["fails", "hangs"] {
        cluster.wait_for("condition=Ready", &format!("pod/{name}"));
        cluster.kubectl(&format!("delete pod {name} --wait=false"));
        cluster.wait_for_exit(name, 143);
        let events = cluster.events(name);
        assert!(events.contains("Warning:FailedPreStopHook:PreStopHook failed|"), "{events}");
        cluster.release(name);
    }
}

const FAMILY: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: family}
spec:
  terminationGracePeriodSeconds: 300
  volumes: [{name: shared, emptyDir: {}}]
  initContainers:
  - name: first
    image: busybox
    command: [sh, -c, 'echo made by init > /shared/log']
    volumeMounts: [{name: shared, mountPath: /shared}]
  - name: side
    image: busybox
    restartPolicy: Always
    command: [sh, -c, 'trap \"cat /shared/log; echo side: bye; exit 0\" TERM; echo up; while true; do sleep 0.1; done']
    volumeMounts: [{name: shared, mountPath: /shared}]
  containers:
  - name: a
    image: busybox
    command: [sh, -c, 'trap \"echo a: bye >> /shared/log; exit 0\" TERM; echo up; while true; do sleep 0.1; done']
    volumeMounts: [{name: shared, mountPath: /shared}]
  - name: b
    image: busybox
    command: [sh, -c, 'trap \"sleep 1; echo b: bye >> /shared/log; exit 0\" TERM; echo up; while true; do sleep 0.1; done']
    volumeMounts: [{name: shared, mountPath: /shared}]
";

#[test]
fn a_sidecar_is_there_for_the_last_words_of_its_pod() {
    let home = Home::new();
    let cluster = home.up();
    cluster.apply(&home, "family", FAMILY);
    cluster.wait_for("condition=Ready", "pod/family");
    for name in ["side", "a", "b"] {
        cluster.follow(&format!("logs -f family -c {name}")).line_with("up");
    }
    let log = cluster.follow("logs -f family -c side");
    log.line_with("up");
    cluster.kubectl("delete pod family --wait=false");
    for line in ["made by init", "a: bye", "b: bye", "side: bye"] {
        assert_eq!(log.line_with(""), line);
    }
    cluster.wait_for("delete", "pod/family");
}

#[test]
fn last_words_are_read_from_a_volume_or_from_the_log() {
    let home = Home::new();
    let cluster = home.up();
    let pod = |name: &str, script: &str, more: &str| {
        let manifest = format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  volumes: [{{name: v, emptyDir: {{}}}}]
  containers:
  - name: c
    image: busybox
    command: [sh, -c, '{script}']
    volumeMounts: [{{name: v, mountPath: /data}}]
    {more}
"
        );
        cluster.apply(&home, name, &manifest);
        cluster.wait_for("jsonpath={.status.phase}=Failed", &format!("pod/{name}"));
        cluster.status(name, "state.terminated.message")
    };
    let path = "terminationMessagePath: /data/deep/message";
    assert_eq!(pod("volume", "echo why > /data/deep/message; exit 7", path), "why\n");
    let path = "terminationMessagePath: /tmp/message";
    assert_eq!(pod("own", "echo because > /tmp/message; exit 7", path), "because\n");
    let policy = "terminationMessagePolicy: FallbackToLogsOnError";
    assert_eq!(pod("log", "echo one; echo two >&2; exit 7", policy), "one\ntwo\n");
    // The end of what is too long.
    let long = "yes abcdefg | head -n 1000 > /dev/termination-log; echo end >> /dev/termination-log; exit 7";
    let message = pod("long", long, "");
    assert!(message.len() <= 4096 && message.len() > 4000, "{}", message.len());
    assert!(message.ends_with("abcdefg\nend\n"), "{message}");
}

#[test]
fn a_pod_that_was_ending_is_gone_after_a_restart_of_sampan() {
    let home = Home::new();
    let cluster = home.up();
    let script = "trap '' TERM\necho up\nwhile true; do sleep 0.1; done";
    let manifest = shell("deaf", 3000, script, "").replace(KEPT, "labels: {a: b}");
    cluster.apply(&home, "deaf", &manifest);
    cluster.wait_for_words("deaf", "up");
    cluster.kubectl("delete pod deaf --wait=false");
    assert!(cluster.kubectl("get pods").contains("Terminating"));
    cluster.kill();
    let cluster = home.up();
    cluster.wait_for("delete", "pod/deaf");
}

/// As the Kubernetes documentation has it (`pods/lifecycle-events.yaml`).
const DOCUMENTED: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: lifecycle-demo, finalizers: [example.com/kept]}
spec:
  terminationGracePeriodSeconds: 3000
  containers:
  - name: lifecycle-demo-container
    image: nginx
    lifecycle:
      postStart:
        exec: {command: [/bin/sh, -c, 'echo Hello from the postStart handler > /usr/share/message']}
      preStop:
        exec: {command: [/bin/sh, -c, 'nginx -s quit; while killall -0 nginx; do sleep 1; done']}
"#;

#[test]
fn the_documented_example_says_hello_and_quits() {
    let home = Home::new();
    let cluster = home.up();
    cluster.apply(&home, "demo", DOCUMENTED);
    cluster.wait_for("condition=Ready", "pod/lifecycle-demo");
    let message = cluster.kubectl("exec lifecycle-demo -- cat /usr/share/message");
    assert_eq!(message, "Hello from the postStart handler\n");
    cluster.kubectl("delete pod lifecycle-demo --wait=false");
    cluster.wait_for_exit("lifecycle-demo", 0);
    cluster.release("lifecycle-demo");
}
