//! The API server in process, on the store in memory: one story per test.

mod objects;
mod shell;
mod support;
