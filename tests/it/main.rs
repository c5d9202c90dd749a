//! The API server in process, on the store in memory: one story per test.

mod objects;
mod patching;
mod shell;
mod support;
mod watching;
