//! A container's files: an image's layers below, a writable directory above, volumes mounted into
//! them; quotas, and the walking of paths over `cap_std::fs::Dir`. Knows neither wasmtime nor WIT.
//!
//! Enter by [`Root`]. Paths are walked here, component by component: cap-std refuses absolute
//! symlinks, images are full of them, and a mount may sit anywhere. What is below a [`Place`] is
//! reached through a `Dir` that was handed in, so a mistake here can confuse a container, and never
//! leave it.
//!
//! ```text
//! lookup:  mounts -> upper -> given, lowers, unless hidden -> built-ins (/dev, /tmp), unless hidden
//!          where none has anything: a directory, if something is mounted below it
//! write:   mounts, or upper: a file of a lower layer is copied up first
//! delete:  from upper, and what the lower layers have under that name is hidden from then on
//! ```
//!
//! [`Root::over`] is a second view of the same files with one more layer below them: what is changed
//! in one is changed in the other.
//!
//! # Volumes
//!
//! A [`Volume`] is a directory of the host, with a [`Quota`] if it may not fill its disk. Whoever
//! makes volumes opens each once, and hands clones of it to all containers and Pods that mount it:
//! what they write is counted together. A container's volume mount becomes a [`Mount`]:
//!
//! ```text
//! quota  = Arc::new(Quota::new(bytes))          or Quota::scan(bytes, &dir): it has files already
//! volume = Volume::with_quota(dir, quota)       or Volume::from(dir)
//! source = volume.whole()                       or volume.part(sub_path, create)
//! root.mount_all([Mount { path, source, read_only }, …])
//! ```
//!
//! Symlinks in a volume lead where the container's paths lead, as on Linux: an absolute one starts
//! at the container's root. `sub_path` is the one path that is followed within the volume, by the
//! host. A directory is mounted as a directory: what is swapped below it (`..data`) is seen at once;
//! a file that was mounted as `sub_path` stays the file it was.

mod change;
mod direct;
mod error;
mod file;
mod given;
mod layer;
mod layers;
mod made;
mod mode;
mod mounts;
mod place;
mod quota;
mod read;
mod root;
mod volume;
mod walk;

#[cfg(test)]
mod escape_test;
#[cfg(test)]
mod layers_test;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod mounts_test;
#[cfg(test)]
mod quota_test;

pub use error::Error;
pub use file::File;
pub use layer::Layer;
pub use layers::{Device, Kind, Origin};
pub use made::{About, Made, Node};
pub use mounts::{Mount, MountInfo, Space};
pub use place::Place;
pub use quota::{Quota, Usage};
pub use read::{Entry, OpenOptions, Opened, Stat};
pub use root::Root;
pub use volume::{Source, Volume};
pub use walk::Follow;

/// What every operation on files answers.
pub type Result<T> = std::result::Result<T, Error>;
