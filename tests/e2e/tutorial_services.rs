//! Sections 2.2 and 2.3 of the tutorial, command by command, on its own YAML.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[cfg(unix)]
use crate::support::Seat;
use crate::support::{Cluster, Home, run, tutorial};

/// How often kubectl is asked for what is about to come; it takes some 100 ms each time.
const LOOKS_MAX: usize = 300;

fn names(cluster: &Cluster<'_>) -> Vec<String> {
    let names = cluster.kubectl("get pods -l app=nginx -o name");
    names.lines().map(str::to_owned).collect()
}

#[track_caller]
fn until(cluster: &Cluster<'_>, is_it: impl Fn(&[String]) -> bool) {
    let come = (0..LOOKS_MAX).any(|_| is_it(&names(cluster)));
    assert!(come, "{}", cluster.kubectl("get pods -l app=nginx"));
}

#[test]
fn section_2_2_works_as_printed() {
    let home = Home::new();
    let cluster = home.up();
    let deployment = tutorial("deployment.yaml");
    let created = cluster.kubectl(&format!("apply -f {deployment}"));
    assert_eq!(created, "deployment.apps/nginx-deployment created\n");
    cluster.kubectl("rollout status deployment/nginx-deployment --timeout=50s");

    let row = cluster.kubectl("get deployment --no-headers");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..4], ["nginx-deployment", "3/3", "3", "3"], "{row}");
    let both = cluster.kubectl("get deployment,pod");
    assert!(both.contains("deployment.apps/nginx-deployment"), "{both}");
    assert_eq!(both.matches("pod/nginx-deployment-").count(), 3, "{both}");

    let before = names(&cluster);
    cluster.kubectl(&format!("delete {}", before[0]));
    until(&cluster, |names| names.len() == 3 && !names.contains(&before[0]));

    let scaled = cluster.kubectl("scale deployment/nginx-deployment --replicas=5");
    assert_eq!(scaled, "deployment.apps/nginx-deployment scaled\n");
    cluster.wait_for("jsonpath={.status.readyReplicas}=5", "deployment/nginx-deployment");
    let row = cluster.kubectl("get deployment nginx-deployment --no-headers");
    assert!(row.contains("5/5"), "{row}");

    let deleted = cluster.kubectl("delete deployment nginx-deployment");
    assert_eq!(deleted, "deployment.apps \"nginx-deployment\" deleted\n");
    until(&cluster, <[String]>::is_empty);
    cluster.kubectl(&format!("apply -f {deployment}"));
    cluster.kubectl(&format!("delete -f {deployment}"));
    cluster.refused("get deployment nginx-deployment");
}

/// As `curl -X GET URL` from this machine.
fn curl(address: &str) -> std::io::Result<String> {
    let address: SocketAddr = address.parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(unix)]
#[test]
fn section_2_3_works_as_printed() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", tutorial("deployment.yaml")));
    cluster.kubectl("rollout status deployment/nginx-deployment --timeout=50s");

    assert!(cluster.kubectl("get pod -o wide").contains("10.42."));
    let pod_ip = cluster.kubectl("get pods -l app=nginx -o jsonpath={.items[0].status.podIP}");
    // From outside there is no way to it; a machine's gateway may say so in words of its own.
    assert!(!curl(&format!("{pod_ip}:80")).is_ok_and(|answer| answer.contains("nginx")));

    let data = home.path().join("data");
    let data = data.to_str().unwrap();
    let mut seat = Seat::take(home.sampan(&["ssh", "--data-dir", data]), 120, 40);
    seat.until("/ # ");
    let inside = seat.run(&format!("curl -X GET {pod_ip} -vvv"), "/ # ");
    assert!(inside.contains("200") && inside.contains("<html"), "{inside}");
    // As printed, it goes on until somebody has seen enough.
    seat.type_in(&format!("ping {pod_ip}\r"));
    seat.until("\r\n");
    seat.until(&format!("PING {pod_ip} ({pod_ip}): 56 data bytes\r\n"));
    seat.until(&format!("64 bytes from {pod_ip}: seq=1 ttl=64 time="));
    seat.type_in("\x03");
    let tally = seat.until("/ # ");
    assert!(tally.contains(", 0% packet loss\r\nround-trip min/avg/max = "), "{tally}");

    let service = cluster.kubectl(&format!("apply -f {}", tutorial("service.yaml")));
    assert_eq!(service, "service/my-nginx created\n");
    let row = cluster.kubectl("get service my-nginx --no-headers");
    assert!(row.contains("NodePort") && row.contains("80:3"), "{row}");
    let cluster_ip = cluster.kubectl("get service my-nginx -o jsonpath={.spec.clusterIP}");
    let name = "my-nginx.default.svc.cluster.local";
    for target in [cluster_ip.as_str(), "my-nginx", name] {
        let inside =
            seat.run(&format!("curl -s -o /dev/null -w '%{{http_code}}\\n' {target}"), "/ # ");
        assert_eq!(inside, "200\n", "{target}");
        let inside = seat.run(&format!("ping -c 2 -i 0.1 -W 5 {target}"), "/ # ");
        assert!(inside.starts_with(&format!("PING {target} ({cluster_ip}): 56 ")), "{inside}");
        assert!(inside.contains("\n2 packets transmitted, 2 packets received, 0% "), "{inside}");
    }
    let unknown = seat.run("ping -c 1 my-apache; echo $?", "/ # ");
    assert_eq!(unknown, "ping: bad address 'my-apache'\n1\n");
    let nobody = seat.run("ping -c 1 -W 1 10.42.250.250; echo $?", "/ # ");
    assert!(nobody.contains("From 10.42.250.250: seq=0 Destination Host Unreachable\n"));
    assert!(nobody.ends_with("1 packets transmitted, 0 packets received, 100% packet loss\n1\n"));
    // And from a Pod.
    let pod = names(&cluster).remove(0);
    let said = cluster.kubectl(&format!("exec {pod} -- ping -c 1 my-nginx"));
    assert!(said.contains("1 packets received"), "{said}");
    seat.type_in("exit\r");
    assert_eq!(seat.leave().0, 0);

    let ip = run(home.sampan(&["ip", "--data-dir", data])).stdout;
    let port = cluster.kubectl("get service my-nginx -o jsonpath={.spec.ports[0].nodePort}");
    let outside = curl(&format!("{}:{port}", ip.trim())).unwrap();
    assert!(outside.starts_with("HTTP/1.1 200"), "{outside}");
    let url = run(home.sampan(&["service", "my-nginx", "--url", "--data-dir", data])).stdout;
    assert_eq!(url, format!("http://{}:{port}\n", ip.trim()));
}
