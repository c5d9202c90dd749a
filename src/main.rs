//! Parse, run, print the error chain and a hint, exit code.

fn main() -> std::process::ExitCode {
    sampan::cli::main()
}
