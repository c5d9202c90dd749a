//! Wing 2: the kubelet, the runtime that runs guests, their images, files and network.

pub mod files;
pub mod images;
pub mod runtime;
