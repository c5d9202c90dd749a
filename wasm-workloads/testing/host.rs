// Included by tests and benches of the host (`#[path = "…/wasm-workloads/testing/host.rs"] mod guests;`).
//! Builds the test guests when they are first asked for; cargo's own lock makes processes take
//! turns, and what is built stays in `wasm-workloads/target`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The bytes of a guest of `wasm-workloads/testing`: a component.
pub(crate) fn component(name: &str) -> Vec<u8> {
    guest("wasm32-wasip2", name)
}

/// The same program as a core module for WASI preview 1.
#[allow(dead_code, reason = "not every includer needs both")]
pub(crate) fn module(name: &str) -> Vec<u8> {
    guest("wasm32-wasip1", name)
}

fn guest(target: &'static str, name: &str) -> Vec<u8> {
    static BUILT: OnceLock<()> = OnceLock::new();
    let workloads = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wasm-workloads");
    let directory = workloads.join("target");
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        let inherited =
            ["CARGO_", "RUSTFLAGS", "RUSTC_", "CLIPPY_", "MAKEFLAGS", "LLVM_PROFILE_FILE"];
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if text != "CARGO_HOME" && inherited.iter().any(|prefix| text.starts_with(prefix)) {
                cargo.env_remove(&variable);
            }
        }
        cargo.args(["build", "--release", "--quiet", "--locked", "--package", "sampan-testing"]);
        cargo.args(["--target", "wasm32-wasip1", "--target", "wasm32-wasip2", "--target-dir"]);
        let built = cargo.arg(&directory).current_dir(&workloads).status();
        assert!(built.is_ok_and(|status| status.success()), "the test guests do not build");
    });
    let path = directory.join(target).join("release").join(name).with_extension("wasm");
    std::fs::read(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}
