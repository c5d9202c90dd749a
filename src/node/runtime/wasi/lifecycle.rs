//! sampan:lifecycle: any guest may learn that its container is to end. Upstream:
//! `wasm-workloads/wit/lifecycle`.
//!
//! What is told is a caught SIGTERM that nobody takes: so it stays, for whoever asks later.

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::super::process::Process;
use super::super::processes::Entry;
use super::super::signals::{Disposition, TERMINATE};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wasm-workloads/wit/lifecycle",
        world: "sampan:lifecycle/guest",
        imports: { default: trappable },
        with: { "wasi:io": wasmtime_wasi::p2::bindings::io },
        require_store_data_send: true,
    });
}

use bindings::sampan::lifecycle::termination;

pub(super) fn add_to_linker(linker: &mut Linker<Process>) -> wasmtime::Result<()> {
    termination::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)
}

impl termination::Host for Process {
    fn requested(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        self.listen();
        let told = self.table.push(Told(self.entry.clone()))?;
        subscribe(&mut self.table, told)
    }

    fn is_requested(&mut self) -> wasmtime::Result<bool> {
        self.listen();
        Ok(self.entry.signals.is_pending(TERMINATE))
    }
}

impl Process {
    fn listen(&self) {
        self.entry.signals.handle(TERMINATE, Disposition::Catch);
    }
}

struct Told(Arc<Entry>);

#[wasmtime_wasi::async_trait]
impl Pollable for Told {
    async fn ready(&mut self) {
        self.0.signals.arrived(TERMINATE).await;
    }
}
