//! The arguments that say which cluster a command is about.

use std::path::PathBuf;

use clap::Args;

use crate::config::Which;

#[derive(Debug, Clone, Args)]
pub(super) struct WhichArguments {
    /// Name of the cluster: its data directory, kubeconfig context and node are called after it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Directory for the cluster's data [default: this platform's place for application data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The kubeconfig file that has the cluster's context [default: $KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl From<WhichArguments> for Which {
    fn from(arguments: WhichArguments) -> Self {
        let WhichArguments { name, data_dir, kubeconfig } = arguments;
        Self { name, data_dir, kubeconfig }
    }
}
