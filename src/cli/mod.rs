//! The command line: one file per subcommand, one line in [`COMMANDS`].
//!
//! stdout carries what can be piped (a log, a version); what a command has to say goes to stderr.

mod completion;
mod delete;
mod down;
mod errand;
mod ip;
mod output;
mod play;
mod reach;
mod service;
mod ssh;
mod status;
mod up;
mod version;
mod volume;
mod which;

use std::process::ExitCode;

use clap::ArgMatches;

use crate::config::Environment;

/// A subcommand.
#[derive(Debug)]
struct Subcommand {
    /// Its name, help and arguments.
    define: fn() -> clap::Command,
    run: fn(&ArgMatches, &Environment) -> anyhow::Result<ExitCode>,
}

/// In the order `--help` lists them.
const COMMANDS: &[Subcommand] = &[
    up::COMMAND,
    play::COMMAND,
    status::COMMAND,
    down::COMMAND,
    delete::COMMAND,
    ip::COMMAND,
    service::COMMAND,
    ssh::COMMAND,
    volume::COMMAND,
    version::COMMAND,
    completion::COMMAND,
];

/// Parses the arguments, runs the subcommand, prints an error's chain and answers the exit code.
pub fn main() -> ExitCode {
    let matches = definition().get_matches();
    let env = Environment::read();
    let command = COMMANDS
        .iter()
        .find(|command| matches.subcommand_name() == Some((command.define)().get_name()))
        .expect("clap accepts only the names in COMMANDS");
    let (_, arguments) = matches.subcommand().expect("a subcommand is required");
    (command.run)(arguments, &env).unwrap_or_else(|err| {
        output::error(&err);
        ExitCode::FAILURE
    })
}

fn definition() -> clap::Command {
    clap::Command::new("sampan")
        .about("Kubernetes' API, WebAssembly's weight, one binary")
        .long_about(
            "Starts a Kubernetes cluster whose Pods are WebAssembly programs: no root, no container \
             engine, no virtual machine. Talk to it with kubectl.",
        )
        .version(version::LINE)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(COMMANDS.iter().map(|command| (command.define)()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_well_formed_and_documented() {
        definition().debug_assert();
        for command in definition().get_subcommands() {
            assert!(command.get_about().is_some(), "{} says nothing of itself", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
