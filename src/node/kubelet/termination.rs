//! What is said of a run that ended.
//!
//! Upstream: `pkg/kubelet/kuberuntime/kuberuntime_container.go` (`getTerminationMessage`),
//! containerd's reasons.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;

use super::pod_worker::Terminated;
use super::run::Live;
use crate::node::files::{Mount, Quota, Volume};
use crate::node::runtime::Exit;

/// Upstream's `MaxContainerTerminationMessageLength`.
const MESSAGE_BYTES_MAX: u64 = 4_096;
/// Upstream's `MaxContainerTerminationMessageLogLength` and `…LogLines`.
const LOG_BYTES_MAX: usize = 2_048;
const LOG_LINES_MAX: u64 = 80;
/// Upstream's `MaxPodTerminationMessageLogLength`: of all of a Pod's containers together.
const POD_BYTES_MAX: usize = 12 << 10;
/// Bound: what a container may write into a termination file of its own; its end is what is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub(super) fn end(
    exit: &Exit,
    message: Option<String>,
    id: String,
    started_at: Timestamp,
    finished_at: Timestamp,
) -> Terminated {
    let reason = match exit {
        Exit { oom_killed: true, .. } => "OOMKilled",
        Exit { code: 0, .. } => "Completed",
        Exit { .. } => "Error",
    };
    Terminated {
        exit_code: exit.code,
        reason: reason.to_owned(),
        message,
        id: Some(id),
        started_at: Some(started_at),
        finished_at: Some(finished_at),
    }
}

/// A file of this run alone, to be mounted where the container leaves its message, if that is in a
/// volume: there others write, too, and earlier runs have written.
///
/// # Errors
/// If the host cannot make it.
///
/// Upstream: `makeMounts` in `kuberuntime_container.go`, which mounts one into every container.
pub(super) fn mount(
    spec: &Container,
    directory: &Path,
    run: u32,
) -> io::Result<Option<(Mount, PathBuf)>> {
    let path = path(spec);
    let mut mounts = spec.volume_mounts.iter().flatten();
    if path.is_empty() || !mounts.any(|mount| is_below(path, &mount.mount_path)) {
        return Ok(None);
    }
    std::fs::create_dir_all(directory)?;
    let name = format!("{run}.message");
    let file = directory.join(&name);
    std::fs::write(&file, "")?;
    let dir = Dir::open_ambient_dir(directory, ambient_authority())?;
    let quota = Arc::new(Quota::new(FILE_BYTES_MAX));
    let source = Volume::with_quota(dir, quota).part(&name, false).map_err(io::Error::other)?;
    let path = format!("/{}", path.trim_start_matches('/'));
    Ok(Some((Mount { path, source, read_only: false }, file)))
}

fn path(spec: &Container) -> &str {
    spec.termination_message_path.as_deref().unwrap_or("/dev/termination-log")
}

fn is_below(path: &str, directory: &str) -> bool {
    let names = |path: &str| -> Vec<String> {
        let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
        names.map(str::to_owned).collect()
    };
    names(path).starts_with(&names(directory))
}

/// What the container left in its termination file; else, if it failed and asked for that, the end
/// of its log. What the host has to say goes before.
pub(super) fn message(spec: &Container, live: &Live, exit: &Exit) -> Option<String> {
    let left = file(live, path(spec));
    let wants_log = spec.termination_message_policy.as_deref() == Some("FallbackToLogsOnError")
        && exit.code != 0;
    let log = || if wants_log { live.log.last_lines(LOG_LINES_MAX, LOG_BYTES_MAX) } else { None };
    match (exit.message.clone(), left.or_else(log)) {
        (Some(of_host), Some(own)) => Some(format!("{of_host}: {own}")),
        (of_host, own) => of_host.or(own),
    }
}

/// The end of it, as upstream's `tail.ReadAtMost`.
fn file(live: &Live, path: &str) -> Option<String> {
    let mut file = match &live.message {
        Some(path) => File::open(path).ok()?,
        None => live.upper.if_made()?.open(path.trim_start_matches('/')).ok()?.into_std(),
    };
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MESSAGE_BYTES_MAX))).ok()?;
    let mut text = Vec::new();
    file.take(MESSAGE_BYTES_MAX).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    (!text.is_empty()).then_some(text)
}

/// As much of a message as each of so many containers may have in their Pod's status.
///
/// Upstream: `normalizeStatus` in `pkg/kubelet/status/status_manager.go`.
pub(super) fn shared(message: &str, containers: usize) -> &str {
    let bytes_max = POD_BYTES_MAX / containers.max(1);
    &message[..message.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(path: &str) -> Container {
        serde_json::from_value(json!({
            "name": "c", "terminationMessagePath": path,
            "volumeMounts": [{ "name": "v", "mountPath": "/data/" }],
        }))
        .unwrap()
    }

    #[test]
    fn a_message_in_a_volume_has_a_file_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("c");
        for (path, run) in [("/data/message", 0), ("data//deep/message", 1)] {
            let (mount, file) = mount(&container(path), &directory, run).unwrap().unwrap();
            assert_eq!(mount.path, format!("/{}", path.trim_start_matches('/')));
            assert_eq!(std::fs::read(file).unwrap(), b"");
        }
        for path in ["/dev/termination-log", "/database", ""] {
            assert!(mount(&container(path), &directory, 2).unwrap().is_none(), "{path}");
        }
    }

    #[test]
    fn containers_share_what_a_pod_may_say() {
        assert_eq!(shared(&"x".repeat(5000), 1).len(), 5000);
        assert_eq!(shared(&"x".repeat(5000), 4).len(), 3072);
        // No character is cut in two.
        assert_eq!(shared(&"é".repeat(5000), 5).len(), 2456);
    }
}
