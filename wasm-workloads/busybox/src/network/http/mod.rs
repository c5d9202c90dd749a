//! HTTP/1.1 as its clients need it (RFC 9112): addresses of pages, responses and their bodies.

mod body;
mod head;
mod url;

pub use body::{Body, BodyError};
pub use head::{Head, HeadError};
pub use url::{Scheme, Url, UrlError};
