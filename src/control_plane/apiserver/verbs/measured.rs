//! GET and LIST of what is measured rather than stored: the nodes and Pods that are, and what the node
//! says they use. Those of which nothing is known yet are left out.
//!
//! Upstream: metrics-server's `pkg/api/{node,pod}.go`.

use std::any::Any;

use http::{Response, StatusCode};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta, Time};

use super::list::page;
use super::stored;
use crate::api::object::GroupResource;
use crate::api::status;
use crate::client::node_api::{PodRef, Stats};
use crate::control_plane::apiserver::body::Body;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::render::{self, Shown};
use crate::control_plane::apiserver::status::{Failure, Outcome};
use crate::control_plane::registry::{AnyObject, Decoded, NodeMetrics, PodMetrics};

pub(super) async fn get(mut call: Call) -> Outcome<Response<Body>> {
    let own = call.resource;
    let measured = as_what_is_measured(&mut call)?;
    let found = call.resource.decoded(&*stored(&call).await?)?;
    call.resource = own;
    let shown = measured.of(&call, &[found]).await?.pop();
    let shown = shown.ok_or_else(|| measured.unknown(&call))?;
    render::object(&call, StatusCode::OK, &shown)
}

pub(super) async fn list(mut call: Call) -> Outcome<Response<Body>> {
    let own = call.resource;
    let measured = as_what_is_measured(&mut call)?;
    let page = page(&call).await?;
    let found = page.items.iter().map(|stored| call.resource.decoded(stored));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    call.resource = own;
    // No revision: it says nothing of what is measured, and there is no watch to begin at it.
    let meta = ListMeta { resource_version: None, ..page.meta };
    render::list(&call, &meta, measured.of(&call, &found).await?)
}

#[derive(Clone, Copy)]
enum Measured {
    Nodes,
    Pods,
}

/// From here on the call is about the objects that are measured; they have the same name in a path.
fn as_what_is_measured(call: &mut Call) -> Outcome<Measured> {
    let plural = call.resource.names().plural;
    let resource = call.server.resource("", "v1", plural).ok_or_else(status::path_not_found)?;
    call.resource = resource;
    Ok(if plural == "nodes" { Measured::Nodes } else { Measured::Pods })
}

impl Measured {
    async fn of(self, call: &Call, found: &[Decoded]) -> Outcome<Vec<Shown>> {
        let (pods, objects): (Vec<PodRef>, Vec<&Decoded>) = match self {
            Self::Nodes => (Vec::new(), found.iter().collect()),
            Self::Pods => found.iter().filter_map(|it| Some((running(it)?, it))).unzip(),
        };
        let away = "metrics not available yet: the node is not there yet; try again";
        let node = call.server.node();
        let node = node.ok_or_else(|| Failure::from(status::service_unavailable(away)))?;
        let stats = node.stats(&pods).await;
        let shown = objects.iter().enumerate().filter_map(|(index, object)| {
            let metadata = metadata(call, object);
            let object: Box<dyn AnyObject> = match self {
                Self::Nodes => Box::new(node_metrics(metadata, &stats)?),
                Self::Pods => Box::new(PodMetrics::new(metadata, stats.pods.get(index)?)?),
            };
            Some(Shown::Unstored(object))
        });
        Ok(shown.collect())
    }

    /// It is there, and nothing is known of it.
    fn unknown(self, call: &Call) -> Failure {
        let (resource, name) = match self {
            Self::Nodes => ("nodemetrics", call.name().to_owned()),
            Self::Pods => ("podmetrics", format!("{}/{}", call.namespace(), call.name())),
        };
        status::not_found(&GroupResource::new(call.resource.group(), resource), &name).into()
    }
}

fn node_metrics(metadata: ObjectMeta, stats: &Stats) -> Option<NodeMetrics> {
    let is_it = metadata.name.as_deref() == Some(stats.node.as_str());
    let usage = stats.usage.as_ref().filter(|_| is_it)?;
    Some(NodeMetrics::new(metadata, usage))
}

/// Only of Pods in the phase Running is anything told.
fn running(pod: &Decoded) -> Option<PodRef> {
    let any: &dyn Any = &**pod;
    let pod: &Pod = any.downcast_ref()?;
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let meta = &pod.metadata;
    (phase == Some("Running")).then(|| PodRef {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
    })
}

/// Whose metrics they are; they are as old as the request.
fn metadata(call: &Call, object: &Decoded) -> ObjectMeta {
    let meta = object.metadata();
    ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        labels: meta.labels.clone(),
        creation_timestamp: Some(Time(call.now)),
        ..ObjectMeta::default()
    }
}
