//! The images inside the binary: programs that `build.rs` compiled from `wasm-workloads/`.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::reference::Reference;
use super::store::Entry;

const SH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sh.wasm"));
const BUSYBOX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/busybox.wasm"));

/// Names under which the busybox program is called; it has the same list.
const APPLETS: &str = include_str!("../../../wasm-workloads/busybox/applets.txt");

/// Names of Docker Hub's official images (`docker.io/library/…`) for which a built-in stands in.
const STAND_INS: &[StandIn] = &[
    StandIn { name: "busybox", cmd: "sh" },
    StandIn { name: "alpine", cmd: "/bin/sh" },
    StandIn { name: "debian", cmd: "bash" },
    StandIn { name: "ubuntu", cmd: "/bin/bash" },
    StandIn { name: "bash", cmd: "bash" },
];

/// A Linux image that the built-in busybox stands in for.
#[derive(Debug)]
pub(super) struct StandIn {
    pub(super) name: &'static str,
    /// The command of the Linux image, so that a Pod without one runs what it would there.
    pub(super) cmd: &'static str,
}

/// The built-in for a reference, whatever its tag: a tag names a Linux version. A digest names
/// exact bytes that no stand-in can have.
pub(super) fn stand_in(reference: &Reference) -> Option<&'static StandIn> {
    let name = reference.path.strip_prefix("library/")?;
    let hub = reference.domain == "docker.io" && reference.digest.is_none();
    STAND_INS.iter().find(|stand_in| hub && stand_in.name == name)
}

/// The names that [`stand_in`] knows, for an error's advice.
pub(super) fn names() -> String {
    STAND_INS.iter().map(|stand_in| stand_in.name).collect::<Vec<_>>().join(", ")
}

/// The busybox root filesystem.
pub(super) fn entries() -> Vec<Entry<'static>> {
    let directory = |path| Entry::Directory { path, mode: 0o755 };
    let file = |path, content: &'static str| Entry::File {
        path,
        mode: 0o644,
        content: content.as_bytes(),
    };
    let mut entries: Vec<Entry<'static>> =
        ["bin", "etc", "home", "mnt", "opt", "root", "run", "usr", "usr/bin", "var", "var/log"]
            .map(directory)
            .to_vec();
    entries.extend(["tmp", "var/tmp"].map(|path| Entry::Directory { path, mode: 0o1777 }));
    entries.extend([
        file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        file("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        file("etc/shells", "/bin/sh\n/bin/ash\n/bin/bash\n"),
        file("etc/os-release", concat!(
            "NAME=sampan\nID=sampan\nPRETTY_NAME=\"sampan's built-in WebAssembly busybox\"\nVERSION_ID=",
            env!("CARGO_PKG_VERSION"),
            "\n"
        )),
    ]);
    for (path, content) in [("bin/sh", SH), ("bin/busybox", BUSYBOX)] {
        entries.push(Entry::File { path, mode: 0o755, content });
    }
    for path in ["bin/ash", "bin/bash"] {
        entries.push(Entry::Symlink { path, target: "sh" });
    }
    entries.extend(applet_links().iter().map(|path| Entry::Symlink { path, target: "busybox" }));
    entries
}

fn applet_links() -> &'static [String] {
    static LINKS: OnceLock<Vec<String>> = OnceLock::new();
    LINKS.get_or_init(|| APPLETS.lines().map(|name| format!("bin/{name}")).collect())
}

/// `sha256:…` over names, modes and content of [`entries`].
pub(super) fn digest() -> &'static str {
    static DIGEST: OnceLock<String> = OnceLock::new();
    DIGEST.get_or_init(|| {
        let mut hash = Sha256::new();
        for entry in entries() {
            let (path, kind, content) = match entry {
                Entry::Directory { path, mode } => (path, mode, &[][..]),
                Entry::File { path, mode, content } => (path, mode | 0o100_000, content),
                Entry::Symlink { path, target } => (path, 0o120_000, target.as_bytes()),
                Entry::Copy { path, .. } => (path, 0o100_000, &[][..]),
            };
            hash.update(format!("{path}\0{kind:o}\0{}\0", content.len()));
            hash.update(content);
        }
        super::digest_text(&hash.finalize())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_components() {
        for program in [SH, BUSYBOX] {
            assert_eq!(program[..8], *b"\0asm\x0d\0\x01\0");
        }
    }

    #[test]
    fn applets_have_distinct_names() {
        let mut names: Vec<_> = APPLETS.lines().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(!names.contains(&"sh") && !names.contains(&"busybox"));
    }

    #[test]
    fn a_tag_is_stood_in_for_and_a_digest_is_not() {
        let known = |text: &str| stand_in(&Reference::parse(text).unwrap()).is_some();
        assert!(known("busybox") && known("docker.io/library/busybox:1.36") && known("bash:5"));
        assert!(!known("nginx") && !known("ghcr.io/library/busybox") && !known("me/busybox"));
        assert!(!known(&format!("busybox@sha256:{}", "0a".repeat(32))));
    }
}
