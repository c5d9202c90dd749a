//! wasi:http, and what sampan:network adds for servers. Upstream:
//! `wasm-workloads/wit/network`.

mod errors;
mod requests;

use std::net::SocketAddr;

use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

pub(in super::super) use self::requests::{Client, Requests};
use super::super::process::Process;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wasm-workloads/wit/network",
        world: "sampan:network/server",
        imports: { default: trappable },
        exports: { default: async },
    });
}

use bindings::sampan::network::connection;

/// The two ends of the connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Ends {
    pub(in super::super) client: SocketAddr,
    pub(in super::super) server: SocketAddr,
}

/// A server that says itself where it is to be served.
#[derive(Clone)]
pub(in super::super) struct Listen(bindings::ServerPre<Process>);

pub(super) fn add_to_linker(linker: &mut Linker<Process>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    connection::add_to_linker::<Process, HasSelf<Process>>(linker, |process| process)
}

impl connection::Host for Process {
    fn current(&mut self) -> wasmtime::Result<Option<connection::Ends>> {
        Ok(self.connection.map(|ends| connection::Ends {
            client_address: ends.client.ip().to_canonical().to_string(),
            client_port: ends.client.port(),
            server_address: ends.server.ip().to_canonical().to_string(),
            server_port: ends.server.port(),
        }))
    }
}

impl Listen {
    /// `None` if the component leaves it to the host.
    pub(in super::super) fn of(instance: &InstancePre<Process>) -> Option<Self> {
        bindings::ServerPre::new(instance.clone()).ok().map(Self)
    }

    /// The ports to serve, or why it cannot be served; and the new instance that says so.
    ///
    /// # Errors
    /// Its trap or exit.
    pub(in super::super) async fn call(
        &self,
        store: &mut Store<Process>,
        arguments: &[String],
    ) -> wasmtime::Result<(Instance, Result<Vec<u16>, String>)> {
        let instance = self.0.instance_pre().instantiate_async(&mut *store).await?;
        let server = bindings::Server::new(&mut *store, &instance)?;
        let ports = server.sampan_network_listeners().call_listen(store, arguments).await?;
        Ok((instance, ports))
    }
}

impl WasiHttpView for Process {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.requests, table: &mut self.table, ctx: &mut self.http }
    }
}
