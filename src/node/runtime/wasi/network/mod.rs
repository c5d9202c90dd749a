//! sampan:network for clients: echoes and TLS. Upstream: `wasm-workloads/wit/network/network.wit`.
//!
//! ```text
//! guest ── its socket ──> server            tls      what the guest asks for
//!   └ records, data ─> tls::client-connection        session  rustls, without a connection
//!                                                    trust    who may be at the other end
//!                                                    certificate, failure   what is told of them
//! ```

mod certificate;
mod echo;
mod failure;
mod session;
mod tls;
mod trust;

use wasmtime::component::{HasSelf, Linker};

use super::super::process::Process;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wasm-workloads/wit/network/network.wit",
        world: "sampan:network/client",
        imports: {
            "sampan:network/echo.ping": async | trappable,
            "sampan:network/tls.[static]client-connection.open": async | trappable,
            "sampan:network/tls.[method]client-connection.input": async | trappable,
            default: trappable,
        },
        with: { "sampan:network/tls.client-connection": super::tls::ClientConnection },
    });
}

use bindings::sampan::network as wit;

pub(super) fn add_to_linker(linker: &mut Linker<Process>) -> wasmtime::Result<()> {
    wit::echo::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)?;
    wit::tls::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)
}
