//! Who are you, may you.
//!
//! Enter by [`authenticate`] (a client certificate of our own CA, a ServiceAccount's token, or
//! nobody), then [`Authorizer`] (a fixed table for this process' own, then roles and bindings: [`rbac`]).
//! [`bootstrap`] is the roles that every cluster has. [`pki`] keeps the keys, [`tokens`] signs and checks,
//! [`reviews`] answers questions about who may what, [`signer`] signs certificates that are asked for.

mod authenticate;
mod authorize;
pub mod bootstrap;
mod grants;
mod identity;
pub mod pki;
pub mod rbac;
pub mod reviews;
pub mod signer;
pub mod tokens;

pub use authenticate::{BoundTo, Credential, Unauthorized, authenticate};
pub use authorize::{Attributes, Authorizer, Decision, Rules};
pub use identity::Identity;
