//! A shell that someone sits at: reads lines from a terminal with the line editor, keeps their
//! history, shows prompts, and tells of jobs that ended.
//!
//! Enter by [`Shell::start_session`] and [`Shell::enter_line`]. Without a terminal (`sh -i` in a
//! pipe) there is no session, and lines are read as a script's.
//!
//! [`Shell::start_session`]: crate::shell::Shell::start_session
//! [`Shell::enter_line`]: crate::shell::Shell::enter_line

mod history_file;
mod names;
mod prompt;
mod session;
mod startup;

pub use session::{Entered, Session};
pub use startup::own_disposition;
