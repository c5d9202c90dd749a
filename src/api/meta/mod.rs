//! Rules of names, labels and annotations, and of `metadata` as a whole.
//!
//! Name rules answer upstream's complaints as texts, none if the name is fine; [`validate`] and
//! [`validate_update`] answer every fault of an `ObjectMeta` with its field path.

mod names;
mod validation;

pub use names::*;
pub use validation::*;
