//! What the server knows of each kind: the table `RESOURCES`, one file per kind.

mod any;
mod resource;

pub use any::*;
pub use resource::*;

/// Every kind that the server knows. To add one: `&Kind::<Pods>::NEW`.
pub static RESOURCES: &[&dyn AnyResource] = &[];
