//! busybox with its shell, also for the images that are little more.

use std::sync::OnceLock;

use super::{BuiltIn, StandIn, directory, program, text};
use crate::node::images::store::Entry;

const SH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sh.wasm"));
const BUSYBOX_PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/busybox.wasm"));

/// Names under which the busybox program is called; it has the same list.
const APPLETS: &str = include_str!("../../../../wasm-workloads/busybox/applets.txt");

pub(in super::super) static BUSYBOX: BuiltIn = BuiltIn {
    name: "busybox",
    stand_ins: &[
        StandIn::new("docker.io/library/busybox", &[], &["sh"]),
        StandIn::new("docker.io/library/alpine", &[], &["/bin/sh"]),
        StandIn::new("docker.io/library/debian", &[], &["bash"]),
        StandIn::new("docker.io/library/ubuntu", &[], &["/bin/bash"]),
        StandIn::new("docker.io/library/bash", &[], &["bash"]),
        // Kubernetes' own copies, as its documentation and its tests name them.
        StandIn::new("registry.k8s.io/busybox", &[], &["sh"]),
        StandIn::new("registry.k8s.io/e2e-test-images/busybox", &[], &["sh"]),
        StandIn::new("k8s.gcr.io/busybox", &[], &["sh"]),
    ],
    entries,
    base: None,
    path: "",
    working_dir: "/",
    exposed_ports: &[],
    digest: OnceLock::new(),
};

/// The busybox root filesystem.
fn entries() -> Vec<Entry<'static>> {
    let mut entries: Vec<Entry<'static>> =
        ["bin", "etc", "home", "mnt", "opt", "root", "run", "usr", "usr/bin", "var", "var/log"]
            .map(directory)
            .to_vec();
    entries.extend(["tmp", "var/tmp"].map(|path| Entry::Directory { path, mode: 0o1777 }));
    entries.extend([
        text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        text("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        text("etc/shells", "/bin/sh\n/bin/ash\n/bin/bash\n"),
        text("etc/os-release", concat!(
            "NAME=sampan\nID=sampan\nPRETTY_NAME=\"sampan's built-in WebAssembly busybox\"\nVERSION_ID=",
            env!("CARGO_PKG_VERSION"),
            "\n"
        )),
    ]);
    entries.extend([program("bin/sh", SH), program("bin/busybox", BUSYBOX_PROGRAM)]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applets_have_distinct_names() {
        let mut names: Vec<_> = APPLETS.lines().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(!names.contains(&"sh") && !names.contains(&"busybox"));
    }
}
