//! Protobuf request bodies, which client-go's typed clients send, read into the same JSON values as
//! JSON bodies, driven by the table of `api::schema`: no generated message types.
//!
//! Enter through [`decode`] with a whole body. `wire` reads protobuf's own encoding; `message` turns
//! one message into a JSON object by a type's tags.

mod envelope;
mod message;
mod wire;

pub use envelope::{Defaults, Error, MEDIA_TYPE, decode};
pub use wire::Malformed;

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
