//! Who are you, may you.
//!
//! Enter by [`authenticate`] (a client certificate of our own CA, a ServiceAccount's token, or
//! nobody), then [`authorize`] (a fixed table until RBAC comes). [`pki`] keeps the keys, [`tokens`]
//! signs and checks, [`reviews`] answers questions about oneself.

mod authenticate;
mod authorize;
mod grants;
mod identity;
pub mod pki;
pub mod reviews;
pub mod tokens;

pub use authenticate::{BoundTo, Credential, Unauthorized, authenticate};
pub use authorize::{Attributes, Decision, authorize};
pub use identity::Identity;
