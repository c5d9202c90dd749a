//! Unmodified kubectl against the real binary, as a new user meets it: an empty directory, an empty
//! HOME. Run with `cargo test --test e2e`; kubectl comes from `$KUBECTL` or PATH.

mod bad_input;
mod command_line;
mod objects;
mod restart;
mod support;
mod tutorial;
