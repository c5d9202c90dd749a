//! Certificates that users ask for, from the key to what they may.

use std::process::Command;

use crate::support::{Cluster, Home, run};

/// A key and a request for a certificate, made with openssl; answers the request in PEM, base64.
fn request(home: &Home, name: &str, subject: &str) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject]);
    openssl.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.csr")]);
    openssl.current_dir(home.path());
    let made = run(openssl);
    assert_eq!(made.code, 0, "{}", made.all());
    let mut base64 = Command::new("base64");
    base64.args(["-w0", &format!("{name}.csr")]).current_dir(home.path());
    run(base64).stdout
}

fn manifest(home: &Home, name: &str, subject: &str, more: &str) -> String {
    let pem = request(home, name, subject);
    home.file(
        &format!("{name}.yaml"),
        format!(
            "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\n\
             metadata: {{name: {name}}}\nspec:\n  request: {pem}\n  \
             signerName: kubernetes.io/kube-apiserver-client\n  usages: [client auth]\n{more}"
        ),
    )
}

/// Adds a user to the kubeconfig who shows the certificate that was issued.
fn become_user(home: &Home, cluster: &Cluster<'_>, name: &str) {
    let issued = format!("get csr {name} -o jsonpath={{.status.certificate}}");
    let issued = cluster.until(&issued, |certificate| !certificate.is_empty());
    let encoded = home.file(&format!("{name}.b64"), issued);
    let mut decode = Command::new("base64");
    decode.args(["-d", &encoded]);
    home.file(&format!("{name}.crt"), run(decode).stdout);
    let path = |end: &str| home.path().join(format!("{name}.{end}")).display().to_string();
    let (certificate, key) = (path("crt"), path("key"));
    cluster.kubectl(&format!(
        "config set-credentials {name} --client-certificate={certificate} --client-key={key} --embed-certs"
    ));
}

#[test]
fn a_user_is_who_the_certificate_says_and_may_what_roles_say() {
    let home = Home::new();
    let cluster = home.up();
    let ann = manifest(&home, "ann", "/O=dev/O=ops/CN=ann", "  expirationSeconds: 7200\n");
    cluster.kubectl(&format!("apply -f {ann}"));
    let row = cluster.kubectl("get csr ann --no-headers");
    let row: Vec<&str> = row.split_whitespace().collect();
    let expect = ["kubernetes.io/kube-apiserver-client", "kubernetes-admin", "120m", "Pending"];
    assert_eq!(row[2..], expect);
    assert_eq!(
        cluster.kubectl("certificate approve ann"),
        "certificatesigningrequest.certificates.k8s.io/ann approved\n"
    );
    become_user(&home, &cluster, "ann");
    assert!(cluster.kubectl("get csr ann").contains("Approved,Issued"));
    let who = cluster.kubectl("auth whoami --user=ann");
    for word in ["ann", "dev", "ops", "system:authenticated"] {
        assert!(who.contains(word), "{who}");
    }
    let mut subject = Command::new("openssl");
    subject.args(["x509", "-noout", "-subject", "-ext", "extendedKeyUsage", "-in", "ann.crt"]);
    subject.current_dir(home.path());
    let told = run(subject).stdout;
    assert!(told.contains("CN = ann") && told.contains("TLS Web Client Authentication"), "{told}");

    let refused = cluster.refused("get pods --user=ann");
    assert_eq!(
        refused,
        "Error from server (Forbidden): pods is forbidden: User \"ann\" cannot list resource \
         \"pods\" in API group \"\" in the namespace \"default\"\n"
    );
    cluster.kubectl("create role look --verb=list --resource=pods");
    cluster.kubectl("create rolebinding ops --role=look --group=ops");
    let told = cluster.run("get pods --user=ann");
    assert_eq!((told.code, told.stderr.trim()), (0, "No resources found in default namespace."));
    assert!(cluster.refused("get pods -A --user=ann").contains("at the cluster scope"));
    // What was decided is not decided again.
    let refused = cluster.refused("certificate deny ann");
    assert!(refused.contains("is already Approved"), "{refused}");

    // The certificates outlive a restart.
    cluster.kill();
    let cluster = home.up();
    assert_eq!(cluster.run("get pods --user=ann").code, 0);
}

#[test]
fn what_is_not_for_everybody_is_refused() {
    let home = Home::new();
    let cluster = home.up();
    let masters = manifest(&home, "eve", "/O=system:masters/CN=eve", "");
    let refused = cluster.refused(&format!("create -f {masters}"));
    assert!(
        refused.contains(
            "certificatesigningrequests.certificates.k8s.io \"eve\" is forbidden: use of \
             kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        ),
        "{refused}"
    );
    let bob = manifest(&home, "bob", "/CN=bob", "  expirationSeconds: 5\n");
    let refused = cluster.refused(&format!("create -f {bob}"));
    assert!(
        refused.contains(
            "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 \
             seconds (10 minutes)"
        ),
        "{refused}"
    );

    // Who may write requests may not decide them, unless they may for that signer.
    cluster.kubectl(
        "create clusterrole ask --verb=create,get,list,update \
         --resource=certificatesigningrequests.certificates.k8s.io,certificatesigningrequests.certificates.k8s.io/approval",
    );
    cluster.kubectl("create clusterrolebinding ask --clusterrole=ask --user=bob");
    let bob = manifest(&home, "bob", "/CN=bob", "");
    cluster.kubectl(&format!("create -f {bob} --as=bob"));
    let named = "get csr bob -o jsonpath={.spec.username}";
    assert_eq!(cluster.kubectl(named), "bob");
    let refused = cluster.refused("certificate approve bob --as=bob");
    assert!(
        refused.contains(
            "user not permitted to approve requests with signerName \
             \"kubernetes.io/kube-apiserver-client\""
        ),
        "{refused}"
    );
    cluster.kubectl(
        "create clusterrolebinding approve --user=bob \
         --clusterrole=system:certificates.k8s.io:kube-apiserver-client-approver",
    );
    cluster.kubectl("certificate deny bob --as=bob");
    assert!(cluster.kubectl("get csr bob").contains("Denied"));
    let described = cluster.kubectl("describe csr bob");
    assert!(described.contains("Denied") && described.contains("Common Name:"), "{described}");

    // A signer refuses what is not its own.
    let server = manifest(&home, "web", "/CN=web", "");
    let text = std::fs::read_to_string(&server).unwrap().replace("client auth", "server auth");
    let server = home.file("web.yaml", text);
    cluster.kubectl(&format!("create -f {server}"));
    cluster.kubectl("certificate approve web");
    cluster.until("get csr web", |row| row.contains("Approved,Failed"));
    let why = "get csr web -o jsonpath={.status.conditions[?(@.type==\"Failed\")].message}";
    assert_eq!(cluster.kubectl(why), "invalid usage for client certificate: server auth");
}

#[test]
fn a_kubelet_that_may_is_approved_without_anybody() {
    let home = Home::new();
    let cluster = home.up();
    cluster.until("get clusterroles -o name", |names| names.contains("selfnodeclient"));
    cluster.kubectl(
        "create clusterrolebinding renew --group=system:nodes \
         --clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
    );
    let node = manifest(&home, "node", "/O=system:nodes/CN=system:node:other", "");
    let text = std::fs::read_to_string(&node)
        .unwrap()
        .replace("kube-apiserver-client", "kube-apiserver-client-kubelet")
        .replace("[client auth]", "[client auth, digital signature, key encipherment]");
    let node = home.file("node.yaml", text);
    let asked = "--as=system:node:other --as-group=system:nodes";
    cluster.kubectl(&format!("create -f {node} {asked}"));
    cluster.until("get csr node", |row| row.contains("Approved,Issued"));
    let reason = "get csr node -o jsonpath={.status.conditions[0].reason}";
    assert_eq!(cluster.kubectl(reason), "AutoApproved");
}
