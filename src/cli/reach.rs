//! The way from a command to the running cluster, as its administrator.

use anyhow::{Context, bail};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::cluster::data_directory::{self, Occupant, Running};
use crate::config::Places;

/// What the running cluster says of itself; `None` if none runs on the data directory.
///
/// # Errors
/// If the directory cannot be looked at, or the cluster is just starting.
pub(super) fn running(places: &Places) -> anyhow::Result<Option<Running>> {
    let directory = places.data_directory.display();
    let occupant = data_directory::occupant(&places.data_directory)
        .with_context(|| format!("look at {directory}"))?;
    match occupant {
        Occupant::Running(Some(running)) => Ok(Some(running)),
        Occupant::Running(None) => {
            bail!("reach {}: it is just starting or stopping; try again", places.name)
        }
        Occupant::Stopped | Occupant::Missing => Ok(None),
    }
}

/// A client with the administrator's certificate: by the data directory, or, for a cluster in
/// memory, which has none, by its context in the kubeconfig.
///
/// # Errors
/// If no cluster runs, or its certificates cannot be read.
pub(super) async fn client(places: &Places) -> anyhow::Result<Client> {
    let config = match running(places)? {
        Some(running) => by_data_directory(places, &running)?,
        None => by_kubeconfig(places).await?,
    };
    Client::try_from(config).with_context(|| format!("make a client for {}", places.name))
}

fn by_data_directory(places: &Places, running: &Running) -> anyhow::Result<kube::Config> {
    let server = running.server.parse();
    let mut config =
        kube::Config::new(server.with_context(|| format!("understand {:?}", running.server))?);
    let pki = places.data_directory.join("pki");
    let file = |name: &str| Some(pki.join(name).display().to_string());
    config.root_cert_file = Some(pki.join("ca.crt"));
    config.auth_info.client_certificate = file("admin.crt");
    config.auth_info.client_key = file("admin.key");
    Ok(config)
}

async fn by_kubeconfig(places: &Places) -> anyhow::Result<kube::Config> {
    let name = &places.name;
    let kubeconfig = places.kubeconfig.as_ref().and_then(|path| Kubeconfig::read_from(path).ok());
    let options = KubeConfigOptions { context: Some(name.clone()), ..KubeConfigOptions::default() };
    let found = match kubeconfig {
        Some(kubeconfig) => kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.ok(),
        None => None,
    };
    let Some(config) = found else {
        bail!("reach {name}: it does not run; start it: {}", up(places))
    };
    // The entry of a cluster that has stopped stays in the kubeconfig.
    let client = Client::try_from(config.clone()).with_context(|| format!("reach {name}"))?;
    match client.apiserver_version().await {
        Ok(_) => Ok(config),
        Err(_) => bail!("reach {name}: it does not run; start it: {}", up(places)),
    }
}

fn up(places: &Places) -> String {
    match places.name.strip_prefix("sampan-") {
        Some(name) => format!("sampan up --name {name}"),
        None => "sampan up".to_owned(),
    }
}
