//! `sampan completion SHELL`: a completion script on stdout.

use std::io;
use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches};
use clap_complete::Shell;

use super::Subcommand;
use crate::config::Environment;

#[derive(Debug, Args)]
struct Arguments {
    /// The shell to complete for
    shell: Shell,
}

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        Arguments::augment_args(clap::Command::new("completion"))
            .about("Print a completion script: source <(sampan completion bash)")
    },
    run,
};

fn run(matches: &ArgMatches, _: &Environment) -> anyhow::Result<ExitCode> {
    let Arguments { shell } = Arguments::from_arg_matches(matches)?;
    clap_complete::generate(shell, &mut super::definition(), "sampan", &mut io::stdout().lock());
    Ok(ExitCode::SUCCESS)
}
