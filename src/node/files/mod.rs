//! A container's files: an image's layers below, a writable directory above, volumes mounted into
//! them; quotas, and the walking of paths over `cap_std::fs::Dir`. Knows neither wasmtime nor WIT.
//!
//! Enter by [`Root`]. Paths are walked here, component by component: cap-std refuses absolute
//! symlinks, images are full of them, and a mount may sit anywhere. What is below a [`Place`] is
//! reached through a `Dir` that was handed in, so a mistake here can confuse a container, and never
//! leave it.
//!
//! ```text
//! lookup:  mounts -> upper -> lowers, unless hidden -> built-ins (/dev, /tmp), unless hidden
//! write:   mounts, or upper: a file of a lower layer is copied up first
//! delete:  from upper, and what the lower layers have under that name is hidden from then on
//! ```
//!
//! [`Root::over`] is a second view of the same files with one more layer below them: what is changed
//! in one is changed in the other.

mod change;
mod error;
mod file;
mod layers;
mod mounts;
mod place;
mod read;
mod root;
mod walk;

#[cfg(test)]
mod layers_test;
#[cfg(test)]
mod model_test;

pub use error::Error;
pub use file::File;
pub use layers::{Device, Kind, Origin};
pub use mounts::{MountInfo, Space};
pub use place::Place;
pub use read::{Entry, OpenOptions, Opened, Stat};
pub use root::{Mount, Root};
pub use walk::Follow;

/// What every operation on files answers.
pub type Result<T> = std::result::Result<T, Error>;
