//! Wing 2: the kubelet, the runtime that runs guests, their images, files and network, the proxy
//! that brings Services' traffic to them, and the door for Ingresses.
//!
//! Enter by [`Node::start`].

mod assembly;
pub mod files;
pub mod images;
pub mod ingress;
mod kubelet;
pub mod network;
mod proxy;
pub mod runtime;
mod volumes;

pub use assembly::{Caches, Clients, Config, Error, Node};
