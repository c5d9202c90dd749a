//! Composition: builds the two wings, joins them, starts them, drains them in reverse.
//!
//! Enter by [`Cluster::start`]; [`Cluster::ready`] answers when a user can begin; end with
//! [`Cluster::shutdown`]. What the cluster leaves outside itself has a file each:
//! `data_directory`, `kubeconfig`, `process`.

pub mod data_directory;
pub mod kubeconfig;
pub mod process;
