//! `sampan ssh`: a shell, or one command, inside the cluster's network.
//!
//! The cluster has no machine to log in to: a Pod of its own in kube-system stands for it, with the
//! built-in programs, and goes with the command.
//!
//! ```text
//! create the Pod ─► wait until it runs ─┬─ attach: holds it; without us it ends     ─► delete the Pod
//!                                       └─ exec: the shell or the command, our terminal
//! ```
//!
//! The Pod's program only waits for its stdin to end: when this process is killed, its connection
//! closes and the Pod ends by itself. The object of such a Pod is removed by the next `sampan ssh`.

mod pod;
mod session;
mod terminal;

use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgMatches, Args, FromArgMatches};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};

use super::which::WhichArguments;
use super::{Subcommand, reach};
use crate::client::clock::{Clock, Ids};
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
    let pods: Api<Pod> = Api::namespaced(client, pod::NAMESPACE);
    let name = format!("ssh-{}", Ids::random().suffix());
    pods.create(&Default::default(), &pod::manifest(&name)).await.context("make a Pod to enter")?;
    let ended = tokio::select! {
        ended = enter(&pods, &name, command) => ended,
        () = signals.first() => Ok(STOPPED),
    };
    pod::remove(&pods, &name, &Clock::system()).await;
    ended
}

async fn enter(pods: &Api<Pod>, name: &str, command: Vec<String>) -> anyhow::Result<u8> {
    pod::runs(pods, name).await?;
    let session = async {
        // First, so that from here on the Pod does not outlive us.
        let hold = pod::hold(pods, name).await?;
        let ended = session::run(pods, name, command).await;
        drop(hold);
        ended
    };
    tokio::join!(session, pod::sweep(pods)).0
}
