//! Wing 2: the kubelet, the runtime that runs guests, their images, files and network.
//!
//! Enter by [`Node::start`].

mod assembly;
pub mod files;
pub mod images;
mod kubelet;
pub mod network;
pub mod runtime;

pub use assembly::{Caches, Config, Error, Node};
