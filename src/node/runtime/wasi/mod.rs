//! What a guest can import. Input and output streams, clocks and randomness come from wasmtime-wasi;
//! files, standard streams, sockets and processes are ours, linked over its own. There are no sockets
//! of the host: a guest's are on its Pod's network, and refuse all use if it has none.

mod clocks;
mod error;
mod file_stream;
mod filesystem;
mod http;
mod lifecycle;
mod network;
mod process;
mod sockets;
mod stdio;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};
use wasmtime_wasi::{I32Exit, WasiCtx};

use super::container::{Launch, Shared};
use super::process::Process;

pub(super) use self::http::{Client, Ends, Listen, Requests};

/// The name of the import that stands for wasip1's `proc_exit` in an adapted module: the adapter
/// itself knows success and failure only.
pub(super) const EXIT_INTERFACE: &str = "sampan:runtime/exit@0.1.0";
pub(super) const EXIT_FUNCTION: &str = "exit";

/// Packages a guest may import from, for telling the user about others.
pub(super) const PROVIDED: &[&str] = &[
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
    "sampan:lifecycle/",
    "sampan:network/",
    "sampan:process/",
    "sampan:runtime/",
];

/// The one linker of the `wasi:cli/command` world and ours.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Process>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    types::add_to_linker::<Process, HasSelf<Process>>(&mut linker, |process| process)?;
    preopens::add_to_linker::<Process, HasSelf<Process>>(&mut linker, |process| process)?;
    monotonic_clock::add_to_linker::<Process, HasSelf<Process>>(&mut linker, |process| process)?;
    sockets::add_to_linker(&mut linker)?;
    network::add_to_linker(&mut linker)?;
    lifecycle::add_to_linker(&mut linker)?;
    process::add_to_linker(&mut linker)?;
    http::add_to_linker(&mut linker)?;
    linker.instance(EXIT_INTERFACE)?.func_wrap(
        EXIT_FUNCTION,
        |_: wasmtime::StoreContextMut<'_, Process>, (code,): (u8,)| -> wasmtime::Result<()> {
            Err(I32Exit(code.into()).into())
        },
    )?;
    Ok(linker)
}

/// What wasmtime-wasi keeps for a process: arguments, environment, streams, clocks; no network
/// of its own.
pub(super) fn context(container: &Shared, launch: &Launch) -> WasiCtx {
    let clock = &container.runtime.clock;
    let mut context = WasiCtx::builder();
    context
        .args(&launch.argv)
        .envs(&launch.env)
        .initial_cwd(&launch.working_dir)
        .stdin(stdio::Stdin(launch.stdin.clone()))
        .stdout(stdio::Stdout(launch.stdout.clone()))
        .stderr(stdio::Stdout(launch.stderr.clone()))
        .wall_clock(clocks::Wall(clock.clone()))
        .monotonic_clock(clocks::Monotonic(clock.clone()))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    context.build()
}
