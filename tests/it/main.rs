//! The API server in process, on the store in memory: one story per test.

mod containers;
mod guests;
mod objects;
mod patching;
mod shell;
mod subresources;
mod support;
mod watching;
