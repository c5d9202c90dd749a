//! `sampan ip`, `service` and `ssh`, and what a Pod is told of the network in files and variables.

use std::process::Command;

#[cfg(unix)]
use crate::support::Following;
#[cfg(unix)]
use crate::support::Seat;
use crate::support::{Answer, Home, run, run_with_input};

fn sampan(home: &Home, words: &[&str]) -> Command {
    let data = home.path().join("data");
    let (command, rest) = words.split_first().unwrap();
    let own = [*command, "--data-dir", data.to_str().unwrap()];
    home.sampan(&[&own, rest].concat())
}

fn ssh(home: &Home, command: &[&str]) -> Answer {
    run(sampan(home, &[&["ssh", "--"], command].concat()))
}

#[track_caller]
fn check(answer: &Answer, code: i32, stdout: &str) {
    assert_eq!((answer.code, answer.stdout.as_str()), (code, stdout), "{}", answer.all());
}

#[test]
fn a_command_runs_inside_the_network() {
    let home = Home::new();
    let refused = ssh(&home, &["true"]);
    assert!(refused.code == 1 && refused.stderr.contains("does not run; start it: sampan up"));
    let cluster = home.up();
    check(&run(sampan(&home, &["ip"])), 0, "127.0.0.1\n");
    check(&ssh(&home, &["hostname"]), 0, "sampan\n");
    check(&ssh(&home, &["sh", "-c", "echo out; echo err >&2; exit 3"]), 3, "out\n");
    let missing = ssh(&home, &["no-such-program"]);
    assert!(missing.code == 127 && missing.stderr.contains("no-such-program"), "{}", missing.all());
    let bytes: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let counted = run_with_input(sampan(&home, &["ssh", "--", "wc", "-c"]), &bytes);
    check(&counted, 0, "2000000\n");
    let shell = run_with_input(sampan(&home, &["ssh"]), b"cd /tmp\npwd\nexit 5\n");
    check(&shell, 5, "/tmp\n");
    // Each took its Pod along.
    assert_eq!(cluster.kubectl("get pods -n kube-system -l sampan.dev/ssh -o name"), "");
}

#[cfg(unix)]
#[test]
fn a_shell_has_our_terminal() {
    let home = Home::new();
    let _cluster = home.up();
    let mut seat = Seat::take(sampan(&home, &["ssh"]), 100, 30);
    seat.until("/ # ");
    assert_eq!(seat.run("stty size", "/ # "), "30 100\n");
    // What is typed before the line editor has left the terminal is text, as on a kernel's.
    seat.type_in("echo begun; sleep 1000\r");
    seat.until("\r\nbegun\r\n");
    seat.type_in("\x03");
    seat.until("/ # ");
    seat.type_in("exit 7\r");
    assert_eq!(seat.leave().0, 7);
}

#[cfg(unix)]
#[test]
fn a_client_that_is_killed_leaves_nothing_that_runs() {
    let home = Home::new();
    let cluster = home.up();
    let command = ["ssh", "--", "sh", "-c", "echo inside; sleep 1000"];
    let client = Following::start(sampan(&home, &command));
    client.line_with("inside");
    let name = cluster.kubectl("get pods -n kube-system -l sampan.dev/ssh -o name");
    let name = name.trim();
    // Killed, without a chance to clean up.
    drop(client);
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", &format!("-n kube-system {name}"));
    // The next one sweeps.
    check(&ssh(&home, &["true"]), 0, "");
    cluster.wait_for("delete", &format!("-n kube-system {name}"));
}

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: open}
spec:
  type: NodePort
  selector: {app: none}
  ports: [{name: web, port: 80, nodePort: 30123}, {name: https, port: 443, nodePort: 30124}]
---
apiVersion: v1
kind: Service
metadata: {name: closed}
spec: {selector: {app: none}, clusterIP: 10.43.7.7, ports: [{port: 80}]}
";

#[test]
fn a_service_s_urls_are_printed() {
    let home = Home::new();
    let cluster = home.up();
    let manifest = home.file("services.yaml", SERVICES);
    cluster.kubectl(&format!("apply -f {manifest}"));
    let urls = run(sampan(&home, &["service", "open", "--url"]));
    check(&urls, 0, "http://127.0.0.1:30123\nhttps://127.0.0.1:30124\n");
    assert!(urls.stderr.contains("no Pod behind open is ready"), "{}", urls.stderr);
    let table = run(sampan(&home, &["service", "open"])).stdout;
    assert!(table.contains("default     open   web/80        http://127.0.0.1:30123"), "{table}");
    let closed = run(sampan(&home, &["service", "closed"]));
    assert!(closed.code == 1, "{}", closed.all());
    assert!(closed.stderr.contains("kubectl port-forward -n default service/closed 8080:80"));
    let none = run(sampan(&home, &["service", "none", "-n", "kube-system"]));
    assert!(none.code == 1 && none.stderr.contains("\"none\" in the namespace \"kube-system\""));
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  hostname: first
  subdomain: sub
  hostAliases: [{ip: 1.2.3.4, hostnames: [alias]}]
  dnsConfig: {options: [{name: ndots, value: '2'}]}
  restartPolicy: Never
  containers:
  - name: c
    image: busybox
    env: [{name: URL, value: 'http://$(CLOSED_SERVICE_HOST):$(CLOSED_SERVICE_PORT)'}]
    command: [sh, -c, 'tail -4 /etc/hosts; cat /etc/resolv.conf /etc/hostname; hostname; env | grep -E \"^(CLOSED|URL)\" | sort']
";

#[test]
fn a_pod_is_told_of_the_network() {
    let home = Home::new();
    let cluster = home.up();
    let manifest = home.file("all.yaml", format!("{SERVICES}---{POD}"));
    cluster.kubectl(&format!("apply -f {manifest}"));
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/p");
    let ip = cluster.kubectl("get pod p -o jsonpath={.status.podIP}");
    assert_eq!(
        cluster.kubectl("logs p"),
        format!(
            "{ip}\tfirst.sub.default.svc.cluster.local\tfirst\n\
             \n\
             # Entries added by HostAliases.\n\
             1.2.3.4\talias\n\
             search default.svc.cluster.local svc.cluster.local cluster.local\n\
             nameserver 10.43.0.10\n\
             options ndots:2\n\
             first\n\
             first\n\
             CLOSED_PORT=tcp://10.43.7.7:80\n\
             CLOSED_PORT_80_TCP=tcp://10.43.7.7:80\n\
             CLOSED_PORT_80_TCP_ADDR=10.43.7.7\n\
             CLOSED_PORT_80_TCP_PORT=80\n\
             CLOSED_PORT_80_TCP_PROTO=tcp\n\
             CLOSED_SERVICE_HOST=10.43.7.7\n\
             CLOSED_SERVICE_PORT=80\n\
             URL=http://10.43.7.7:80\n"
        )
    );
}
