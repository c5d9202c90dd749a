//! Waits to be told of its end by `sampan:lifecycle/termination`, says so, and ends well. With an
//! argument: only looks now and then, and needs so many milliseconds to end.

#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod bindings {
    #![allow(clippy::all, unsafe_code, unused_qualifications, reason = "generated")]
    wit_bindgen::generate!({
        path: "../wit/lifecycle",
        world: "guest",
        with: { "wasi:io/poll@0.2.12": wasip2::io::poll },
    });
}

#[cfg(all(target_os = "wasi", target_env = "p2"))]
fn main() {
    use std::time::Duration;

    use bindings::sampan::lifecycle::termination;

    let asked = std::env::args().nth(1).and_then(|text| text.parse().ok());
    println!("serving");
    match asked.map(Duration::from_millis) {
        None => termination::requested().block(),
        Some(last_words) => {
            while !termination::is_requested() {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(last_words);
        }
    }
    println!("goodbye");
}

#[cfg(not(all(target_os = "wasi", target_env = "p2")))]
fn main() {}
