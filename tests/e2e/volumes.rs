//! Volumes, as programs in containers find them.

use crate::support::{Answer, Cluster, Home};

/// What the stories' containers do: wait to be asked.
const IDLE: &str = "image: busybox, command: [sleep, '100000']";

fn apply(home: &Home, cluster: &Cluster<'_>, manifest: &str) {
    cluster.kubectl(&format!("apply -f {}", home.file("manifest.yaml", manifest)));
}

/// A Pod with these volumes and containers (YAML lists in flow style).
fn pod(name: &str, volumes: &str, containers: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{tier: front}}}}\nspec:\n  \
         terminationGracePeriodSeconds: 0\n  volumes: {volumes}\n  containers: {containers}\n---\n"
    )
}

fn shell(cluster: &Cluster<'_>, pod: &str, script: &str) -> Answer {
    cluster.run_words(&["exec", pod, "--", "sh", "-c", script])
}

/// What a script in the Pod prints; panics if it fails.
#[track_caller]
fn said(cluster: &Cluster<'_>, pod: &str, script: &str) -> String {
    let answer = shell(cluster, pod, script);
    assert_eq!(answer.code, 0, "{script}: {}", answer.all());
    answer.stdout
}

const OBJECTS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, size: '10'}
binaryData: {bytes: AAEC}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter2}
---
";

#[test]
fn objects_are_files_that_change_under_a_running_container() {
    let home = Home::new();
    let cluster = home.up();
    let volumes = "[{name: all, configMap: {name: settings}}, \
        {name: some, configMap: {name: settings, items: [{key: color, path: deep/er}]}}, \
        {name: login, secret: {secretName: login, defaultMode: 0400}}, \
        {name: none, secret: {secretName: missing, optional: true}}, \
        {name: pod, downwardAPI: {items: [\
          {path: labels, fieldRef: {fieldPath: metadata.labels}}, \
          {path: memory, resourceFieldRef: {containerName: c, resource: limits.memory, divisor: 1Mi}}]}}, \
        {name: both, projected: {sources: [{configMap: {name: settings}}, {secret: {name: login}}]}}]";
    let container = format!(
        "[{{name: c, {IDLE}, resources: {{limits: {{memory: 64Mi}}}}, volumeMounts: [\
         {{name: all, mountPath: /all}}, {{name: some, mountPath: /some}}, \
         {{name: all, mountPath: /etc/color, subPath: color}}, \
         {{name: login, mountPath: /login}}, {{name: none, mountPath: /none}}, \
         {{name: pod, mountPath: /pod}}, {{name: both, mountPath: /both}}]}}]"
    );
    apply(&home, &cluster, &format!("{OBJECTS}{}", pod("shown", volumes, &container)));
    cluster.wait_for("condition=Ready", "pod/shown");

    assert_eq!(
        said(&cluster, "shown", "ls /all; od -An -tx1 /all/bytes"),
        "bytes\ncolor\nsize\n 00 01 02\n"
    );
    let links = said(&cluster, "shown", "readlink /all/color; ls -la /all");
    assert!(links.starts_with("..data/color\n") && links.contains("..data -> ..20"), "{links}");
    assert_eq!(said(&cluster, "shown", "cat /some/deep/er /login/password"), "bluehunter2");
    assert_eq!(
        said(&cluster, "shown", "ls /none; cd /both && ls"),
        "bytes\ncolor\npassword\nsize\n"
    );
    assert_eq!(said(&cluster, "shown", "cat /pod/memory /pod/labels"), "64tier=\"front\"");

    let modes = said(&cluster, "shown", "stat -L -c %a /login/password /all/color");
    assert_eq!(modes, "400\n644\n");

    let refused = shell(&cluster, "shown", "echo red > /all/color");
    assert!(
        refused.code != 0 && refused.stderr.contains("Read-only file system"),
        "{}",
        refused.all()
    );

    let red = r#"{"data":{"color":"red","size":null,"new":"1"}}"#;
    cluster.run_words(&["patch", "configmap", "settings", "-p", red]);
    said(&cluster, "shown", "until grep -q red /all/color; do sleep 0.1; done");
    assert_eq!(
        said(&cluster, "shown", "ls /all; cat /some/deep/er /both/color"),
        "bytes\ncolor\nnew\nredred"
    );
    assert_eq!(said(&cluster, "shown", "cat /etc/color"), "blue");
    cluster.kubectl("label pod shown --overwrite tier=back");
    said(&cluster, "shown", "until grep -q back /pod/labels; do sleep 0.1; done");
    let restarts = "get pod shown -o jsonpath={.status.containerStatuses[0].restartCount}";
    assert_eq!(cluster.kubectl(restarts), "0");
}

#[test]
fn a_pod_waits_for_what_its_volumes_lack() {
    let home = Home::new();
    let cluster = home.up();
    let container = format!("[{{name: c, {IDLE}, volumeMounts: [{{name: v, mountPath: /v}}]}}]");
    let volumes = "[{name: v, configMap: {name: settings, items: [{key: color, path: c}]}}]";
    let events =
        cluster.follow("get events --watch -o custom-columns=REASON:.reason,TEXT:.message");
    apply(&home, &cluster, &pod("patient", volumes, &container));
    let text = events.line_with("FailedMount");
    let expect = "MountVolume.SetUp failed for volume \"v\" : configmap \"settings\" not found";
    assert!(text.contains(expect), "{text}");
    let waiting = "get pod patient -o jsonpath={.status.phase}/\
                   {.status.containerStatuses[0].state.waiting.reason}";
    assert_eq!(cluster.kubectl(waiting), "Pending/ContainerCreating");

    cluster.kubectl("create configmap settings --from-literal=size=10");
    events.line_with("configmap references non-existent config key: color");
    cluster.run_words(&["patch", "configmap", "settings", "-p", r#"{"data":{"color":"blue"}}"#]);
    cluster.wait_for("condition=Ready", "pod/patient");
    assert_eq!(said(&cluster, "patient", "cat /v/c"), "blue");
}

#[test]
fn an_empty_dir_is_shared_bounded_and_outlives_containers() {
    let home = Home::new();
    let cluster = home.up();
    let mount = "volumeMounts: [{name: d, mountPath: /d}]";
    // The first run of `twice` leaves a mark and fails.
    let script =
        "test -e /d/mark && { touch /d/again; exec sleep 100000; }; echo first > /d/mark; exit 1";
    let containers = format!(
        "[{{name: one, {IDLE}, {mount}}}, \
         {{name: twice, image: busybox, command: [sh, -c, '{script}'], {mount}}}, \
         {{name: reader, {IDLE}, volumeMounts: [{{name: d, mountPath: /d, readOnly: true}}, \
           {{name: m, mountPath: /d/inner}}]}}]"
    );
    let volumes = "[{name: d, emptyDir: {sizeLimit: 1Mi}}, {name: m, emptyDir: {medium: Memory}}]";
    apply(&home, &cluster, &pod("shared", volumes, &containers));
    cluster.wait_for("condition=Ready", "pod/shared");
    said(&cluster, "shared", "until test -e /d/again; do sleep 0.1; done");

    let full = shell(&cluster, "shared", "dd if=/dev/zero of=/d/big bs=64k count=32");
    assert!(full.code != 0 && full.stderr.contains("No space left on device"), "{}", full.all());
    assert_eq!(said(&cluster, "shared", "cat /d/mark; rm /d/big; echo more >> /d/mark"), "first\n");
    let read = |script: &str| {
        cluster.run_words(&["exec", "shared", "-c", "reader", "--", "sh", "-c", script])
    };
    assert_eq!(
        read("cat /d/mark; echo x > /d/inner/y && cat /d/inner/y").stdout,
        "first\nmore\nx\n"
    );
    let refused = read("echo x > /d/mark");
    assert!(refused.stderr.contains("Read-only file system"), "{}", refused.all());

    cluster.kill();
    let cluster = home.up();
    cluster.wait_for("jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/shared");
    cluster.wait_for("condition=Ready", "pod/shared");
    assert_eq!(said(&cluster, "shared", "cat /d/mark; ls /d"), "first\nmore\nagain\nmark\n");
}

#[test]
fn an_empty_dir_goes_when_its_pod_has_ended() {
    let home = Home::new();
    let cluster = home.up();
    let files = |name: &str| {
        let uid = cluster.kubectl(&format!("get pod {name} -o jsonpath={{.metadata.uid}}"));
        home.path().join("data/pods").join(uid).join("volumes/d/file")
    };
    // The second one never ends.
    for (name, then) in [("brief", "true"), ("stays", "exec sleep 100000")] {
        let containers = format!(
            "[{{name: c, image: busybox, command: [sh, -c, 'echo {name} | tee /d/file; {then}'], \
             volumeMounts: [{{name: d, mountPath: /d}}]}}]"
        );
        let volumes = "[{name: d, emptyDir: {}}]\n  restartPolicy: Never";
        apply(&home, &cluster, &pod(name, volumes, &containers));
        cluster.until(&format!("logs {name}"), |log| log == format!("{name}\n"));
    }
    let (gone, stays) = (files("brief"), files("stays"));
    cluster.wait_for("jsonpath={.status.phase}=Succeeded", "pod/brief");
    cluster.until("get pods", |_| !gone.parent().unwrap().exists());
    assert_eq!(std::fs::read(stays).unwrap(), b"stays\n");
    assert_eq!(cluster.kubectl("logs brief"), "brief\n");
}

#[test]
fn a_part_of_a_volume_is_mounted() {
    let home = Home::new();
    let cluster = home.up();
    let containers = format!(
        "[{{name: c, {IDLE}, env: [{{name: POD, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}], \
         volumeMounts: [{{name: d, mountPath: /all}}, {{name: d, mountPath: /a, subPath: made/here}}, \
         {{name: d, mountPath: /own, subPathExpr: logs/$(POD)}}]}}]"
    );
    apply(&home, &cluster, &pod("parts", "[{name: d, emptyDir: {}}]", &containers));
    let missing = containers.replace("$(POD)", "$(NOBODY)");
    apply(&home, &cluster, &pod("unsaid", "[{name: d, emptyDir: {}}]", &missing));
    cluster.wait_for("condition=Ready", "pod/parts");
    let found =
        said(&cluster, "parts", "echo 1 > /a/f; echo 2 > /own/g; cd /all; find . -type f | sort");
    assert_eq!(found, "./logs/parts/g\n./made/here/f\n");
    let waiting =
        "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CreateContainerConfigError";
    cluster.wait_for(waiting, "pod/unsaid");
    let why = "get pod unsaid -o jsonpath={.status.containerStatuses[0].state.waiting.message}";
    assert_eq!(cluster.kubectl(why), "missing value for NOBODY");
}

#[test]
fn the_hosts_files_are_there_where_its_operator_allows_it() {
    let home = Home::new();
    let allowed = home.path().join("allowed");
    std::fs::create_dir(&allowed).unwrap();
    std::fs::write(allowed.join("greeting"), "hello").unwrap();
    let cluster = home.up_with(&["--allow-host-path", allowed.to_str().unwrap()]);
    let allowed = allowed.display();
    let container = format!("[{{name: c, {IDLE}, volumeMounts: [{{name: h, mountPath: /h}}]}}]");
    let volume =
        |path: &str, kind: &str| format!("[{{name: h, hostPath: {{path: {path}, type: {kind}}}}}]");
    let pods = [
        pod("given", &volume(&allowed.to_string(), "Directory"), &container),
        pod("file", &volume(&format!("{allowed}/greeting"), "File"), &container),
        pod("mistaken", &volume(&format!("{allowed}/greeting"), "Directory"), &container),
        pod("greedy", &volume("/etc", "Directory"), &container),
    ];
    let events = cluster
        .follow("get events --watch -o custom-columns=POD:.involvedObject.name,TEXT:.message");
    apply(&home, &cluster, &pods[2]);
    let text = events.line_with("MountVolume.SetUp failed");
    assert!(
        text.ends_with(&format!(
            "hostPath type check failed: {allowed}/greeting is not a directory"
        )),
        "{text}"
    );
    apply(&home, &cluster, &pods[3]);
    let text = events.line_with("/etc is not in a directory");
    assert!(text.ends_with("start sampan with --allow-host-path /etc"), "{text}");
    apply(&home, &cluster, &pods[..2].concat());
    for pod in ["given", "file"] {
        cluster.wait_for("condition=Ready", &format!("pod/{pod}"));
    }
    assert_eq!(said(&cluster, "given", "cat /h/greeting; echo bye > /h/greeting"), "hello");
    assert_eq!(said(&cluster, "file", "cat /h"), "bye\n");
}

#[test]
fn an_image_is_a_volume_that_nobody_writes_to() {
    let home = Home::new();
    let cluster = home.up();
    let volumes =
        "[{name: one, image: {reference: busybox}}, {name: two, image: {reference: nginx}}]";
    let container = format!(
        "[{{name: c, {IDLE}, volumeMounts: [{{name: one, mountPath: /one}}, {{name: two, mountPath: /two}}]}}]"
    );
    apply(&home, &cluster, &pod("shown", volumes, &container));
    let missing = "[{name: two, image: {reference: no.such.place/thing}}]";
    let mount = format!("[{{name: c, {IDLE}, volumeMounts: [{{name: two, mountPath: /two}}]}}]");
    let events = cluster.follow("get events --watch -o custom-columns=TEXT:.message");
    apply(&home, &cluster, &pod("absent", missing, &mount));
    cluster.wait_for("condition=Ready", "pod/shown");
    // Of nginx' own layer, and of the one below it.
    said(&cluster, "shown", "cmp /one/bin/busybox /two/bin/busybox");
    assert!(said(&cluster, "shown", "cat /two/etc/nginx/nginx.conf").contains("http"));
    let refused = shell(&cluster, "shown", "rm /two/etc/nginx/nginx.conf");
    let told = refused.stderr.to_lowercase();
    assert!(refused.code != 0 && told.contains("read-only file system"), "{}", refused.all());
    let policies = "get pod shown -o jsonpath={.spec.volumes[*].image.pullPolicy}";
    assert_eq!(cluster.kubectl(policies), "Always Always");
    events.line_with("MountVolume.SetUp failed for volume \"two\" : ");
}

#[test]
fn a_pod_speaks_to_the_api_server_as_its_account() {
    let home = Home::new();
    let cluster = home.up();
    let quiet = format!("[{{name: c, {IDLE}}}]");
    apply(&home, &cluster, &pod("client", "[]", &quiet));
    let mute = pod("mute", "[]", &quiet)
        .replace("spec:\n", "spec:\n  automountServiceAccountToken: false\n");
    apply(&home, &cluster, &mute);
    for pod in ["client", "mute"] {
        cluster.wait_for("condition=Ready", &format!("pod/{pod}"));
    }
    let place = "/var/run/secrets/kubernetes.io/serviceaccount";
    assert_eq!(
        said(&cluster, "client", &format!("cd {place}; ls; cat namespace")),
        "ca.crt\nnamespace\ntoken\ndefault"
    );
    let absent = shell(&cluster, "mute", &format!("ls {place}"));
    assert!(absent.code != 0, "{}", absent.all());

    let script = format!(
        "cd {place}; curl -s --cacert ca.crt -H \"Authorization: Bearer $(cat token)\" \
         https://kubernetes.default/api/v1/namespaces/default/secrets"
    );
    let answer = said(&cluster, "client", &script);
    assert!(
        answer.contains("User \\\"system:serviceaccount:default:default\\\" cannot list"),
        "{answer}"
    );
    let events = cluster.kubectl("get events");
    assert!(!events.contains("FailedMount"), "{events}");
}
