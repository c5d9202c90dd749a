//! sampan:process: what guests of our own images can do beyond WASI: handles, child processes,
//! signals, terminals, and the container's own figures. Upstream: `wasm-workloads/wit/process.wit`.

mod child;
mod io;
mod signals;
mod system;
mod terminal;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, Resource};

use super::super::container::Child;
use super::super::description::Description;
use super::super::process::Process;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wasm-workloads/wit/process.wit",
        world: "sampan:process/program",
        imports: {
            "sampan:process/io.[method]handle.read": async | trappable,
            "sampan:process/io.[method]handle.write": async | trappable,
            "sampan:process/io.[method]handle.wait-readable": async | trappable,
            "sampan:process/process.[method]child.wait": async | trappable,
            "sampan:process/process.[method]child.wait-or-signal": async | trappable,
            "sampan:process/process.spawn": async | trappable,
            default: trappable,
        },
        with: {
            "sampan:process/io.handle": super::Handle,
            "sampan:process/process.child": super::ChildResource,
        },
    });
}

use bindings::sampan::process as wit;

/// One reference to an open file description.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Handle(Arc<Description>);

/// A process that this one started.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct ChildResource(Child);

pub(super) fn add_to_linker(linker: &mut Linker<Process>) -> wasmtime::Result<()> {
    wit::io::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)?;
    wit::process::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)?;
    wit::signals::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)?;
    wit::terminal::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)?;
    wit::system::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)
}

impl Process {
    fn handle(&self, handle: &Resource<Handle>) -> wasmtime::Result<Arc<Description>> {
        Ok(self.table.get(handle)?.0.clone())
    }

    /// `Err(limit)` if this process holds too many already.
    fn new_handle(
        &mut self,
        description: Arc<Description>,
    ) -> Result<Resource<Handle>, wit::io::Error> {
        self.table.push(Handle(description)).map_err(|_| wit::io::Error::Limit)
    }
}
