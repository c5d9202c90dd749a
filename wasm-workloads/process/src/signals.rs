//! Signals between the processes of a container; see `wit/process.wit`. They cannot be caught
//! outside WebAssembly.

pub const HANGUP: u8 = 1;
pub const INTERRUPT: u8 = 2;
pub const QUIT: u8 = 3;
pub const KILL: u8 = 9;
pub const TERMINATE: u8 = 15;
/// The window's size has changed.
pub const WINDOW: u8 = 28;

/// What a signal does to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    Default,
    Ignore,
    /// It waits for [`take`], and ends the waits that say so.
    Catch,
}

#[cfg(target_family = "wasm")]
mod backend {
    use super::Disposition;
    use crate::backend::signals;

    pub fn handle(signal: u8, disposition: Disposition) {
        let disposition = match disposition {
            Disposition::Default => signals::Disposition::Default,
            Disposition::Ignore => signals::Disposition::Ignore,
            Disposition::Catch => signals::Disposition::Catch,
        };
        signals::handle(signal, disposition);
    }

    /// A caught signal that was not taken yet, the lowest first.
    pub fn take() -> Option<u8> {
        signals::take()
    }
}

#[cfg(not(target_family = "wasm"))]
mod backend {
    use super::Disposition;

    pub fn handle(_: u8, _: Disposition) {}

    pub fn take() -> Option<u8> {
        None
    }
}

pub use backend::{handle, take};
