//! Wing 1: storage, the API server, the scheduler and the controllers.
//!
//! Enter by [`ControlPlane`].

mod admission;
mod apiserver;
mod assembly;
pub mod auth;
mod cluster_roles;
mod controllers;
mod priority_classes;
mod registry;
mod scheduler;
mod spdy;
pub mod storage;
mod storage_classes;

pub use apiserver::TlsError;
pub use assembly::{ControlPlane, Error, Rooms};
pub(crate) use controllers::API_SERVER_PORT;
pub use registry::ServiceRanges;
