//! `sampan status`: whether the cluster runs, and where.

use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgMatches, Args, FromArgMatches};

use super::which::WhichArguments;
use super::{Subcommand, output};
use crate::cluster::data_directory::{self, Occupant};
use crate::config::{Environment, Places};

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        WhichArguments::augment_args(clap::Command::new("status"))
            .about("Say whether the cluster runs, and where; exit code 3 if it does not")
    },
    run,
};

/// As `systemctl status` for a unit that is not running.
const NOT_RUNNING: u8 = 3;

fn run(matches: &ArgMatches, env: &Environment) -> anyhow::Result<ExitCode> {
    let places = Places::new(&WhichArguments::from_arg_matches(matches)?.into(), env)?;
    let directory = places.data_directory.display();
    let occupant = data_directory::occupant(&places.data_directory)
        .with_context(|| format!("look at {directory}"))?;
    let (lines, code) = match occupant {
        Occupant::Missing => (
            vec![format!("{}: no such cluster (no data in {directory})", places.name)],
            NOT_RUNNING,
        ),
        Occupant::Stopped => (
            vec![format!("{}: stopped", places.name), format!("data        {directory}")],
            NOT_RUNNING,
        ),
        Occupant::Running(None) => {
            (vec![format!("{}: starting", places.name), format!("data        {directory}")], 0)
        }
        Occupant::Running(Some(it)) => (
            vec![
                format!("{}: running (pid {}) since {}", places.name, it.pid, it.started),
                format!("API server  {}", it.server),
                format!("context     {}", it.context),
                format!("data        {directory}"),
            ],
            0,
        ),
    };
    output::print(&lines.join("\n"));
    Ok(ExitCode::from(code))
}
