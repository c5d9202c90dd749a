//! `sampan play FILE|DIR…`: a cluster for the length of a command.
//!
//! Applies the manifests to a cluster in memory, says what came up, streams the logs with the Pod's
//! name in front, and stops on Ctrl-C or when all Pods have ended. No kubeconfig is touched.

mod follow;
mod manifests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgMatches, Args, FromArgMatches};
use kube::Client;

use super::{Subcommand, output};
use crate::client::clock::Clock;
use crate::cluster::{Cluster, process};
use crate::config::{Capacity, Config, Environment, Flags, Listen, parse_capacity};
use crate::telemetry;
use follow::Outcome;
use manifests::Manifest;

#[derive(Debug, Args)]
struct Arguments {
    /// Manifests, YAML or JSON: files, or directories of files
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Directory whose programs Pods may name as image: file:///... beside the manifests' own; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_images: Vec<PathBuf>,
    /// What the node says it has, such as cpu=4,memory=8Gi [default: what this machine has]
    #[arg(long, value_name = "NAME=AMOUNT,...", value_parser = parse_capacity)]
    capacity: Option<Capacity>,
}

pub(super) const COMMAND: Subcommand = Subcommand {
    define: || {
        Arguments::augment_args(clap::Command::new("play")).about(
            "Run manifests in a cluster that lasts as long as the command, and show the logs",
        )
    },
    run,
};

fn run(matches: &ArgMatches, env: &Environment) -> anyhow::Result<ExitCode> {
    let Arguments { paths, mut allow_images, capacity } = Arguments::from_arg_matches(matches)?;
    let clock = Clock::system();
    let component_logs = telemetry::init(env.log.as_deref(), move || clock.now());
    process::raise_open_files_limit();
    let manifests = manifests::read(&paths)?;
    allow_images.extend(manifests::directories(&paths));
    let flags = Flags {
        ephemeral: true,
        listen: Listen::InProcess,
        allow_images,
        capacity: capacity.unwrap_or_default(),
        ..Flags::default()
    };
    let config = Config { component_logs, ..Config::new(&flags, env)? };
    let runtime = tokio::runtime::Runtime::new().context("start the asynchronous runtime")?;
    runtime.block_on(play(config, manifests))
}

async fn play(config: Config, manifests: Vec<Manifest>) -> anyhow::Result<ExitCode> {
    let signals = process::Signals::new().context("listen for signals")?;
    let cluster = Cluster::start(config).await?;
    let result = tokio::select! {
        result = run_manifests(&cluster, manifests) => result,
        () = signals.first() => Ok(Outcome::Interrupted),
    };
    tokio::select! {
        () = cluster.shutdown() => {}
        () = signals.second() => {}
    }
    Ok(match result? {
        Outcome::AllSucceeded => ExitCode::SUCCESS,
        Outcome::SomeFailed => ExitCode::FAILURE,
        // As a shell says of a command that ^C ended.
        Outcome::Interrupted => ExitCode::from(130),
    })
}

async fn run_manifests(cluster: &Cluster, manifests: Vec<Manifest>) -> anyhow::Result<Outcome> {
    cluster.ready().await?;
    let client = cluster.admin_client();
    for manifest in manifests {
        let name = create(&client, &manifest).await?;
        output::say(&format!("{name} created"));
    }
    follow::until_all_ended(client).await
}

/// Posts one manifest, as `kubectl create` would; answers `kind/name`.
async fn create(client: &Client, manifest: &Manifest) -> anyhow::Result<String> {
    let kind = manifest.gvk();
    let (resource, capabilities) =
        kube::discovery::pinned_kind(client, &kind).await.with_context(|| {
            format!("apply {}: find the kind {} {}", manifest.place, kind.api_version(), kind.kind)
        })?;
    let namespaced = capabilities.scope == kube::discovery::Scope::Namespaced;
    let namespace = namespaced.then(|| manifest.namespace());
    let path = manifests::url_path(&resource, namespace);
    let body = serde_json::to_vec(&manifest.object)?;
    let request =
        http::Request::post(format!("{path}?fieldManager=sampan-play&fieldValidation=Strict"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body)?;
    let created: serde_json::Value =
        client.request(request).await.with_context(|| format!("apply {}", manifest.place))?;
    let name = created["metadata"]["name"].as_str().unwrap_or_default();
    Ok(format!("{}/{name}", kind.kind.to_lowercase()))
}
