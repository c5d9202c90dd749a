//! Takes memory, a mebibyte at a time, up to the number of mebibytes in its first argument or until
//! it is stopped; then says how much it has.

fn main() {
    let most = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let mut taken: Vec<Vec<u8>> = Vec::new();
    while taken.len() < most {
        taken.push(vec![1; 1 << 20]);
    }
    println!("took {} MiB", std::hint::black_box(&taken).len());
}
