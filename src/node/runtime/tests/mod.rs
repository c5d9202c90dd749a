//! Containers, from the outside: small wasip1 programs in text, run in roots of their own.

mod ends;
mod files;
mod limits;
mod processes;
mod programs;
mod sockets;
mod support;
