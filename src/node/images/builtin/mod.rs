//! The images inside the binary: programs that `build.rs` compiled from `wasm-workloads/`, with what
//! lies around them. To add one: a file here, and a line in [`BUILT_INS`].
//!
//! All but busybox lie on top of its root, so that `kubectl exec -- sh` works in them; it is on disk
//! once for all.

mod agnhost;
mod busybox;
mod nginx;

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

pub(super) use busybox::BUSYBOX;

use super::reference::Reference;
use super::store::Entry;

const BUILT_INS: &[&BuiltIn] = &[&BUSYBOX, &nginx::NGINX, &nginx::HTTPD, &agnhost::AGNHOST];

/// An image inside the binary.
#[derive(Debug)]
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    pub(super) stand_ins: &'static [StandIn],
    /// What it has of its own.
    entries: fn() -> Vec<Entry<'static>>,
    /// What lies below that.
    base: Option<&'static Self>,
    /// Directories before Docker's in PATH.
    path: &'static str,
    /// Absolute.
    pub(super) working_dir: &'static str,
    /// As a Dockerfile's EXPOSE; TCP.
    pub(super) exposed_ports: &'static [u16],
    /// `sha256:…` over names, modes and content of its own entries.
    digest: OnceLock<String>,
}

/// A Linux image for which a built-in stands in.
#[derive(Debug)]
pub(super) struct StandIn {
    /// `docker.io/library/busybox`
    pub(super) repository: &'static str,
    /// These two are the Linux image's, so that a Pod runs what it would there.
    pub(super) entrypoint: &'static [&'static str],
    pub(super) cmd: &'static [&'static str],
}

impl StandIn {
    const fn new(
        repository: &'static str,
        entrypoint: &'static [&'static str],
        cmd: &'static [&'static str],
    ) -> Self {
        Self { repository, entrypoint, cmd }
    }
}

/// One root filesystem of those that an image is made of.
pub(super) struct Layer {
    pub(super) digest: &'static str,
    pub(super) entries: Vec<Entry<'static>>,
}

impl BuiltIn {
    /// Topmost first.
    pub(super) fn layers(&'static self) -> Vec<Layer> {
        let own = Layer { digest: self.own_digest(), entries: (self.entries)() };
        let mut layers = vec![own];
        layers.extend(self.base.into_iter().flat_map(Self::layers));
        layers
    }

    /// `sha256:…` over all layers.
    pub(super) fn digest(&'static self) -> String {
        match self.base {
            None => self.own_digest().to_owned(),
            Some(base) => {
                let both = format!("{}\n{}", self.own_digest(), base.digest());
                super::digest_text(&Sha256::digest(both))
            }
        }
    }

    fn own_digest(&self) -> &str {
        self.digest.get_or_init(|| digest_of(&(self.entries)()))
    }

    pub(super) fn env(&self) -> Vec<(String, String)> {
        let between = if self.path.is_empty() { "" } else { ":" };
        vec![("PATH".to_owned(), format!("{}{between}{}", self.path, super::PATH))]
    }
}

/// The built-in for a reference, whatever its tag: a tag names a Linux version. A digest names
/// exact bytes that no stand-in can have.
pub(super) fn stand_in(reference: &Reference) -> Option<(&'static BuiltIn, &'static StandIn)> {
    if reference.digest.is_some() {
        return None;
    }
    let repository = format!("{}/{}", reference.domain, reference.path);
    let all = BUILT_INS.iter().flat_map(|image| image.stand_ins.iter().map(|it| (*image, it)));
    let mut all = all;
    all.find(|(_, stand_in)| stand_in.repository == repository)
}

/// The last names that [`stand_in`] knows, for an error's advice.
pub(super) fn names() -> String {
    let all = BUILT_INS.iter().flat_map(|image| image.stand_ins);
    let last = |stand_in: &'static StandIn| stand_in.repository.rsplit('/').next();
    let mut names = Vec::new();
    for name in all.filter_map(last) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn digest_of(entries: &[Entry<'_>]) -> String {
    let mut hash = Sha256::new();
    for entry in entries {
        let (path, kind, content) = match *entry {
            Entry::Directory { path, mode } => (path, mode, &[][..]),
            Entry::File { path, mode, content } => (path, mode | 0o100_000, content),
            Entry::Symlink { path, target } => (path, 0o120_000, target.as_bytes()),
            Entry::Copy { path, .. } => (path, 0o100_000, &[][..]),
        };
        hash.update(format!("{path}\0{kind:o}\0{}\0", content.len()));
        hash.update(content);
    }
    super::digest_text(&hash.finalize())
}

const fn directory(path: &'static str) -> Entry<'static> {
    Entry::Directory { path, mode: 0o755 }
}

const fn program(path: &'static str, content: &'static [u8]) -> Entry<'static> {
    Entry::File { path, mode: 0o755, content }
}

const fn text(path: &'static str, content: &'static str) -> Entry<'static> {
    Entry::File { path, mode: 0o644, content: content.as_bytes() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every path of an image's own entries.
    fn paths(image: &BuiltIn) -> Vec<&'static str> {
        let path = |entry: Entry<'static>| match entry {
            Entry::Directory { path, .. }
            | Entry::File { path, .. }
            | Entry::Copy { path, .. }
            | Entry::Symlink { path, .. } => path,
        };
        (image.entries)().into_iter().map(path).collect()
    }

    #[test]
    fn programs_are_components() {
        for image in BUILT_INS {
            let mut programs = 0;
            for entry in (image.entries)() {
                if let Entry::File { path, mode: 0o755, content } = entry {
                    assert_eq!(content[..8], *b"\0asm\x0d\0\x01\0", "{path}");
                    programs += 1;
                }
            }
            assert!(programs > 0, "{}", image.name);
        }
    }

    #[test]
    fn no_two_images_share_a_name_or_what_they_stand_in_for() {
        let names: BTreeSet<_> = BUILT_INS.iter().map(|image| image.name).collect();
        assert_eq!(names.len(), BUILT_INS.len());
        let all = || BUILT_INS.iter().flat_map(|image| image.stand_ins);
        let repositories: BTreeSet<_> = all().map(|it| it.repository).collect();
        assert_eq!(repositories.len(), all().count());
    }

    #[test]
    fn paths_are_distinct_and_lie_in_directories_before_them() {
        for image in BUILT_INS {
            let paths = paths(image);
            for (index, path) in paths.iter().enumerate() {
                let before = &paths[..index];
                assert!(!before.contains(path), "{}: {path} twice", image.name);
                if let Some((parent, _)) = path.rsplit_once('/') {
                    assert!(before.contains(&parent), "{}: {path} before {parent}", image.name);
                }
            }
        }
    }

    #[test]
    fn digests_are_of_the_content() {
        let digests: BTreeSet<_> = BUILT_INS.iter().map(|image| image.digest()).collect();
        assert_eq!(digests.len(), BUILT_INS.len());
        let one = digest_of(&[text("a", "1")]);
        assert_ne!(one, digest_of(&[text("a", "2")]));
        assert_ne!(one, digest_of(&[program("a", b"1")]));
        assert_eq!(one, digest_of(&[text("a", "1")]));
    }

    #[test]
    fn a_tag_is_stood_in_for_and_a_digest_is_not() {
        let found = |text: &str| stand_in(&Reference::parse(text).unwrap());
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(found(text).map(|(image, _)| image.name), expect, "{text}");
        };
        check("busybox", Some("busybox"));
        check("docker.io/library/busybox:1.36", Some("busybox"));
        check("bash:5", Some("busybox"));
        check("nginx:1.14.2", Some("nginx"));
        check("httpd:2.4", Some("httpd"));
        check("registry.k8s.io/e2e-test-images/agnhost:2.53", Some("agnhost"));
        check("registry.k8s.io/pause:3.10", Some("agnhost"));
        check("ghcr.io/library/busybox", None);
        check("me/busybox", None);
        check(&format!("busybox@sha256:{}", "0a".repeat(32)), None);
    }
}
