//! Calls itself until the stack ends.

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deeper(n: u64) -> u64 {
    let n = std::hint::black_box(n);
    std::hint::black_box(deeper(n + 1)) + 1
}

fn main() {
    println!("{}", deeper(0));
}
