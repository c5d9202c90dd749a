//! `manifests/examples/mlops/run`, as its readers run it: the very script, with the binary under test.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::{Following, Home};

/// The script, in a process group of its own as at a terminal. Its temporary files go into the home.
fn start(home: &Home) -> Following {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples/mlops/run");
    let mut command = Command::new(script);
    // It calls cargo, which would take these for the guests', too.
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        let is_hosts = ["CARGO_", "RUSTFLAGS", "RUSTC_", "CLIPPY_", "MAKEFLAGS"];
        if text != "CARGO_HOME" && is_hosts.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&variable);
        }
    }
    fs::create_dir(home.path().join("tmp")).unwrap();
    command.env("TMPDIR", home.path().join("tmp")).env("SAMPAN", env!("CARGO_BIN_EXE_sampan"));
    command.env_remove("KUBECONFIG").current_dir(home.path()).process_group(0);
    Following::start(command)
}

fn leaves_nothing(home: &Home) {
    let left: Vec<_> = fs::read_dir(home.path().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The numbers of a line, signs and words left out.
fn numbers(line: &str) -> Vec<f64> {
    let words = line.split(|char: char| !char.is_ascii_digit() && char != '.');
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_model_is_trained_chosen_served_scaled_and_replaced_without_a_lost_request() {
    let home = Home::new();
    let run = start(&home);
    let degrees: Vec<Vec<f64>> = (1..=5)
        .map(|degree| numbers(&run.line_with(&format!("train | degree {degree}:"))))
        .collect();
    // Degree, weights, milliseconds, right about what is known, of how many, right about others, loss.
    let others = |degree: usize| degrees[degree - 1][5];
    assert!(others(1) < 85.0 && others(2) > 90.0 && others(5) < others(2), "{degrees:?}");
    run.line_with("publish | published v1: degree 2, learned from 200 crossings");
    run.line_with("deployment \"model\" successfully rolled out");
    run.line_with("reason: Service metric requests_per_second above target");
    run.line_with("publish | published v2: degree 2, learned from 1700 crossings");
    run.line_with("deployment.apps/model env updated");
    run.line_with("reason: All metrics below target");

    let models = numbers(&run.line_with("models    v1 is right about "));
    let [1.0, first, 2.0, second] = models[..] else { panic!("{models:?}") };
    assert!(first > 90.0 && second > first, "{models:?}");
    let requests = numbers(&run.line_with("requests  "));
    let [all, 1.0, old, 2.0, new, lost, _slowest] = requests[..] else { panic!("{requests:?}") };
    // Each of the three visitors leaves when it has had sixty answers in a row from the new model.
    assert!(old > 0.0 && new >= 180.0 && (all, lost) == (old + new, 0.0), "{requests:?}");
    let pods = numbers(&run.line_with("Pods      "));
    let [2.0, most, least] = pods[..] else { panic!("{pods:?}") };
    assert!(most > 2.0 && least < most, "{pods:?}");
    let (rest, code) = run.end();
    assert_eq!(code, 0, "{rest:?}");
    leaves_nothing(&home);
}

#[test]
fn whoever_has_seen_enough_leaves_nothing_behind() {
    let home = Home::new();
    let run = start(&home);
    run.line_with("publish | published v1");
    run.interrupt();
    let (rest, code) = run.end();
    assert_eq!(code, 130, "{rest:?}");
    leaves_nothing(&home);
}
