//! The line editor of an interactive shell: what keys do to a line, and what to send to the
//! terminal so that it shows. Pure: bytes in, bytes out; `interactive` does the reading and writing.
//!
//! ```text
//! bytes -> keys -> state (line, history) -> screen -> bytes
//!                    |- completion   what stands at the cursor, and what could follow
//!                    `- events       !! and !name
//! ```

mod completion;
mod events;
mod history;
mod keys;
mod line;
#[cfg(test)]
mod model;
mod screen;
mod state;

pub use completion::{Completed, Kind, Wanted, columns, complete, wanted};
pub use events::expand;
pub use history::History;
pub use keys::Decoder;
pub use screen::{Screen, Size};
pub use state::{Editor, Outcome};
