//! What the server knows of each kind: the table `RESOURCES`, one file per kind.

mod resource;

pub use resource::*;
