//! NetworkPolicies, between programs that try.

use std::process::Command;
use std::thread;

use crate::support::{Answer, Cluster, Home, outside, run};

/// A server with two TCP ports, one of them named, and four who try, in two namespaces.
const PODS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: v1
kind: Namespace
metadata: {name: guests, labels: {team: guests}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [netexec]
    ports: [{name: http, containerPort: 8080}]
  - {name: other, image: busybox, command: [nc, -lk, -p, "9000", -e, cat]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}, {name: other, port: 9000}]
"#;

const CLIENTS: &[&str] = &["shop/friend", "shop/stranger", "guests/friend", "guests/stranger"];

/// How long they try, in seconds: longer than a machine that has much to do takes to connect.
const PATIENCE_S: u32 = 3;
/// How often somebody tries what is about to become so.
const TRIES_MAX: usize = 100;

/// What agnhost says when it connects: nothing, if it can.
fn said(answer: &Answer) -> String {
    let said = answer.stderr.lines().next().unwrap_or_default().to_owned();
    assert_eq!(answer.code == 0, said.is_empty(), "{}", answer.all());
    said
}

struct Shop<'a> {
    home: &'a Home,
    cluster: &'a Cluster<'a>,
}

impl<'a> Shop<'a> {
    #[track_caller]
    fn open(home: &'a Home, cluster: &'a Cluster<'a>) -> Self {
        let mut manifest = PODS.to_owned();
        for client in CLIENTS {
            let (namespace, name) = client.split_once('/').unwrap();
            manifest += &format!(
                "---\napiVersion: v1\nkind: Pod\n\
                 metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\n\
                 spec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  \
                 - {{name: main, image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: [pause]}}\n"
            );
        }
        cluster.kubectl(&format!("apply -f {}", home.file("shop.yaml", manifest)));
        for namespace in ["shop", "guests"] {
            cluster.wait_for("condition=Ready", &format!("-n {namespace} pod --all"));
        }
        let shop = Self { home, cluster };
        shop.until("shop/friend", "web.shop:80", "");
        shop
    }

    fn exec(&self, client: &str, line: &str) -> Command {
        let (namespace, name) = client.split_once('/').unwrap();
        self.cluster.command(&format!("exec -n {namespace} {name} -- {line}"))
    }

    fn connecting(&self, client: &str, to: &str) -> Command {
        self.exec(client, &format!("/agnhost connect --timeout={PATIENCE_S}s {to}"))
    }

    fn connect(&self, client: &str, to: &str) -> String {
        said(&run(self.connecting(client, to)))
    }

    /// Waits for a policy to be in force, or out of it.
    #[track_caller]
    fn until(&self, client: &str, to: &str, said: &str) {
        let mut last = String::new();
        let is_so = (0..TRIES_MAX).any(|_| {
            last = self.connect(client, to);
            last == said
        });
        assert!(is_so, "{client} to {to}: {last:?} where {said:?} was expected");
    }

    /// Who of all gets through; the others must hear nothing at all.
    fn who_reaches(&self, to: &str) -> Vec<&'static str> {
        let tries = CLIENTS.iter().map(|client| (*client, self.connecting(client, to)));
        let tries: Vec<_> = tries
            .map(|(client, command)| (client, thread::spawn(move || said(&run(command)))))
            .collect();
        let mut through = Vec::new();
        for (client, said) in tries {
            match said.join().unwrap().as_str() {
                "" => through.push(client),
                said => assert_eq!(said, "TIMEOUT", "{client} to {to}"),
            }
        }
        through
    }

    #[track_caller]
    fn apply(&self, name: &str, spec: &str) {
        let policy = format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
             metadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n"
        );
        self.cluster.kubectl(&format!("apply -f {}", self.home.file("policy.yaml", policy)));
    }

    fn ip(&self, pod: &str) -> String {
        self.cluster.kubectl(&format!("get pod -n shop {pod} -o jsonpath={{.status.podIP}}"))
    }
}

const DENY_INGRESS: &str = "{podSelector: {}, policyTypes: [Ingress]}";
const WEB: &str = "web.shop:80";

#[test]
fn ingress_is_for_those_whom_a_selector_names() {
    let home = Home::new();
    let cluster = home.up();
    let shop = Shop::open(&home, &cluster);
    assert_eq!(shop.who_reaches(WEB), CLIENTS);

    shop.apply("default-deny", DENY_INGRESS);
    shop.until("shop/friend", WEB, "TIMEOUT");
    assert_eq!(shop.who_reaches(WEB), [""; 0]);
    // The programs people look with give up in their own words.
    let gives_up = |line: &str, code: i32, text: &str| {
        let answer = run(shop.exec("guests/friend", line));
        assert!(answer.code == code && answer.stderr.contains(text), "{line}: {}", answer.all());
    };
    gives_up("wget -T 1 -qO- http://web.shop", 1, "wget: download timed out");
    gives_up("nc -w 1 web.shop 80", 1, "timed out");
    gives_up("curl -sS -m 1 http://web.shop", 28, "curl: (28) Connection timed out after 1");
    let ping = run(shop.exec("guests/friend", &format!("ping -c 1 -W 1 {}", shop.ip("web"))));
    assert!(ping.code == 1 && ping.stdout.contains("100% packet loss"), "{}", ping.all());
    // The node itself always gets through, and so does what comes by it.
    let node = format!("127.0.0.1:{}", cluster.node_port("-n shop web"));
    let answer = outside::get(&node, "web", "/hostname").unwrap();
    assert!(answer.ends_with("\r\n\r\nweb"), "{answer}");
    let row = cluster.kubectl("get networkpolicy -n shop --no-headers");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>()[..2], ["default-deny", "<none>"]);

    let allow = |from: &str| {
        format!("{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{from: [{from}]}}]}}")
    };
    let (friend, guests) = (
        "podSelector: {matchLabels: {app: friend}}",
        "namespaceSelector: {matchLabels: {team: guests}}",
    );
    shop.apply("allow", &allow(&format!("{{{friend}}}")));
    shop.until("shop/friend", WEB, "");
    assert_eq!(shop.who_reaches(WEB), ["shop/friend"]);
    shop.apply("allow", &allow(&format!("{{{guests}}}")));
    shop.until("guests/friend", WEB, "");
    shop.until("shop/friend", WEB, "TIMEOUT");
    assert_eq!(shop.who_reaches(WEB), ["guests/friend", "guests/stranger"]);
    // Both in one peer: those Pods of those namespaces.
    shop.apply("allow", &allow(&format!("{{{friend}, {guests}}}")));
    shop.until("guests/stranger", WEB, "TIMEOUT");
    assert_eq!(shop.who_reaches(WEB), ["guests/friend"]);
    // Two peers: either.
    shop.apply("allow", &allow(&format!("{{{friend}}}, {{{guests}}}")));
    shop.until("shop/friend", WEB, "");
    assert_eq!(shop.who_reaches(WEB), ["shop/friend", "guests/friend", "guests/stranger"]);

    // Labels that change are heeded: a Pod's, and a namespace's.
    cluster.kubectl("label pod -n shop stranger app=friend --overwrite");
    shop.until("shop/stranger", WEB, "");
    cluster.kubectl("label namespace guests team=others --overwrite");
    shop.until("guests/friend", WEB, "TIMEOUT");

    cluster.kubectl("delete networkpolicy -n shop --all");
    shop.until("guests/stranger", WEB, "");
    assert_eq!(shop.who_reaches(WEB), CLIENTS);
}

#[test]
fn ingress_is_for_blocks_and_ports() {
    let home = Home::new();
    let cluster = home.up();
    let shop = Shop::open(&home, &cluster);
    let stranger = shop.ip("stranger");
    shop.apply(
        "web",
        &format!(
            "{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [\
               {{from: [{{ipBlock: {{cidr: 10.42.0.0/16, except: [{stranger}/32]}}}}], ports: [{{port: http}}]}}, \
               {{from: [{{podSelector: {{}}}}], ports: [{{port: 9000, endPort: 9010}}]}}]}}"
        ),
    );
    shop.until("shop/stranger", WEB, "TIMEOUT");
    assert_eq!(shop.who_reaches(WEB), ["shop/friend", "guests/friend", "guests/stranger"]);
    // The name is the Pod's port's; what the Service calls it does not matter.
    let direct = format!("{}:8080", shop.ip("web"));
    assert_eq!(shop.who_reaches(&direct), ["shop/friend", "guests/friend", "guests/stranger"]);
    assert_eq!(shop.who_reaches("web.shop:9000"), ["shop/friend", "shop/stranger"]);
    let told = cluster.kubectl("describe networkpolicy -n shop web");
    let spec = told.split_once("Spec:\n").map_or(told.as_str(), |(_, spec)| spec);
    assert_eq!(
        spec,
        format!(
            "  PodSelector:     app=web
  Allowing ingress traffic:
    To Port: http/TCP
    From:
      IPBlock:
        CIDR: 10.42.0.0/16
        Except: {stranger}/32
    ----------
    To Port Range: 9000-9010/TCP
    From:
      PodSelector: <none>
  Not affecting egress traffic
  Policy Types: Ingress
"
        )
    );
}

#[test]
fn egress_that_is_denied_takes_names_along() {
    let home = Home::new();
    let cluster = home.up();
    let shop = Shop::open(&home, &cluster);
    let (web, friend) = (format!("{}:8080", shop.ip("web")), "shop/friend");
    shop.apply(
        "default-deny",
        "{podSelector: {matchLabels: {app: friend}}, policyTypes: [Egress]}",
    );
    shop.until(friend, &web, "TIMEOUT");
    let lookup = "nslookup web.shop.svc.cluster.local";
    let answer = run(shop.exec(friend, lookup));
    assert!(answer.code == 1, "{}", answer.all());
    assert!(answer.all().contains("connection timed out; no servers could be reached"));
    let answer = run(shop.exec(friend, "wget -T 1 -qO- http://web"));
    assert!(answer.stderr.contains("wget: bad address 'web'"), "{}", answer.all());
    assert!(shop.connect(friend, "web:80").starts_with("DNS: "));
    // It may be reached, and itself answer; others are not concerned.
    assert_eq!(shop.connect("shop/stranger", WEB), "");
    assert_eq!(shop.connect("guests/friend", &web), "");

    // As every guide has it.
    shop.apply(
        "dns",
        "{podSelector: {}, policyTypes: [Egress], egress: [{\
           to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, \
                 podSelector: {matchLabels: {k8s-app: kube-dns}}}], \
           ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}]}",
    );
    let is_found = (0..TRIES_MAX).any(|_| run(shop.exec(friend, lookup)).code == 0);
    assert!(is_found, "the name server is still out of reach");
    assert_eq!(shop.connect(friend, "web:80"), "TIMEOUT");
    shop.apply(
        "web",
        "{podSelector: {matchLabels: {app: friend}}, policyTypes: [Egress], \
          egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}]}",
    );
    shop.until(friend, "web:80", "");
    assert_eq!(shop.connect(friend, "web:9000"), "TIMEOUT");
    let told = cluster.kubectl("describe networkpolicy -n shop dns");
    let expect =
        "  PodSelector:     <none> (Allowing the specific traffic to all pods in this namespace)
  Not affecting ingress traffic
  Allowing egress traffic:
    To Port: 53/UDP
    To Port: 53/TCP
    To:
      NamespaceSelector: kubernetes.io/metadata.name=kube-system
      PodSelector: k8s-app=kube-dns
  Policy Types: Egress
";
    assert!(told.ends_with(expect), "{told}");
    cluster.kubectl("delete networkpolicy -n shop --all");
    shop.until(friend, "web:9000", "");
}

#[test]
fn a_policy_that_cannot_be_is_refused() {
    let home = Home::new();
    let cluster = home.up();
    let refused = |spec: &str, text: &str| {
        let policy = format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
        );
        let said = cluster.refused(&format!("apply -f {}", home.file("policy.yaml", policy)));
        assert!(said.contains(text), "{said}");
    };
    refused(
        "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}",
        "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict \
         subset of `cidr`",
    );
    refused(
        "{podSelector: {}, egress: [{to: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}",
        "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer",
    );
    refused("{podselector: {}}", "unknown field \"spec.podselector\"");
    refused(
        "{podSelector: {}, policyTypes: [Inward]}",
        "spec.policyTypes[0]: Unsupported value: \"Inward\"",
    );
}
