//! Panics, which is an `unreachable` to the host.

fn main() {
    panic!("as asked");
}
