//! SPDY/3.1: many streams over one connection, for clients of `exec`, `attach` and `port-forward`
//! that do not speak WebSocket, and for port-forward's frames inside WebSocket messages.
//!
//! Enter by [`Session::new`] with any byte stream; it answers the session, which does the work as
//! long as its [`Session::run`] is polled, and the streams that the client opens. A [`Stream`] has
//! the headers it was opened with and is read and written like a socket.
//!
//! ```text
//!  bytes ──► codec ──► session ──► Stream (headers, bytes)       a stream: open ─► one half closed ─► closed
//!        ◄──       ◄──   flow  ◄──                                          └── reset, from either side ──┘
//! ```
//!
//! Only the server's side is here: it opens no streams. Upstream: SPDY Protocol, Draft 3.1 (chromium.org),
//! and `github.com/moby/spdystream`, which is what client-go speaks.

mod channel;
#[cfg(test)]
pub(crate) mod client;
mod codec;
mod dictionary;
mod flow;
mod frame;
#[cfg(test)]
mod fuzz;
mod headers;
mod session;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use headers::Headers;
pub(crate) use session::Session;
pub(crate) use stream::{Incoming, Stream};
