//! Flags, environment and files become the rooms' own configurations here, and nowhere else.

mod capacity;
mod egress;
mod networks;

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;

use crate::control_plane::ServiceRanges;
use crate::node::ingress;
use crate::telemetry::ComponentLogs;

/// Where the API server listens when nobody says.
pub const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6443);

/// Where Pods get their addresses from when nobody says.
pub const POD_CIDR_DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 42, 0, 0), 16);

/// Where the API server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listen {
    /// At [`LISTEN_DEFAULT`], or on a free port if that one is taken.
    #[default]
    Anywhere,
    /// `--listen`: here or not at all.
    At(SocketAddr),
    /// In this process only.
    InProcess,
}

/// Which cluster a command is about.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// `--name`: another cluster beside the default one.
    pub name: Option<String>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--kubeconfig`
    pub kubeconfig: Option<PathBuf>,
}

/// What `sampan up` and `sampan play` were told, filled by `cli`.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub which: Which,
    pub listen: Listen,
    /// `--node-address`: where NodePorts and LoadBalancers listen; 127.0.0.1 when `None`.
    pub node_address: Option<IpAddr>,
    /// Nothing outlives the process, and no kubeconfig is written unless asked for.
    pub ephemeral: bool,
    /// `--cache-dir`: where what can be made again is kept; clusters may share it.
    pub cache_dir: Option<PathBuf>,
    /// `--allow-images`: directories whose files `image: file:///…` may name.
    pub allow_images: Vec<PathBuf>,
    /// `--allow-host-path`: directories that `hostPath` volumes may be in.
    pub allow_host_path: Vec<PathBuf>,
    /// `--pod-cidr`; [`POD_CIDR_DEFAULT`] when `None`.
    pub pod_cidr: Option<Ipv4Net>,
    /// `--service-cidr`; that of [`ServiceRanges::default`] when `None`.
    pub service_cidr: Option<Ipv4Net>,
    /// `--service-node-port-range`: first and last; that of [`ServiceRanges::default`] when `None`.
    pub node_ports: Option<RangeInclusive<u16>>,
    /// `--ingress-http`, `--ingress-https`
    pub ingress: ingress::Config,
    /// `--egress`: whether Pods may reach what lies outside the cluster.
    pub egress: EgressDefault,
    /// `--egress-grant`: what they may reach all the same.
    pub egress_grants: Vec<Grant>,
    /// `--capacity`: what the node says it has; for what is not in it, what the host has.
    pub capacity: Capacity,
}

pub use crate::node::network::{Egress, EgressDefault, Grant};
pub use capacity::{Capacity, parse_capacity};
pub use egress::parse_grant;
pub use networks::parse_port_range;

/// What the process was started in.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `KUBECONFIG`
    pub kubeconfig: Option<OsString>,
    pub home: Option<PathBuf>,
    /// Where applications keep data on this platform (`~/.local/share`).
    pub data_home: Option<PathBuf>,
    /// Where they keep what can be made again (`~/.cache`).
    pub cache_home: Option<PathBuf>,
    /// `SAMPAN_LOG`: a tracing filter.
    pub log: Option<String>,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn read() -> Self {
        let base = directories::BaseDirs::new();
        Self {
            kubeconfig: std::env::var_os("KUBECONFIG"),
            home: base.as_ref().map(|dirs| dirs.home_dir().to_owned()),
            data_home: base.as_ref().map(|dirs| dirs.data_dir().to_owned()),
            cache_home: base.as_ref().map(|dirs| dirs.cache_dir().to_owned()),
            log: std::env::var("SAMPAN_LOG").ok(),
        }
    }
}

/// Where a cluster's things are: what `status`, `down` and `delete` need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Context and node name: `sampan`, or `sampan-N`.
    pub name: String,
    pub data_directory: PathBuf,
    pub kubeconfig: Option<PathBuf>,
}

impl Places {
    pub fn new(which: &Which, env: &Environment) -> Result<Self, Error> {
        let name = match &which.name {
            Some(name) => format!("sampan-{}", checked(name)?),
            None => "sampan".to_owned(),
        };
        let data_directory = match (&which.data_dir, &env.data_home) {
            (Some(dir), _) => absolute(dir)?,
            (None, Some(home)) => {
                home.join("sampan").join(which.name.as_deref().unwrap_or("default"))
            }
            (None, None) => return Err(Error::NoDataHome),
        };
        let kubeconfig = which
            .kubeconfig
            .clone()
            .or_else(|| kubeconfig_path(env.kubeconfig.as_deref(), env.home.as_deref()));
        Ok(Self { name, data_directory, kubeconfig })
    }
}

/// The file kubectl would write to: the first of `$KUBECONFIG`'s list that exists, else its last,
/// else `~/.kube/config`.
fn kubeconfig_path(kubeconfig: Option<&OsStr>, home: Option<&Path>) -> Option<PathBuf> {
    let listed: Vec<PathBuf> = kubeconfig
        .map(|list| {
            std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect()
        })
        .unwrap_or_default();
    let existing = listed.iter().find(|path| path.exists()).or_else(|| listed.last());
    existing.cloned().or_else(|| home.map(|home| home.join(".kube").join("config")))
}

/// Everything `cluster` needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Context and node name.
    pub name: String,
    pub state: State,
    pub listen: Listen,
    pub node_address: IpAddr,
    /// Where Pods get their addresses from.
    pub pod_cidr: Ipv4Net,
    /// Where Services get their addresses and node ports from.
    pub services: ServiceRanges,
    /// Where Ingresses are served.
    pub ingress: ingress::Config,
    pub egress: Egress,
    pub capacity: Capacity,
    /// Laid-out images and compiled code, which can be made again.
    pub cache_directory: PathBuf,
    pub allowed_image_directories: Vec<PathBuf>,
    pub allowed_host_directories: Vec<PathBuf>,
    /// What `kubectl logs` shows of the components: what `telemetry::init` answered, or nothing.
    pub component_logs: ComponentLogs,
}

/// Where the cluster's state lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// In this directory, across restarts.
    Kept(PathBuf),
    /// In memory and in a temporary directory that goes with the process.
    Ephemeral,
}

impl Config {
    pub fn new(flags: &Flags, env: &Environment) -> Result<Self, Error> {
        let places = Places::new(&flags.which, env)?;
        let cache_directory = match (&flags.cache_dir, &flags.which.data_dir, &env.cache_home) {
            (Some(dir), _, _) => absolute(dir)?,
            (None, None, Some(home)) if flags.ephemeral => home.join("sampan"),
            _ => places.data_directory.clone(),
        };
        let allowed_image_directories =
            flags.allow_images.iter().map(|dir| absolute(dir)).collect::<Result<_, _>>()?;
        let allowed_host_directories =
            flags.allow_host_path.iter().map(|dir| absolute(dir)).collect::<Result<_, _>>()?;
        let node_address = flags.node_address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        if node_address.is_unspecified() {
            return Err(Error::NodeAddress(node_address));
        }
        let (pod_cidr, services) = networks::choose(flags, node_address)?;
        let egress = egress::choose(flags, pod_cidr, services.cluster_ips)?;
        Ok(Self {
            name: places.name,
            state: if flags.ephemeral {
                State::Ephemeral
            } else {
                State::Kept(places.data_directory)
            },
            listen: flags.listen,
            node_address,
            pod_cidr,
            services,
            ingress: flags.ingress.clone(),
            egress,
            capacity: flags.capacity.clone(),
            cache_directory,
            allowed_image_directories,
            allowed_host_directories,
            component_logs: ComponentLogs::default(),
        })
    }
}

/// A cluster's name becomes a directory, a context and a node: an RFC 1123 label.
fn checked(name: &str) -> Result<&str, Error> {
    let fine = crate::api::meta::dns1123_label(name).is_empty();
    if fine { Ok(name) } else { Err(Error::Name(name.to_owned())) }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Path { path: path.to_owned(), source })
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Network(#[from] networks::Error),
    #[error(transparent)]
    Egress(#[from] egress::Error),
    #[error(
        "find a place for the cluster's data: this user has no home directory; name one with --data-dir"
    )]
    NoDataHome,
    #[error(
        "use the name {0:?}: it must be lower case letters, digits and '-', and begin and end with a letter or digit"
    )]
    Name(String),
    #[error(
        "use --node-address {0}: it stands for all addresses, and load balancers show theirs; give one that this machine is reached by, such as 192.168.1.5"
    )]
    NodeAddress(IpAddr),
    #[error("use the path {}", path.display())]
    Path { path: PathBuf, source: std::io::Error },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Environment {
        Environment {
            data_home: Some("/data".into()),
            cache_home: Some("/cache".into()),
            home: Some("/home/x".into()),
            ..Environment::default()
        }
    }

    #[test]
    fn a_named_cluster_has_its_own_places() {
        let which = Which { name: Some("blue".to_owned()), ..Which::default() };
        let places = Places::new(&which, &env()).unwrap();
        assert_eq!(places.name, "sampan-blue");
        assert_eq!(places.data_directory, Path::new("/data/sampan/blue"));
        assert_eq!(places.kubeconfig, Some("/home/x/.kube/config".into()));
        let which = Which { name: Some("../up".to_owned()), ..Which::default() };
        assert!(matches!(Places::new(&which, &env()), Err(Error::Name(_))));
    }

    #[test]
    fn a_nodes_address_is_one_that_others_can_be_told() {
        for all in ["0.0.0.0", "::"] {
            let flags = Flags { node_address: Some(all.parse().unwrap()), ..Flags::default() };
            let error = Config::new(&flags, &env()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("use --node-address {all}: ")), "{error}");
        }
    }

    #[test]
    fn an_ephemeral_cluster_keeps_only_what_can_be_made_again() {
        let flags = Flags { ephemeral: true, ..Flags::default() };
        let config = Config::new(&flags, &env()).unwrap();
        assert_eq!(config.state, State::Ephemeral);
        assert_eq!(config.cache_directory, Path::new("/cache/sampan"));
        let flags = Flags { cache_dir: Some("/shared".into()), ..flags };
        assert_eq!(Config::new(&flags, &env()).unwrap().cache_directory, Path::new("/shared"));
    }

    #[test]
    fn kubeconfig_is_found_where_kubectl_finds_it() {
        let home = Path::new("/home/x");
        assert_eq!(kubeconfig_path(None, Some(home)), Some(home.join(".kube/config")));
        let listed = std::env::join_paths(["/nowhere/a", "/nowhere/b"]).unwrap();
        assert_eq!(kubeconfig_path(Some(&listed), Some(home)), Some("/nowhere/b".into()));
        assert_eq!(kubeconfig_path(None, None), None);
    }
}
