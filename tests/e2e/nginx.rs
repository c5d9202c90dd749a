//! The built-in nginx, as the tutorial and its reader use it.

use crate::support::{Cluster, Home, tutorial};

const CLIENT: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: busybox, image: busybox, command: [sleep, '100000']}
";

const WEB: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: nginx, image: 'nginx:1.14.2'}
---
apiVersion: v1
kind: Pod
metadata: {name: apache}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: httpd, image: 'httpd:2.4'}
---
apiVersion: v1
kind: Pod
metadata: {name: wrong}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: nginx
    image: nginx
    command: [sh, -c, 'echo \"events {} http { serve {} }\" > /tmp/x.conf; exec nginx -c /tmp/x.conf']
";

fn ip(cluster: &Cluster<'_>, pod: &str) -> String {
    cluster.kubectl(&format!("get pod {pod} -o jsonpath={{.status.podIP}}"))
}

fn with_client(home: &Home) -> Cluster<'_> {
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", home.file("client.yaml", CLIENT)));
    cluster
}

#[test]
fn the_tutorials_pods_serve_the_welcome_page() {
    let home = Home::new();
    let cluster = with_client(&home);
    cluster.kubectl(&format!("apply -f {}", tutorial("deployment.yaml")));
    cluster.kubectl("rollout status deployment/nginx-deployment --timeout=60s");
    cluster.wait_for("condition=Ready", "pod/client");
    let pods = cluster.kubectl(
        "get pods -l app=nginx -o jsonpath={range.items[*]}{.metadata.name}={.status.podIP};{end}",
    );
    let pods: Vec<_> = pods.trim_end_matches(';').split(';').collect();
    assert_eq!(pods.len(), 3, "{pods:?}");
    for pod in pods {
        let (name, ip) = pod.split_once('=').unwrap();
        let page = cluster.kubectl(&format!("exec client -- wget -qO- http://{ip}/"));
        assert!(page.contains("<title>Welcome to nginx!</title>"), "{page}");
        cluster.follow(&format!("logs -f {name}")).line_with("\"GET / HTTP/1.1\" 200 ");
    }
}

#[test]
fn a_pod_s_page_is_changed_from_inside() {
    let home = Home::new();
    let cluster = with_client(&home);
    cluster.kubectl(&format!("apply -f {}", home.file("web.yaml", WEB)));
    for pod in ["web", "apache", "client"] {
        cluster.wait_for("condition=Ready", &format!("pod/{pod}"));
    }
    let web = ip(&cluster, "web");
    let get = |path: &str| cluster.run(&format!("exec client -- wget -qO- http://{web}{path}"));
    assert!(get("/").stdout.contains("Welcome to nginx!"));
    for text in ["one", "another"] {
        let script = format!("echo {text} > /usr/share/nginx/html/index.html");
        let answer = cluster.run_words(&["exec", "web", "--", "bash", "-c", &script]);
        assert_eq!(answer.code, 0, "{}", answer.all());
        assert_eq!(get("/").stdout, format!("{text}\n"));
    }
    let missing = get("/missing");
    assert!(missing.code != 0 && missing.stderr.contains("404"), "{}", missing.all());
    let logs = cluster.follow("logs -f web");
    logs.line_with(
        "open() \"/usr/share/nginx/html/missing\" failed (2: No such file or directory)",
    );
    let client = ip(&cluster, "client");
    cluster.follow("logs -f web").line_with(&format!("{client} - - ["));

    let apache = ip(&cluster, "apache");
    let page = cluster.kubectl(&format!("exec client -- wget -qO- http://{apache}/"));
    assert!(page.contains("It works!"), "{page}");
}

#[test]
fn the_command_line_checks_and_refuses() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", home.file("web.yaml", WEB)));
    cluster.wait_for("condition=Ready", "pod/web");
    let checked = cluster.run("exec web -- nginx -t");
    assert_eq!(checked.code, 0, "{}", checked.all());
    let well = "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n\
                nginx: configuration file /etc/nginx/nginx.conf test is successful\n";
    assert!(checked.stderr.contains(well), "{}", checked.all());
    let version = cluster.run("exec web -- nginx -v");
    assert!(version.stderr.starts_with("nginx version: nginx/"), "{}", version.all());
    cluster.wait_for("jsonpath={.status.phase}=Failed", "pod/wrong");
    let said = cluster.kubectl("logs wrong");
    assert_eq!(said, "nginx: [emerg] unknown directive \"serve\" in /tmp/x.conf:1\n");
}

/// Two servers of names, and one that asks them under another name than theirs.
const NAMES: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: back, labels: {app: back}}
spec:
  containers:
  - name: main
    image: nginx
    command: [sh, -c]
    args:
    - |
      cat > /tmp/x.conf <<'END'
      events {}
      http {
        server { listen 80 default_server; return 200 "somebody's: $host"; }
        server { listen 80; server_name shop.example; return 200 "the shop's"; }
      }
      END
      exec nginx -c /tmp/x.conf
---
apiVersion: v1
kind: Service
metadata: {name: back}
spec: {selector: {app: back}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: front}
spec:
  containers:
  - name: main
    image: nginx
    command: [sh, -c]
    args:
    - |
      cat > /tmp/x.conf <<'END'
      events {}
      http {
        server {
          listen 80;
          location /plain { proxy_pass http://back; }
          location /shop { proxy_pass http://back; proxy_set_header Host shop.example; }
          location /mine { proxy_pass http://back; proxy_set_header Host $host; }
        }
      }
      END
      exec nginx -c /tmp/x.conf
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers: [{name: main, image: busybox, command: [sleep, "100000"]}]
"#;

#[test]
fn an_upstream_reads_the_host_that_it_is_told() {
    let home = Home::new();
    let cluster = home.up();
    cluster.kubectl(&format!("apply -f {}", home.file("names.yaml", NAMES)));
    for pod in ["back", "front", "client"] {
        cluster.wait_for("condition=Ready", &format!("pod/{pod}"));
    }
    let front = ip(&cluster, "front");
    // Both may still be about to listen.
    let get = |path: &str| {
        let script = format!("until wget -qO- http://{front}{path}; do sleep 0.1; done");
        let line = ["exec", "client", "--", "timeout", "60", "sh", "-c", &script];
        let answer = cluster.run_words(&line);
        assert_eq!(answer.code, 0, "{}", answer.all());
        answer.stdout
    };
    assert_eq!(get("/plain"), "somebody's: back");
    assert_eq!(get("/shop"), "the shop's");
    assert_eq!(get("/mine"), format!("somebody's: {front}"));
}
