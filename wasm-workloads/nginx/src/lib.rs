//! A web server that is configured as nginx is, for `image: nginx`: files, redirects, `try_files`,
//! error pages, `proxy_pass`. The sockets and HTTP itself are the host's: this is a component that
//! exports wasi:http/incoming-handler, and `sampan:network/listeners` to say which ports.
//!
//! `config` reads nginx.conf, `serve` decides what a request is answered with (both without any IO
//! but reading files, and tried natively), `server` speaks wasi:http.
//!
//! One instance answers one request at a time, and is used again: it keeps the configuration, and
//! small files for as long as their state on disk stays the same.

// Elsewhere there is nothing to build, only to test.
#![cfg(any(target_family = "wasm", test))]
#![cfg_attr(not(target_family = "wasm"), expect(dead_code, reason = "what only `server` uses"))]

mod command_line;
mod config;
mod date;
mod files;
mod request;
mod serve;
#[cfg(target_family = "wasm")]
mod server;
#[cfg(test)]
mod testing;

use std::time::{SystemTime, UNIX_EPOCH};

fn hostname() -> String {
    let text = files::read_text("/etc/hostname").unwrap_or_default();
    let given = std::env::var("HOSTNAME").ok();
    given.unwrap_or_else(|| text.trim().to_owned())
}

/// Unix time in milliseconds.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
