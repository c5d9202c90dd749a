//! Who are you, and may you.

mod identity;

pub use identity::Identity;
