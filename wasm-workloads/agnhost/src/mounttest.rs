//! `mounttest`: writes files of volumes and prints them. WASI knows neither modes nor owners nor
//! filesystems' types: asking for those is refused.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Done, Flags};

const INITIAL: &str = "mount-tester new file\n";
const NEW_FILES: [&str; 4] = ["new_file_0644", "new_file_0666", "new_file_0660", "new_file_0777"];
const UNKNOWN_TO_WASI: [&str; 4] = ["fs_type", "file_mode", "file_perm", "file_owner"];
/// As upstream, between two looks at a file.
const LOOK_EVERY: Duration = Duration::from_secs(2);

pub(crate) fn run(arguments: &[String]) -> Done {
    let text = |name| (name, "", "");
    let mut known = [NEW_FILES, UNKNOWN_TO_WASI].concat().into_iter().map(text).collect::<Vec<_>>();
    known.extend([
        ("file_content", "", ""),
        ("file_content_in_loop", "", ""),
        ("retry_time", "", "180"),
        ("break_on_expected_content", "", "true"),
    ]);
    let flags = Flags::parse(arguments, &known)?;
    let mut code = 0;
    for name in UNKNOWN_TO_WASI.into_iter().filter(|name| !flags.text(name).is_empty()) {
        println!("--{name}: WASI has no modes, owners or types of filesystems");
        code = 1;
    }
    for path in NEW_FILES.into_iter().map(|name| flags.text(name)).filter(|path| !path.is_empty()) {
        if let Err(error) = fs::write(path, INITIAL) {
            println!("error writing new file {path:?}: {}", worded("open", path, &error));
            code = 1;
        } else if !print(path) {
            code = 1;
        }
    }
    let path = flags.text("file_content");
    if !path.is_empty() && !print(path) {
        code = 1;
    }
    let path = flags.text("file_content_in_loop");
    if !path.is_empty() {
        let time = Duration::from_secs(flags.number("retry_time")?.try_into().unwrap_or(0));
        if !print_in_loop(path, time, flags.is_on("break_on_expected_content")?) {
            code = 1;
        }
    }
    Ok(code)
}

fn print(path: &str) -> bool {
    match fs::read(path) {
        Ok(content) => {
            println!("content of file {path:?}: {}", String::from_utf8_lossy(&content));
            true
        }
        Err(error) => {
            println!("error reading file content for {path:?}: {}", worded("open", path, &error));
            false
        }
    }
}

/// Looks again and again; whether the last look found the file.
fn print_in_loop(path: &str, time: Duration, until_expected: bool) -> bool {
    let start = Instant::now();
    let mut found = true;
    while start.elapsed() < time {
        let content = fs::read(path);
        found = content.is_ok();
        match content {
            Err(error) => {
                println!("Error reading file {path}: {}, retrying", worded("open", path, &error));
            }
            Ok(content) => {
                println!("content of file {path:?}: {}", String::from_utf8_lossy(&content));
                if until_expected && content == INITIAL.as_bytes() {
                    break;
                }
                if until_expected {
                    print!("Unexpected content. Expected: {INITIAL}. Retrying");
                }
            }
        }
        thread::sleep(LOOK_EVERY);
    }
    found
}

/// As Go words it.
fn worded(what: &str, path: &str, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "read-only file system".to_owned(),
        _ => error.to_string(),
    };
    format!("{what} {path}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_and_read() {
        let path = std::env::temp_dir().join(format!("sampan-mounttest-{}", std::process::id()));
        let path = path.to_str().unwrap();
        let run = |flag: &str| run(&[format!("--{flag}={path}"), "--retry_time=1".to_owned()]);
        assert_eq!(run("file_content"), Ok(1));
        assert_eq!(run("new_file_0644"), Ok(0));
        assert_eq!(run("file_content"), Ok(0));
        assert_eq!(run("file_content_in_loop"), Ok(0));
        assert_eq!(run("file_mode"), Ok(1));
        fs::remove_file(path).unwrap();
    }
}
