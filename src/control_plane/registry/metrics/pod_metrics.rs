//! What a Pod's containers use. Measured in `apiserver/verbs/measured`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::usage::{self, ResourceList};
use super::{API_VERSION, COLUMNS, GROUP, VERSION, names};
use crate::client::clock::whole_second;
use crate::client::node_api::ContainerUsage;
use crate::control_plane::registry::{Column, Names, Resource, Scope, Verb, print};

/// PodMetrics sets resource usage metrics of a pod.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics")]
pub(crate) struct PodMetrics {
    api_version: String,
    kind: String,
    pub(crate) metadata: ObjectMeta,
    /// The following fields define time interval from which metrics were collected from the interval
    /// [Timestamp-Window, Timestamp].
    timestamp: Time,
    window: String,
    /// Metrics for all containers are collected within the same time window.
    containers: Vec<ContainerMetrics>,
}

/// ContainerMetrics sets resource usage metrics of a container.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "io.k8s.metrics.pkg.apis.metrics.v1beta1.ContainerMetrics")]
pub(crate) struct ContainerMetrics {
    /// Container name corresponding to the one from pod.spec.containers.
    name: String,
    /// The memory usage is the memory working set.
    usage: ResourceList,
}

impl PodMetrics {
    /// `metadata`: name, namespace and labels of what was measured. `None` if nothing was: a Pod
    /// whose containers have just started, or do not run.
    pub(crate) fn new(metadata: ObjectMeta, used: &[ContainerUsage]) -> Option<Self> {
        // Each since its own start, if that is not long ago; the shortest window is true of all.
        let window = used.iter().map(|container| container.usage.window).min()?;
        let containers = used.iter().map(|container| ContainerMetrics {
            name: container.name.clone(),
            usage: usage::of(&container.usage),
        });
        Some(Self {
            api_version: API_VERSION.to_owned(),
            kind: <Self as k8s_openapi::Resource>::KIND.to_owned(),
            metadata,
            timestamp: Time(whole_second(used.first()?.usage.at)),
            window: usage::go_duration(window),
            containers: containers.collect(),
        })
    }
}

impl k8s_openapi::Resource for PodMetrics {
    const API_VERSION: &'static str = API_VERSION;
    const GROUP: &'static str = GROUP;
    const KIND: &'static str = "PodMetrics";
    const VERSION: &'static str = VERSION;
    const URL_PATH_SEGMENT: &'static str = "pods";
    type Scope = k8s_openapi::NamespaceResourceScope;
}

impl k8s_openapi::Metadata for PodMetrics {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[derive(Debug)]
pub(crate) struct PodMetricsObjects;

impl Resource for PodMetricsObjects {
    type Object = PodMetrics;

    const NAMES: Names = names("pods");
    const SCOPE: Scope = Scope::Namespaced;
    const VERBS: &'static [Verb] = super::VERBS;

    fn columns() -> &'static [Column] {
        COLUMNS
    }

    fn row(pod: &PodMetrics, _: Timestamp) -> Vec<Value> {
        let [cpu, memory] = usage::cells(pod.containers.iter().map(|container| &container.usage));
        vec![print::name(&pod.metadata), cpu, memory, pod.window.clone().into()]
    }
}
