//! What is mounted where, and how much room there is.

use cap_std::fs::Dir;

use super::Root;

/// One line of a mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo {
    /// Absolute.
    pub target: String,
    /// `overlay`, `volume`, `devices`.
    pub kind: &'static str,
    pub read_only: bool,
    /// `None` where the host does not tell.
    pub space: Option<Space>,
}

/// Of the host's filesystem that holds a mount, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// To whom is not root.
    pub available: u64,
}

impl Root {
    /// The root itself, the devices, then the volumes by their path.
    pub fn mounts(&self) -> Vec<MountInfo> {
        let info = |target: &str, kind, read_only, space| MountInfo {
            target: target.to_owned(),
            kind,
            read_only,
            space,
        };
        let mut volumes: Vec<_> = self
            .mounts
            .iter()
            .map(|mount| {
                info(&mount.place.absolute(), "volume", mount.read_only, space(&mount.dir))
            })
            .collect();
        volumes.sort_by(|one, other| one.target.cmp(&other.target));
        let own =
            [info("/", "overlay", false, space(&self.upper)), info("/dev", "devices", false, None)];
        own.into_iter().chain(volumes).collect()
    }
}

#[cfg(unix)]
fn space(dir: &Dir) -> Option<Space> {
    let of = rustix::fs::fstatvfs(dir).ok()?;
    Some(Space { total: of.f_blocks * of.f_frsize, available: of.f_bavail * of.f_frsize })
}

#[cfg(not(unix))]
fn space(_: &Dir) -> Option<Space> {
    None
}
