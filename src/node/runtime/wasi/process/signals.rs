//! Signals that a process catches or ignores.

use super::wit::signals;
use crate::node::runtime::process::Process;
use crate::node::runtime::signals::Disposition;

impl signals::Host for Process {
    fn handle(&mut self, signal: u8, disposition: signals::Disposition) -> wasmtime::Result<()> {
        let disposition = match disposition {
            signals::Disposition::Default => Disposition::Default,
            signals::Disposition::Ignore => Disposition::Ignore,
            signals::Disposition::Catch => Disposition::Catch,
        };
        self.entry.signals.handle(signal, disposition);
        Ok(())
    }

    fn take(&mut self) -> wasmtime::Result<Option<u8>> {
        Ok(self.entry.signals.take())
    }
}
