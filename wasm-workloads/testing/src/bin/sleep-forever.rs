//! Says that it is there, then waits in the host.

use std::time::Duration;

fn main() {
    println!("asleep");
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
