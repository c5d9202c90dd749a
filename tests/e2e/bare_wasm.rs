//! A Pod of one WebAssembly program and nothing else is a place one can be in: exec and cp find the
//! shell and its programs, the program itself does not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::programs;
use crate::support::{Cluster, Home, run_with_input};

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: app, image: 'file://PROGRAM'}
";

/// A Pod `app` of an image with `/sleep-forever.wasm` only.
fn with_app(home: &Home) -> Cluster<'_> {
    let program = home.file("sleep-forever.wasm", programs::component("sleep-forever"));
    let cluster = home.up_with(&["--allow-images", home.path().to_str().unwrap()]);
    let pod = home.file("app.yaml", POD.replace("PROGRAM", &program));
    cluster.kubectl(&format!("apply -f {pod}"));
    cluster.wait_for("condition=Ready", "pod/app");
    cluster
}

/// Names and contents below a directory, symlinks not followed.
fn tree(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(directory).unwrap().display().to_string();
            let content = if path.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if path.is_dir() {
                open.push(path);
                "directory".to_owned()
            } else {
                fs::read_to_string(&path).unwrap()
            };
            lines.push(format!("{name} {content}"));
        }
    }
    lines.sort();
    lines
}

#[test]
fn a_bare_program_s_pod_is_entered() {
    let home = Home::new();
    let cluster = with_app(&home);
    let listing = cluster.kubectl("exec app -- ls -la /");
    for name in ["bin", "etc", "sleep-forever.wasm", "tmp"] {
        assert!(listing.lines().any(|line| line.ends_with(&format!(" {name}"))), "{listing}");
    }
    let script = "echo hi > /tmp/x; cat /tmp/x - | tr a-z A-Z; hostname; exit 3";
    let command = home.kubectl(&["exec", "-i", "app", "--", "sh", "-c", script]);
    let answer = run_with_input(command, b"typed\n");
    assert_eq!((&*answer.stdout, answer.code), ("HI\nTYPED\napp\n", 3), "{}", answer.all());
    let missing = cluster.run("exec app -- nosuch");
    let refusal = "exec: \"nosuch\": executable file not found in $PATH";
    assert!(missing.code != 0 && missing.stderr.contains(refusal), "{}", missing.all());
    let row = cluster.kubectl("get pod app --no-headers");
    assert!(row.contains("Running"), "{row}");
}

#[test]
fn a_tree_is_copied_in_and_out() {
    let home = Home::new();
    let cluster = with_app(&home);
    let tree_in = home.path().join("in");
    fs::create_dir_all(tree_in.join("deep/er dir")).unwrap();
    fs::create_dir(tree_in.join("empty")).unwrap();
    fs::write(tree_in.join("a name with spaces"), "spaces\n").unwrap();
    fs::write(tree_in.join("deep/er dir/ünïcödé ⛵"), "sail\n").unwrap();
    let long = "n".repeat(120);
    fs::write(tree_in.join("deep").join(&long), "long\n").unwrap();
    fs::write(tree_in.join("deep/nothing"), "").unwrap();
    symlink("deep/nothing", tree_in.join("link")).unwrap();
    cluster.kubectl("cp in app:/tmp/tree");
    assert_eq!(cluster.kubectl("exec app -- readlink /tmp/tree/link"), "deep/nothing\n");
    let there = cluster.kubectl("exec app -- find /tmp/tree -type f");
    assert_eq!(there.lines().count(), 4, "{there}");
    assert!(there.contains("/tmp/tree/deep/er dir/ünïcödé ⛵"), "{there}");
    let out = cluster.run("cp app:/tmp/tree out");
    assert_eq!(out.code, 0, "{}", out.all());
    // Those are kubectl's manners, on the way out.
    assert!(out.stderr.contains("skipping symlink: \"out/link\""), "{}", out.all());
    fs::remove_file(tree_in.join("link")).unwrap();
    assert_eq!(tree(&home.path().join("out")), tree(&tree_in));
}

#[test]
fn a_large_file_is_copied_in_and_out_whole() {
    let home = Home::new();
    let cluster = with_app(&home);
    // 8 MiB that do not repeat at any block's size.
    let content: Vec<u8> =
        (0..8_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    home.file("large", &content);
    cluster.kubectl("cp large app:/large");
    cluster.kubectl("cp app:/large back");
    assert!(fs::read(home.path().join("back")).unwrap() == content);
}
