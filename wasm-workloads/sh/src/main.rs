//! The shell.

fn main() {
    let _ = sampan_process::stderr().write(b"sh: no shell yet\n");
    sampan_process::exit(127);
}
