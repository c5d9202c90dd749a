//! `sampan delete`: stops the cluster, removes its data and its kubeconfig context.

use std::process::ExitCode;
use std::{fs, io};

use anyhow::Context;
use clap::{ArgMatches, Args, FromArgMatches};

use super::which::WhichArguments;
use super::{Subcommand, down, output};
use crate::cluster::data_directory::DataDirectory;
use crate::cluster::kubeconfig;
use crate::config::{Environment, Places};

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        WhichArguments::augment_args(clap::Command::new("delete"))
            .about("Stop the cluster and remove its data and kubeconfig context")
    },
    run,
};

fn run(matches: &ArgMatches, env: &Environment) -> anyhow::Result<ExitCode> {
    let places = Places::new(&WhichArguments::from_arg_matches(matches)?.into(), env)?;
    down::stop(&places.data_directory)?;
    let had_data = remove_data(&places)?;
    let had_context = match &places.kubeconfig {
        Some(path) => kubeconfig::remove(path, &places.name)?,
        None => false,
    };
    let line = match (had_data, had_context) {
        (true, true) => "deleted its data and kubeconfig context",
        (true, false) => "deleted its data",
        (false, true) => "deleted its kubeconfig context",
        (false, false) => "nothing to delete",
    };
    output::say(&format!("{}: {line}", places.name));
    Ok(ExitCode::SUCCESS)
}

/// Removes the data directory if it is one of ours; opening it refuses other people's files.
fn remove_data(places: &Places) -> anyhow::Result<bool> {
    let path = &places.data_directory;
    if !path.try_exists().with_context(|| format!("look at {}", path.display()))? {
        return Ok(false);
    }
    drop(DataDirectory::open(path)?);
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err).with_context(|| format!("remove {}", path.display())),
    }
}
