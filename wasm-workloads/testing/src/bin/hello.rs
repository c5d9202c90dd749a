//! Says hello; ends with the exit code in its first argument, or 0.

fn main() {
    println!("hello");
    let code = std::env::args().nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    std::process::exit(code);
}
