//! `sampan version`: this program, the Kubernetes it presents itself as, the engine.

use std::process::ExitCode;

use clap::ArgMatches;

use super::{Subcommand, output};
use crate::config::Environment;

pub(super) const LINE: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (Kubernetes v1.33.0, wasmtime 48.0.8)");

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        clap::Command::new("version")
            .about("Print the version of sampan and of the Kubernetes API it serves")
    },
    run,
};

fn run(_: &ArgMatches, _: &Environment) -> anyhow::Result<ExitCode> {
    output::print(&format!("sampan {LINE}"));
    Ok(ExitCode::SUCCESS)
}
