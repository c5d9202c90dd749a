//! `sampan ip`: the address at which NodePort and LoadBalancer Services are reached.

use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgMatches, Args, FromArgMatches};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};

use super::which::WhichArguments;
use super::{Subcommand, output, reach};
use crate::config::{Environment, Places};

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        WhichArguments::augment_args(clap::Command::new("ip"))
            .about("Print the node's address, where NodePort and LoadBalancer Services listen")
    },
    run,
};

fn run(matches: &ArgMatches, env: &Environment) -> anyhow::Result<ExitCode> {
    let places = Places::new(&WhichArguments::from_arg_matches(matches)?.into(), env)?;
    let known = reach::running(&places)?.map(|running| running.node_address);
    let address = match known {
        Some(address) => address,
        None => {
            let runtime =
                tokio::runtime::Runtime::new().context("start the asynchronous runtime")?;
            runtime.block_on(async { of_node(&reach::client(&places).await?).await })?
        }
    };
    output::print(&address.to_string());
    Ok(ExitCode::SUCCESS)
}

/// The first node's InternalIP.
pub(super) async fn of_node(client: &Client) -> anyhow::Result<IpAddr> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&Default::default()).await.context("list the nodes")?;
    let statuses = nodes.into_iter().filter_map(|node| node.status);
    let mut addresses = statuses.flat_map(|status| status.addresses.unwrap_or_default());
    let internal = addresses.find(|address| address.type_ == "InternalIP");
    let text = internal.context("find the node's address: it has none")?.address;
    text.parse().with_context(|| format!("understand the node's address {text:?}"))
}
