//! The shell against a reference: every script of `cases/` in a Pod, and by Debian's ash, dash or
//! bash; the native twin of this is `wasm-workloads/sh/tests/debian.rs`.

use std::fs;
use std::path::Path;

use crate::support::{Cluster, Home};

mod accepted;
mod corpus;

use corpus::{Case, Outcome};

#[test]
fn shell_agrees_with_debian() {
    let cases = corpus::cases();
    corpus::check_titles(&cases);
    let home = Home::new();
    let cluster = home.up();
    let results = run_in_pod(&home, &cluster, &cases);
    let programs = home.path().join("bin");
    corpus::install_programs(&programs);
    let work = home.path().join("work");
    let mut faults = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let ours = outcome(&results, n);
        for shell in &case.shells {
            let theirs = corpus::run(case, corpus::reference(shell), &work, &programs);
            faults.extend(corpus::verdict(case, shell, &ours, &theirs));
        }
    }
    assert!(faults.is_empty(), "{} of {}\n{}", faults.len(), cases.len(), faults.join("\n"));
}

/// Few calls: the scripts go in together, and what they came to comes out together.
fn run_in_pod(home: &Home, cluster: &Cluster<'_>, cases: &[Case]) -> std::path::PathBuf {
    let folder = home.path().join("cases");
    fs::create_dir(&folder).unwrap();
    for (n, case) in cases.iter().enumerate() {
        fs::write(folder.join(format!("{n}.sh")), &case.script).unwrap();
        if case.stdin {
            fs::write(folder.join(format!("{n}.stdin")), "").unwrap();
        }
    }
    fs::write(folder.join("driver"), include_str!("driver.sh")).unwrap();
    cluster.kubectl("run shell --image=busybox --restart=Never --command -- sleep 3600");
    cluster.wait_for("condition=Ready", "pod/shell");
    cluster.kubectl("cp cases shell:/tmp/cases");
    cluster.kubectl("exec shell -- sh /tmp/cases/driver /tmp/cases /tmp/work /tmp/results");
    cluster.kubectl("cp shell:/tmp/results results");
    home.path().join("results")
}

fn outcome(results: &Path, n: usize) -> Outcome {
    let read = |what: &str| fs::read(results.join(format!("{n}.{what}"))).unwrap();
    let code = String::from_utf8(read("code")).unwrap();
    Outcome { code: code.trim().parse().unwrap(), stdout: read("out"), stderr: read("err") }
}
