//! The programs people look around with, in Pods that are on the network: who listens, who answers,
//! under which name.

use crate::support::{Cluster, Home};

/// A web server of one line, a port that echoes, and somebody who asks.
const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - name: main
    image: busybox
    ports: [{name: http, containerPort: 8080}]
    command:
    - sh
    - -c
    - |
      nc -lk -p 7000 -e cat &
      cat > /answer <<'END'
      while read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
      printf 'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nhello from %s' "web"
      END
      exec nc -lk -p 8080 -e sh /answer
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers:
  - {name: main, image: busybox, command: [sleep, "100000"]}
---
apiVersion: v1
kind: Service
metadata: {name: site}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
"#;

struct Client<'a>(&'a Cluster<'a>);

impl Client<'_> {
    /// A script in the Pod that asks; its output and exit code.
    #[track_caller]
    fn asks(&self, script: &str) -> (String, i32) {
        let answer = self.0.run_words(&["exec", "client", "--", "sh", "-c", script]);
        (answer.stdout.clone() + &answer.stderr, answer.code)
    }

    /// The same; it must succeed.
    #[track_caller]
    fn sees(&self, script: &str) -> String {
        let answer = self.0.run_words(&["exec", "client", "--", "sh", "-c", script]);
        assert_eq!(answer.code, 0, "{script}\n{}", answer.all());
        answer.stdout
    }
}

#[track_caller]
fn start(home: &Home, cluster: &Cluster<'_>) -> String {
    cluster.kubectl(&format!("apply -f {}", home.file("network.yaml", PODS)));
    cluster.wait_for("condition=Ready", "pod/web");
    cluster.wait_for("condition=Ready", "pod/client");
    cluster.kubectl("get pod web -o jsonpath={.status.podIP}")
}

#[test]
fn a_pod_is_reached_by_its_address() {
    let home = Home::new();
    let cluster = home.up();
    let ip = start(&home, &cluster);
    let client = Client(&cluster);

    // As everybody waits for a database.
    client.sees(&format!("while ! nc -z {ip} 7000; do sleep 0.1; done"));
    assert_eq!(client.sees(&format!("echo over here | nc {ip} 7000")), "over here\n");
    client.sees(&format!("until curl -sf http://{ip}:8080; do sleep 0.1; done"));
    assert_eq!(client.sees(&format!("curl -s http://{ip}:8080")), "hello from web");
    assert_eq!(client.sees(&format!("wget -qO- http://{ip}:8080/x")), "hello from web");
    let code = client.sees(&format!("curl -so /dev/null -w '%{{http_code}}' http://{ip}:8080"));
    assert_eq!(code, "200");
    let told = client.sees(&format!("curl -sv http://{ip}:8080 2>&1 | tr -d '\\r'"));
    for line in [
        &format!("* Connected to {ip} ({ip}) port 8080 (#0)"),
        "> GET / HTTP/1.1",
        "< HTTP/1.1 200 OK",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }

    // Nobody listens, nobody is there, nobody has the name.
    let (told, code) = client.asks(&format!("nc {ip} 9"));
    let expect = format!("nc: can't connect to remote host ({ip}): Connection refused\n");
    assert!(code == 1 && told.starts_with(&expect), "{told}");
    assert_eq!(client.asks(&format!("nc -z {ip} 9")).1, 1);
    let (told, code) = client.asks(&format!("curl -sS http://{ip}:9"));
    assert!(
        code == 7 && told.starts_with(&format!("curl: (7) Failed to connect to {ip} port 9")),
        "{told}"
    );
    let (told, code) = client.asks("wget -q http://10.42.250.250/");
    let expect = "wget: can't connect to remote host (10.42.250.250): No route to host\n";
    assert!(code == 1 && told.starts_with(expect), "{told}");
    let (told, code) = client.asks("curl -sS http://nosuch.invalid/");
    assert!(
        code == 6 && told.starts_with("curl: (6) Could not resolve host: nosuch.invalid\n"),
        "{told}"
    );
    let (told, code) = client.asks("curl -sS ftp://site/");
    assert!(code == 1 && told.contains("Protocol \"ftp\" not supported"), "{told}");
}

#[test]
fn a_service_is_reached_by_its_name() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);
    let client = Client(&cluster);

    client.sees("until wget -qO- http://site; do sleep 0.1; done");
    for name in ["site", "site.default", "site.default.svc", "site.default.svc.cluster.local"] {
        assert_eq!(client.sees(&format!("curl -s http://{name}")), "hello from web");
    }
    let ip = cluster.kubectl("get service site -o jsonpath={.spec.clusterIP}");
    let found = client.sees("nslookup site");
    let expect = format!(
        "Server:\t\t10.43.0.10\nAddress:\t10.43.0.10:53\n\nName:\tsite.default.svc.cluster.local\nAddress: {ip}\n"
    );
    assert!(found.starts_with(&expect), "{found}");
    let found = client.sees("nslookup -type=srv _http._tcp.site.default.svc.cluster.local");
    assert!(found.contains("service = 0 100 80 site.default.svc.cluster.local\n"), "{found}");
    let found = client.sees(&format!("nslookup {ip}"));
    assert!(found.contains("name = site.default.svc.cluster.local\n"), "{found}");
    let (told, code) = client.asks("nslookup nosuch");
    assert!(code == 1 && told.contains("** server can't find nosuch: NXDOMAIN"), "{told}");
}

#[test]
fn a_pod_knows_its_own_address() {
    let home = Home::new();
    let cluster = home.up();
    start(&home, &cluster);
    let client = Client(&cluster);

    let ip = cluster.kubectl("get pod client -o jsonpath={.status.podIP}");
    assert_eq!(client.sees("hostname -i"), format!("{ip}\n"));
    let found = client.sees("ip -4 -o addr show dev eth0 | awk '{print $4}' | cut -d/ -f1");
    assert_eq!(found, format!("{ip}\n"));
    assert!(client.sees("ifconfig eth0").contains(&format!("inet addr:{ip} ")));
    // Its own loopback, and both directions at once.
    let script = "nc -l -p 5000 > /heard & while ! nc -z localhost 5000; do sleep 0.1; done; wait; \
                  nc -u -l -p 5001 -w 1 > /heard & \
                  while [ ! -s /heard ]; do echo hi | nc -u -w 1 127.0.0.1 5001; done; wait; head -n1 /heard";
    assert_eq!(client.sees(script), "hi\n");
}
