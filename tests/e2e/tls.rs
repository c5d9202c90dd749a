//! curl and wget over https, from within a Pod: the API server as everybody asks it first, with a
//! token or a certificate; and what is said when the server is not to be trusted, or speaks no TLS.
//! What this machine's own curl says of the same server is said here too.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Answer, Cluster, Home, run, run_with_input};

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers:
  - {name: main, image: busybox, command: [sleep, "100000"]}
  - {name: silent, image: busybox, command: [sh, -c, "sleep 100000 | nc -lk -p 7000"]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: main, image: nginx}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"#;

const PODS_URL: &str = "https://kubernetes.default.svc/api/v1/namespaces/default/pods";
const VERSION_URL: &str = "https://kubernetes.default.svc/version";

struct Story<'a> {
    home: &'a Home,
    cluster: &'a Cluster<'a>,
}

impl<'a> Story<'a> {
    #[track_caller]
    fn begin(home: &'a Home, cluster: &'a Cluster<'a>) -> Self {
        cluster.kubectl(&format!("apply -f {}", home.file("pods.yaml", PODS)));
        cluster.wait_for("condition=Ready", "pod/client");
        let story = Self { home, cluster };
        let authority = "clusters[0].cluster.certificate-authority-data";
        story.write("/ca.crt", &story.config(authority));
        story
    }

    /// Something of the kubeconfig's, in base64.
    #[track_caller]
    fn config(&self, path: &str) -> String {
        self.cluster.kubectl(&format!("config view --raw -o jsonpath={{.{path}}}"))
    }

    /// Writes a file into the Pod.
    #[track_caller]
    fn write(&self, file: &str, base64: &str) {
        let script = format!("base64 -d > {file}");
        let words = ["exec", "-i", "client", "-c", "main", "--", "sh", "-c", &script];
        let command = self.home.kubectl(&words);
        let answer = run_with_input(command, base64.as_bytes());
        assert_eq!(answer.code, 0, "{}", answer.all());
    }

    fn asks(&self, script: &str) -> Answer {
        self.cluster.run_words(&["exec", "client", "-c", "main", "--", "sh", "-c", script])
    }

    /// The same; it must succeed.
    #[track_caller]
    fn sees(&self, script: &str) -> String {
        let answer = self.asks(script);
        assert_eq!(answer.code, 0, "{script}\n{}", answer.all());
        answer.stdout
    }

    /// The same; it must end with this code and say this first.
    #[track_caller]
    fn fails(&self, script: &str, code: i32, said: &str) {
        let answer = self.asks(script);
        assert_eq!(answer.code, code, "{script}\n{}", answer.all());
        assert!(answer.stderr.starts_with(said), "{script}\n{}", answer.all());
    }
}

/// A certificate that nobody has signed anything with, in base64 of its PEM.
fn stranger() -> String {
    let made = rcgen::generate_simple_self_signed(["stranger.test".to_owned()]).unwrap();
    STANDARD.encode(made.cert.pem())
}

#[test]
fn a_pod_asks_the_api_server() {
    let home = Home::new();
    let cluster = home.up();
    let story = Story::begin(&home, &cluster);

    // Whoever shows a token is who it is for.
    let token = cluster.kubectl("create token default");
    let bearer = format!("-H 'Authorization: Bearer {}'", token.trim());
    let review = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    let reviews = "https://kubernetes.default/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let told = story.sees(&format!("curl -sSk {bearer} --json '{review}' {reviews}"));
    assert!(told.contains("system:serviceaccount:default:default"), "{told}");
    let code = "-sSk -o /dev/null -w '%{http_code}'";
    let wrong = "-H 'Authorization: Bearer nonsense'";
    assert_eq!(story.sees(&format!("curl {code} {wrong} {PODS_URL}")), "401");
    assert_eq!(story.sees(&format!("curl {code} {PODS_URL}")), "403");
    let told = story.sees(&format!("curl -sSk {PODS_URL}"));
    assert!(told.contains("system:anonymous"), "{told}");

    // So does who shows a certificate; and the server shows one that the cluster's authority signed.
    story.write("/me.crt", &story.config("users[0].user.client-certificate-data"));
    story.write("/me.key", &story.config("users[0].user.client-key-data"));
    let me = "--cacert /ca.crt --cert /me.crt --key /me.key";
    let told = story.sees(&format!("curl -sS {me} {PODS_URL}"));
    assert!(told.contains("PodList") && told.contains("client"), "{told}");
    let map = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"from-a-pod"}}"#;
    let maps = "https://kubernetes.default.svc/api/v1/namespaces/default/configmaps";
    story.sees(&format!("curl -sSf {me} --json '{map}' {maps}"));
    let got = cluster.kubectl("get configmap from-a-pod -o name");
    assert_eq!(got, "configmap/from-a-pod\n");

    // One connection serves several pages; a long one comes whole.
    let twice = format!("curl -sS {me} -w '%{{num_connects}}\\n' -o /dev/null -o /dev/null");
    assert_eq!(story.sees(&format!("{twice} {VERSION_URL} {PODS_URL}")), "1\n0\n");
    let long = "https://kubernetes.default.svc/openapi/v3/api/v1";
    let bytes = story.sees(&format!("curl -sSf {me} {long} | wc -c"));
    assert!(bytes.trim().parse::<u64>().unwrap() > 100_000, "{bytes}");

    for name in ["CURL_CA_BUNDLE", "SSL_CERT_FILE"] {
        let facts = "%{http_code} %{scheme} %{ssl_verify_result}";
        let script = format!("{name}=/ca.crt curl -sS -o /dev/null -w '{facts}' {VERSION_URL}");
        assert_eq!(story.sees(&script), "200 HTTPS 0");
    }
    let told = story.sees(&format!("curl -sSv --cacert /ca.crt {VERSION_URL} 2>&1"));
    for line in [
        "* SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384",
        "*  subjectAltName: host \"kubernetes.default.svc\" matched cert's \"kubernetes.default.svc\"",
        "*  SSL certificate verify ok.",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }

    let fetched = story.sees(&format!("wget -qO- --ca-certificate=/ca.crt {VERSION_URL}"));
    assert!(fetched.contains("gitVersion"), "{fetched}");
    let fetched = story.sees(&format!("wget -qO- --no-check-certificate {VERSION_URL}"));
    assert!(fetched.contains("gitVersion"), "{fetched}");
    let script = format!("wget -qO- {VERSION_URL}");
    story.fails(&script, 1, "wget: can't verify kubernetes.default.svc's certificate: ");
}

#[test]
fn servers_that_are_not_trusted_are_told_of() {
    let home = Home::new();
    let cluster = home.up();
    let story = Story::begin(&home, &cluster);
    story.write("/stranger.crt", &stranger());
    cluster.wait_for("condition=Ready", "pod/web");

    let problem = "curl: (60) SSL certificate problem: ";
    story.fails(&format!("curl -sS --cacert /stranger.crt {VERSION_URL}"), 60, problem);
    let script = format!("curl -s -w '%{{errormsg}}' --cacert /stranger.crt {VERSION_URL}");
    let told = story.asks(&script);
    assert!(told.stdout.starts_with("SSL certificate problem: "), "{}", told.all());
    assert!(!told.stderr.contains("curl:"), "{}", told.all());
    let ip = cluster.kubectl("get service kubernetes -o jsonpath={.spec.clusterIP}");
    let said =
        "curl: (60) SSL: no alternative certificate subject name matches target host name 'a.b'";
    let script = format!("curl -sS --cacert /ca.crt --resolve a.b:443:{ip} https://a.b/version");
    story.fails(&script, 60, said);
    let script = format!("curl -sS --cacert /ca.crt --connect-to a.b::{ip}: https://a.b/version");
    story.fails(&script, 60, said);
    // The address itself is one of the certificate's names.
    story.sees(&format!("curl -sSf --cacert /ca.crt https://{ip}/version"));
    let said = "curl: (77) error setting certificate file: /nosuch\n";
    story.fails(&format!("curl -sS --cacert /nosuch {VERSION_URL}"), 77, said);
    let said = "curl: (58) could not load PEM client certificate from /nosuch";
    story.fails(&format!("curl -sSk --cert /nosuch {VERSION_URL}"), 58, said);

    // Who speaks no TLS, or nothing at all.
    story.sees("until curl -sf -o /dev/null http://web/; do sleep 0.1; done");
    story.fails("curl -sSk https://web:80/", 35, "curl: (35) TLS connect error: ");
    story.fails("wget -qO- https://web:80/", 1, "wget: TLS error: ");
    story.sees("until nc -z localhost 7000; do sleep 0.1; done");
    let said = "curl: (28) SSL connection timeout\n";
    story.fails("curl -sSk --connect-timeout 1 https://localhost:7000/", 28, said);
    let said = "curl: (28) Connection timed out after 1";
    story.fails("curl -sSk -m 1 https://localhost:7000/", 28, said);
    story.fails("wget -q -T 1 -O- https://localhost:7000/", 1, "wget: download timed out\n");
    story.fails("curl -sSk https://localhost:9/", 7, "curl: (7) Failed to connect to localhost");
}

#[test]
fn curl_says_what_this_machines_curl_says() {
    let home = Home::new();
    let cluster = home.up();
    let story = Story::begin(&home, &cluster);
    let stranger = stranger();
    story.write("/stranger.crt", &stranger);
    // The same files where the other curl finds them.
    let authority = story.config("clusters[0].cluster.certificate-authority-data");
    for (name, base64) in [("ca.crt", &authority), ("stranger.crt", &stranger)] {
        home.file(name, STANDARD.decode(base64).unwrap());
    }
    let server = story.config("clusters[0].cluster.server");

    let facts = "-o /dev/null -w '%{http_code} %{ssl_verify_result} %{num_connects}'";
    for options in [
        format!("-sS --http1.1 {facts} --cacert ca.crt"),
        format!("-sS --http1.1 {facts} --cacert stranger.crt"),
        format!("-sS --http1.1 {facts}"),
        format!("-sSk --http1.1 {facts}"),
        "-sS --cacert nosuch".to_owned(),
        "-sI --http1.1 -k -o /dev/null -w '%{http_code} %{http_version} %{content_type}'"
            .to_owned(),
    ] {
        let theirs = format!("cd {}; curl {options} {server}/version", home.path().display());
        let mut command = Command::new("sh");
        command.args(["-c", &theirs]);
        let theirs = run(command);
        let ours = story.asks(&format!("cd /; curl {options} {VERSION_URL}"));
        let first = |answer: &Answer| answer.stderr.lines().next().unwrap_or_default().to_owned();
        // kubectl adds a line of its own about the exit code.
        let ours_said = Some(first(&ours)).filter(|line| line.starts_with("curl: "));
        assert_eq!(
            (ours.code, ours.stdout.as_str(), ours_said.unwrap_or_default()),
            (theirs.code, theirs.stdout.as_str(), first(&theirs)),
            "curl {options}"
        );
    }
}
