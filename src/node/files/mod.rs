//! A container's files: an image below, a writable directory above, volumes mounted into both;
//! quotas, and the walking of paths over `cap_std::fs::Dir`. Knows neither wasmtime nor WIT.
//!
//! Enter by [`Root`]. Paths are walked here, component by component: cap-std refuses absolute
//! symlinks, images are full of them, and a mount may sit anywhere. What is below a [`Place`] is
//! reached through a `Dir` that was handed in, so a mistake here can confuse a container, and never
//! leave it.
//!
//! ```text
//! lookup:  mounts -> upper -> lower, unless hidden -> built-ins (/dev, /tmp), unless hidden
//! write:   mounts, or upper: a file of the lower directory is copied up first
//! delete:  from upper, and what the lower directory has under that name is hidden from then on
//! ```

mod change;
mod error;
mod file;
mod layers;
mod place;
mod read;
mod root;
mod walk;

#[cfg(test)]
mod model_test;

pub use error::Error;
pub use file::File;
pub use layers::{Device, Kind, Origin};
pub use place::Place;
pub use read::{Entry, OpenOptions, Opened, Stat};
pub use root::{Mount, Root};
pub use walk::Follow;

/// What every operation on files answers.
pub type Result<T> = std::result::Result<T, Error>;
