//! `sampan volume`: persistent volumes from outside, by their claims.
//!
//! `ls` and `du` read the API and, of the volumes that sampan itself keeps, their directories: both are on
//! this machine. `cp` goes by a Pod of its own that mounts the claim, so that what is written is counted
//! like any other Pod's writes, and nothing leads out of the volume.

mod archive;
mod chunks;
mod copy;
mod list;
mod place;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgMatches, Args, FromArgMatches};

use super::which::WhichArguments;
use super::{Subcommand, reach};
use crate::cluster::process::Signals;
use crate::config::{Environment, Places};

#[derive(Debug, Args)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List claims and volumes: how much they hold, and which Pods use them
    Ls {
        #[command(flatten)]
        which: WhichArguments,
        /// Only claims of this namespace
        #[arg(short, long)]
        namespace: Option<String>,
    },
    /// Say what lies where on this machine, or what takes how much room in one volume
    Du {
        #[command(flatten)]
        which: WhichArguments,
        /// The claim whose volume is looked into
        #[arg(value_name = "[NAMESPACE/]CLAIM")]
        claim: Option<String>,
    },
    /// Copy files and directories into a volume, or out of it
    ///
    /// A Pod of its own mounts the claim and carries the files: the cluster must run, the claim must be bound,
    /// and a claim that is ReadWriteOncePod must not be in use. The volume's size is kept; what did not fit is
    /// missing at the end. Times are kept, modes and owners are not. Symlinks that lead out of what is copied,
    /// and what is neither a file nor a directory, are left out and named.
    Cp {
        #[command(flatten)]
        which: WhichArguments,
        /// What is copied; one side is in a volume
        #[arg(value_name = "PATH | [NAMESPACE/]CLAIM:PATH")]
        from: String,
        /// Where to; into it if it is a directory
        #[arg(value_name = "PATH | [NAMESPACE/]CLAIM:PATH")]
        to: String,
    },
}

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        Arguments::augment_args(clap::Command::new("volume"))
            .about("List persistent volumes, and copy files into and out of them")
    },
    run,
};

fn run(matches: &ArgMatches, env: &Environment) -> anyhow::Result<ExitCode> {
    let Arguments { what } = Arguments::from_arg_matches(matches)?;
    let (What::Ls { which, .. } | What::Du { which, .. } | What::Cp { which, .. }) = &what;
    let places = Places::new(&which.clone().into(), env)?;
    let runtime = tokio::runtime::Runtime::new().context("start the asynchronous runtime")?;
    let ended = runtime.block_on(async {
        match what {
            What::Ls { namespace, .. } => {
                list::volumes(&reach::client(&places).await?, namespace.as_deref()).await
            }
            What::Du { claim: None, .. } => {
                let directory: PathBuf = places.data_directory.join("volumes");
                list::directories(&reach::client(&places).await?, &directory).await
            }
            What::Du { claim: Some(claim), .. } => {
                list::entries(&reach::client(&places).await?, &claim.parse()?).await
            }
            What::Cp { from, to, .. } => {
                let plan = place::plan(&from, &to)?;
                let signals = Signals::new().context("listen for signals")?;
                copy::run(reach::client(&places).await?, plan, &signals).await
            }
        }
    });
    // A file that somebody copies may still be read.
    runtime.shutdown_background();
    ended
}
