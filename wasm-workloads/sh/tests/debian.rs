//! The shell, run natively, against Debian's shells: the same scripts as the end-to-end test
//! `shell_agrees_with_debian` runs in a Pod, in seconds. `CASE=word` runs those with it in the title.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends by panicking")]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[path = "../../../tests/e2e/shell/accepted.rs"]
mod accepted;
#[path = "../../../tests/e2e/shell/corpus.rs"]
mod corpus;

use corpus::Case;

#[test]
fn shell_agrees_with_debian() {
    let cases = corpus::cases();
    corpus::check_titles(&cases);
    let wanted = std::env::var("CASE").unwrap_or_default();
    let cases: Vec<_> =
        cases.iter().filter(|case| !case.guest && case.title.contains(&wanted)).collect();
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    corpus::install_programs(&base.join("bin"));
    let faults = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for n in 0..thread::available_parallelism().map_or(2, usize::from) {
            let (faults, next, cases) = (&faults, &next, &cases);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    faults.lock().unwrap().extend(compare(
                        case,
                        &base.join(format!("case-{n}")),
                        &base.join("bin"),
                    ));
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} of {}\n{}", faults.len(), cases.len(), faults.join("\n"));
}

fn compare(case: &Case, directory: &Path, path: &Path) -> Vec<String> {
    let ours = corpus::run(case, &[env!("CARGO_BIN_EXE_sh")], directory, path);
    let shells = case.shells.iter();
    let verdicts = shells.filter_map(|shell| {
        let theirs = corpus::run(case, corpus::reference(shell), directory, path);
        corpus::verdict(case, shell, &ours, &theirs)
    });
    verdicts.collect()
}
