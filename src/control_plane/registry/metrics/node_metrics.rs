//! What a node uses. Measured in `apiserver/verbs/measured`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::usage::{self, ResourceList};
use super::{API_VERSION, COLUMNS, GROUP, VERSION, names};
use crate::client::clock::whole_second;
use crate::client::node_api::Usage;
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb, print};

/// NodeMetrics sets resource usage metrics of a node.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics")]
pub(crate) struct NodeMetrics {
    api_version: String,
    kind: String,
    pub(crate) metadata: ObjectMeta,
    /// The following fields define time interval from which metrics were collected from the interval
    /// [Timestamp-Window, Timestamp].
    timestamp: Time,
    window: String,
    /// The memory usage is the memory working set.
    usage: ResourceList,
}

impl NodeMetrics {
    /// `metadata`: name and labels of what was measured.
    pub(crate) fn new(metadata: ObjectMeta, used: &Usage) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: <Self as k8s_openapi::Resource>::KIND.to_owned(),
            metadata,
            timestamp: Time(whole_second(used.at)),
            window: usage::go_duration(used.window),
            usage: usage::of(used),
        }
    }
}

impl k8s_openapi::Resource for NodeMetrics {
    const API_VERSION: &'static str = API_VERSION;
    const GROUP: &'static str = GROUP;
    const KIND: &'static str = "NodeMetrics";
    const VERSION: &'static str = VERSION;
    const URL_PATH_SEGMENT: &'static str = "nodes";
    type Scope = k8s_openapi::ClusterResourceScope;
}

impl k8s_openapi::Metadata for NodeMetrics {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[derive(Debug)]
pub(crate) struct NodeMetricsObjects;

impl Resource for NodeMetricsObjects {
    type Object = NodeMetrics;

    const NAMES: Names = names("nodes");
    const SCOPE: Scope = Scope::Cluster;
    const VERBS: &'static [Verb] = super::VERBS;

    fn columns() -> &'static [Column] {
        COLUMNS
    }

    fn row(node: &NodeMetrics, _: Timestamp) -> Vec<Value> {
        let [cpu, memory] = usage::cells([&node.usage].into_iter());
        vec![print::name(&node.metadata), cpu, memory, node.window.clone().into()]
    }
}
