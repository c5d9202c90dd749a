//! Who are you, may you.
//!
//! Enter by [`Authenticator::authenticate`], then [`authorize`]. Who: a client certificate of our
//! own CA, a ServiceAccount's token, or nobody (`system:anonymous`). May: a fixed table until RBAC
//! comes. [`pki`] keeps the keys, [`tokens`] signs, [`reviews`] answers questions about oneself.

mod identity;
pub mod pki;

pub use identity::Identity;
