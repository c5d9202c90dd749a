//! What `-v` tells: `*` is curl's own, `>` and `<` are lines sent and received.

use super::options::Config;

#[derive(Debug)]
pub struct Trace<'a> {
    config: &'a Config,
    /// Pieces of a body are told once, not one by one.
    told_body: bool,
    /// Whoever sees the body need not be told of it.
    body_is_seen: bool,
}

impl<'a> Trace<'a> {
    pub fn new(config: &'a Config, body_is_seen: bool) -> Self {
        Self { config, told_body: false, body_is_seen }
    }

    pub fn say(&mut self, text: &str) {
        if self.config.verbose {
            eprintln!("* {text}");
        }
    }

    pub fn sent(&mut self, head: &str, body_bytes: usize) {
        if !self.config.verbose {
            return;
        }
        for line in head.split_inclusive("\r\n") {
            eprint!("> {line}");
        }
        if body_bytes > 0 && !self.body_is_seen {
            eprintln!("}} [{body_bytes} bytes data]");
        }
        self.told_body = false;
    }

    pub fn received(&mut self, line: &str) {
        if self.config.verbose {
            eprint!("< {line}\r\n");
        }
        self.told_body = false;
    }

    pub fn body(&mut self, bytes: usize) {
        if self.config.verbose && !self.told_body && !self.body_is_seen {
            eprintln!("{{ [{bytes} bytes data]");
        }
        self.told_body = true;
    }
}
