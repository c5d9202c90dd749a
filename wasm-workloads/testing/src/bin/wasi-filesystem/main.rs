//! Walks every call of wasi:filesystem, its errors and its edges. Where: `/` is the container's own, `/data`
//! a volume of 64 KiB, `/ro` a read-only mount with `file` ("there") and `dir`. Prints what differs from what
//! POSIX and WASI say, then how many answers were looked at; exits with 1 if one was wrong.

#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod answers;
#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod contents;
#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod names;
#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod opening;

#[cfg(all(target_os = "wasi", target_env = "p2"))]
fn main() {
    let mut answers = answers::Answers::default();
    opening::walk(&mut answers);
    contents::walk(&mut answers);
    names::walk(&mut answers);
    answers.tell();
}

#[cfg(not(all(target_os = "wasi", target_env = "p2")))]
fn main() {
    eprintln!("wasi-filesystem: runs as a component only");
    std::process::exit(2);
}
