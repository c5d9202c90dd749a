//! Programs of others that are measured beside sampan.

use std::process::{Child, Command, Stdio};

/// The program that a variable names (`PEER`, `NGINX`); nothing is measured beside sampan without it.
#[expect(clippy::disallowed_methods, reason = "a bench has no configuration but this")]
pub(crate) fn program(variable: &str) -> anyhow::Result<String> {
    std::env::var(variable).map_err(|_| anyhow::anyhow!("{variable} names no program"))
}

/// A running one; ends when dropped.
#[derive(Debug)]
pub(crate) struct Peer(Child);

impl Peer {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
