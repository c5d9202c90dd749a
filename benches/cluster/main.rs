//! The whole ship from outside: the real binary, its own client over TLS and HTTP/2 on loopback.
//! Figures are printed, never asserted; see `benches/README.md`.
//!
//! `cargo bench --bench cluster`, or `-- SECTION…` for some of the [`SECTIONS`]; `TMPDIR` chooses the
//! disk. Every section has a server of its own on an empty data directory and ends within
//! [`SECTION_TIMEOUT`].

mod api;
mod config_maps;
mod connections;
mod deployments;
mod disk;
mod edges;
mod figures;
mod footprint;
mod hostile;
mod http;
mod jobs;
mod peers;
mod pods;
mod probes;
mod server;
mod servers;
mod services;
mod sleepers;
mod startup;
mod tcp;
mod watches;

#[path = "../../wasm-workloads/testing/host.rs"]
mod guests;

use std::time::Duration;

use futures::future::BoxFuture;

use figures::Table;

/// Kills a section that hangs; the slowest takes a third of it on two busy cores.
const SECTION_TIMEOUT: Duration = Duration::from_secs(180);

type Section = fn(&Table) -> BoxFuture<'_, anyhow::Result<()>>;

const SECTIONS: &[(&str, Section)] = &[
    ("disk", |table| Box::pin(disk::run(table))),
    ("startup", |table| Box::pin(startup::run(table))),
    ("idle", |table| Box::pin(footprint::idle(table))),
    ("configmaps", |table| Box::pin(config_maps::run(table))),
    ("watches", |table| Box::pin(watches::run(table))),
    ("pods", |table| Box::pin(pods::run(table))),
    ("jobs", |table| Box::pin(jobs::run(table))),
    ("deployments", |table| Box::pin(deployments::run(table))),
    ("probes", |table| Box::pin(probes::run(table))),
    ("footprint", |table| Box::pin(footprint::stored_pods(table))),
    ("servers", |table| Box::pin(servers::run(table))),
    ("edges", |table| Box::pin(edges::run(table))),
    ("sleepers", |table| Box::pin(sleepers::run(table))),
    ("services", |table| Box::pin(services::run(table))),
    ("connections", |table| Box::pin(connections::run(table))),
    ("hostile", |table| Box::pin(hostile::run(table))),
];

fn main() -> anyhow::Result<()> {
    // Cargo itself passes `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let table = Table::start();
        for (name, section) in SECTIONS {
            if !wanted.is_empty() && !wanted.iter().any(|it| it == name) {
                continue;
            }
            table.section(name);
            match tokio::time::timeout(SECTION_TIMEOUT, section(&table)).await {
                Ok(Ok(())) => {}
                Ok(Err(err)) => table.failed(name, &err),
                Err(_) => table.failed(name, &anyhow::anyhow!("still running: gave up")),
            }
        }
        table.end();
    });
    Ok(())
}
