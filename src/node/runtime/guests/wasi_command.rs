//! Programs: components that export wasi:cli/run.

use futures::future::BoxFuture;
use wasmtime::component::InstancePre;
use wasmtime_wasi::p2::bindings::CommandPre;

use super::{Guest, Runnable};
use crate::node::runtime::process::{self, Process, Start};

pub(super) struct WasiCommand;

struct Command(CommandPre<Process>);

impl Guest for WasiCommand {
    fn name(&self) -> &'static str {
        "wasi-command"
    }

    fn export(&self) -> &'static str {
        "wasi:cli/run@0.2."
    }

    fn prepare(&self, instance: InstancePre<Process>) -> Result<Box<dyn Runnable>, String> {
        let command = CommandPre::new(instance).map_err(|error| format!("{error:#}"))?;
        Ok(Box::new(Command(command)))
    }
}

impl Runnable for Command {
    fn run(&self, mut start: Start) -> BoxFuture<'_, wasmtime::Result<i32>> {
        Box::pin(async move {
            let meter = start.entry.meter.clone();
            let mut store = process::store(self.0.engine(), Process::new(&mut start), meter);
            let command = self.0.instantiate_async(&mut store).await?;
            let ended = command.wasi_cli_run().call_run(&mut store).await?;
            Ok(if ended.is_ok() { 0 } else { 1 })
        })
    }
}
