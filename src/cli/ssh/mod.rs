//! `sampan ssh`: a shell, or one command, inside the cluster's network.
//!
//! The cluster has no machine to log in to: a Pod of its own in kube-system stands for it, with the
//! built-in programs, and goes with the command ([`super::errand`]).

mod session;
mod terminal;

use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgMatches, Args, FromArgMatches};
use kube::Client;
use serde_json::json;

use super::errand::Errand;
use super::which::WhichArguments;
use super::{Subcommand, reach};
use crate::client::clock::Clock;
use crate::cluster::process::Signals;
use crate::config::{Environment, Places};

#[derive(Debug, Args)]
struct Arguments {
    #[command(flatten)]
    which: WhichArguments,
    /// A command and its arguments, instead of a shell; its exit code is passed on
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        Arguments::augment_args(clap::Command::new("ssh"))
            .about("Open a shell, or run a command, inside the cluster's network")
    },
    run,
};

const NAMESPACE: &str = "kube-system";

/// As a shell reports a command that ^C ended: 128 + SIGINT.
const STOPPED: u8 = 130;

fn run(matches: &ArgMatches, env: &Environment) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_arg_matches(matches)?;
    let places = Places::new(&arguments.which.into(), env)?;
    let command = match arguments.command {
        command if command.is_empty() => vec!["sh".to_owned()],
        command => command,
    };
    let runtime = tokio::runtime::Runtime::new().context("start the asynchronous runtime")?;
    let ended = runtime.block_on(async {
        let client = reach::client(&places).await?;
        let signals = Signals::new().context("listen for signals")?;
        visit(client, command, &signals).await
    });
    // A read of our stdin may still be under way.
    runtime.shutdown_background();
    ended.map(ExitCode::from)
}

/// Makes the Pod, enters it, and takes it away again, also if a signal ends us; answers the exit code.
async fn visit(client: Client, command: Vec<String>, signals: &Signals) -> anyhow::Result<u8> {
    let errand = Errand::new(client, NAMESPACE, "ssh");
    let made = errand.create(|spec| {
        spec["hostname"] = json!("sampan");
        // Names of Services without a namespace are sought in `default` too, where users have them.
        spec["dnsConfig"] = json!({ "searches": ["default.svc.cluster.local"] });
    });
    made.await?;
    let ended = tokio::select! {
        ended = enter(&errand, command) => ended,
        () = signals.first() => Ok(STOPPED),
    };
    errand.remove(&Clock::system()).await;
    ended
}

async fn enter(errand: &Errand, command: Vec<String>) -> anyhow::Result<u8> {
    errand.runs().await?;
    let session = async {
        let hold = errand.hold().await?;
        let ended = session::run(&errand.pods, &errand.name, command).await;
        drop(hold);
        ended
    };
    tokio::join!(session, errand.sweep()).0
}
