//! Builds the guest programs that are shipped inside the binary (`wasm-workloads/`) and puts them
//! into `OUT_DIR`, from where `node::images` embeds them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Programs embedded into sampan; each is made by the package `sampan-NAME` in `wasm-workloads/`: a
/// binary, or a library that exports something else than `main`.
const PROGRAMS: &[&str] = &["sh", "busybox", "nginx", "agnhost"];

/// What the shipped programs are made from. `testing/` is not: tests build it when they need it.
const SOURCES: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    ".cargo",
    "wit",
    "process",
    "network",
    "regexp",
    "sh",
    "busybox",
    "nginx",
    "agnhost",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo::rerun-if-changed=wasm-workloads/{source}");
    }
    let workloads = PathBuf::from(required("CARGO_MANIFEST_DIR")).join("wasm-workloads");
    let out = PathBuf::from(required("OUT_DIR"));

    have_target();
    // One directory for every profile of the host: guests are always built optimised, and cargo's
    // own lock on it makes two host builds at once take turns.
    let target_dir = workloads.join("target");
    build(&workloads, &target_dir);
    for program in PROGRAMS {
        let wasm = target_dir.join(TARGET).join("release").join(program).with_extension("wasm");
        copy_if_changed(&wasm, &out.join(program).with_extension("wasm"));
    }
}

fn build(workloads: &Path, target_dir: &Path) {
    let mut cargo = guest_command(&required("CARGO"));
    cargo.args(["build", "--release", "--quiet", "--locked", "--lib", "--bins"]);
    cargo.args(["--target", TARGET, "--target-dir"]);
    cargo.arg(target_dir).current_dir(workloads);
    for program in PROGRAMS {
        cargo.args(["--package", &format!("sampan-{program}")]);
    }
    let built = cargo.status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "the guest programs in wasm-workloads/ do not build (see above)"
    );
}

/// A command without what the host's cargo says to its build scripts: flags, wrappers (clippy's
/// among them) and the job server are the host's, and would rebuild or lint every guest.
fn guest_command(program: &OsString) -> Command {
    let keep = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_TERM_"];
    let drop = ["CARGO_", "CLIPPY_", "MAKEFLAGS", "RUSTFLAGS", "RUSTDOCFLAGS", "RUSTC_"];
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let named = |prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
        if named(&drop) && !named(&keep) {
            command.env_remove(&name);
        }
    }
    for name in ["OUT_DIR", "TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS"] {
        command.env_remove(name);
    }
    command
}

/// Installs the standard library for the guests' target where rustup has not done so by itself.
fn have_target() {
    let output = guest_command(&required("RUSTC")).args(["--print", "sysroot"]).output();
    let Ok(output) = output else { return };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    if Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).exists() {
        return;
    }
    let added = guest_command(&"rustup".into()).args(["target", "add", TARGET]).status();
    assert!(
        added.is_ok_and(|status| status.success()),
        "sampan's guest programs need Rust's {TARGET} target: run `rustup target add {TARGET}`"
    );
}

/// Leaves an equal file as it is, so that the crate is not compiled again for it.
fn copy_if_changed(from: &Path, to: &Path) {
    let bytes = fs::read(from).unwrap_or_else(|err| panic!("{}: {err}", from.display()));
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return;
    }
    fs::write(to, bytes).unwrap_or_else(|err| panic!("{}: {err}", to.display()));
}

fn required(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name} for build scripts"))
}
