//! The shell as a program.

fn main() {
    let code = sampan_sh::main(std::env::args().collect());
    sampan_process::exit(code);
}
