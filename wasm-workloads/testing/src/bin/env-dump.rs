//! Prints its arguments and its environment, sorted.

fn main() {
    for argument in std::env::args() {
        println!("arg {argument}");
    }
    let mut environment: Vec<_> = std::env::vars().collect();
    environment.sort();
    for (name, value) in environment {
        println!("env {name}={value}");
    }
}
