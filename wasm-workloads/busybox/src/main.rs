//! The small programs of a Unix system, called by the name in `args[0]`.

use std::io;
use std::time::Duration;

fn main() {
    let mut args = std::env::args();
    let name = args.next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    let code = match name {
        "cat" => u8::from(io::copy(&mut io::stdin(), &mut io::stdout()).is_err()),
        "sleep" => {
            let seconds = args.next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
            std::thread::sleep(Duration::from_secs_f64(seconds));
            0
        }
        _ => 127,
    };
    sampan_process::exit(code);
}
