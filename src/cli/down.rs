//! `sampan down`: asks a running cluster to stop in order, and waits until it has.

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{ArgMatches, Args, FromArgMatches};

use super::which::WhichArguments;
use super::{Subcommand, output};
use crate::cluster::data_directory::{self, Occupant};
use crate::cluster::process;
use crate::config::{Environment, Places};

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        WhichArguments::augment_args(clap::Command::new("down"))
            .about("Stop the cluster; its data stays")
    },
    run,
};

/// Draining is bounded by less than this; whoever waits longer should be told.
const STOP_TIME_MAX: Duration = Duration::from_secs(60);

fn run(matches: &ArgMatches, env: &Environment) -> anyhow::Result<ExitCode> {
    let places = Places::new(&WhichArguments::from_arg_matches(matches)?.into(), env)?;
    let line = if stop(&places.data_directory)? { "stopped" } else { "was not running" };
    output::say(&format!("{}: {line}", places.name));
    Ok(ExitCode::SUCCESS)
}

/// Stops the cluster on this data, if one runs; answers whether one did.
pub(super) fn stop(data_directory: &Path) -> anyhow::Result<bool> {
    let display = data_directory.display();
    let occupant =
        data_directory::occupant(data_directory).with_context(|| format!("look at {display}"))?;
    let pid = match occupant {
        Occupant::Missing | Occupant::Stopped => return Ok(false),
        Occupant::Running(None) => {
            bail!("stop the cluster on {display}: it is just starting or stopping; try again")
        }
        Occupant::Running(Some(running)) => running.pid,
    };
    process::request_stop(pid).with_context(|| format!("stop process {pid}"))?;
    wait_until_stopped(data_directory)
        .with_context(|| format!("see process {pid} stop; end it with: kill -9 {pid}"))?;
    Ok(true)
}

fn wait_until_stopped(data_directory: &Path) -> anyhow::Result<()> {
    let (done_tx, done_rx) = mpsc::channel();
    let path = data_directory.to_owned();
    std::thread::spawn(move || {
        // The receiver is gone only if nobody waits any more.
        let _ = done_tx.send(data_directory::wait_until_stopped(&path));
    });
    Ok(done_rx.recv_timeout(STOP_TIME_MAX)??)
}
