//! `$HISTFILE`, or `~/.ash_history`: lines of earlier sessions, as far as the container's files
//! last. A file that cannot be written is left alone.

use sampan_process::{self as process, OpenMode};

use crate::editor::History;
use crate::shell::Variables;

/// Bound: a file with more is cut down to its last half when a session begins.
const FILE_BYTES_MAX: usize = 128 << 10;

/// Neither variable is there: there is no file, as in busybox.
fn path(variables: &Variables) -> Option<String> {
    let file = match variables.get("HISTFILE") {
        Some(file) => file.to_owned(),
        None => {
            let home = variables.get("HOME").filter(|home| !home.is_empty())?;
            format!("{}/.ash_history", home.trim_end_matches('/'))
        }
    };
    file.starts_with('/').then_some(file)
}

pub(super) fn load(variables: &Variables, history: &mut History) {
    let Some(path) = path(variables) else { return };
    let Ok(bytes) = std::fs::read(&path) else { return };
    let kept = bytes.len().saturating_sub(FILE_BYTES_MAX / 2);
    let cut = bytes.len() > FILE_BYTES_MAX;
    let text = String::from_utf8_lossy(&bytes[if cut { kept } else { 0 }..]);
    // The first line may have been cut.
    let text = if cut { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
    for line in text.lines() {
        history.push(line);
    }
    if cut {
        let _ = std::fs::write(&path, text);
    }
}

pub(super) fn append(variables: &Variables, command: &str) {
    let Some(path) = path(variables) else { return };
    if let Ok(file) = process::open(&path, OpenMode::Append) {
        let _ = file.write(format!("{command}\n").as_bytes());
    }
}
