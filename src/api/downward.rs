//! The downward API, `fieldRef` and `resourceFieldRef`: a Pod and its place as text.
//!
//! Upstream: `pkg/fieldpath`, `pkg/api/v1/resource/helpers.go`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::api::quantity::Quantity;

/// What a node knows beside the Pod's object.
#[derive(Debug, Clone)]
pub struct Facts {
    pub node: String,
    pub host_ip: IpAddr,
    pub pod_ip: Ipv4Addr,
    /// Stand in for limits that a container does not set.
    pub allocatable: BTreeMap<String, ApiQuantity>,
}

/// The value of a `fieldRef`.
///
/// # Errors
/// A path that upstream does not support.
pub fn field(pod: &Pod, facts: &Facts, path: &str) -> Result<String, String> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    if let Some((map, key)) = subscript(path) {
        let entries = match map {
            "metadata.labels" => &meta.labels,
            "metadata.annotations" => &meta.annotations,
            _ => return Err(unsupported(path)),
        };
        return Ok(entries.as_ref().and_then(|all| all.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => text(&meta.name),
        "metadata.namespace" => text(&meta.namespace),
        "metadata.uid" => text(&meta.uid),
        "metadata.labels" => format_map(meta.labels.as_ref()),
        "metadata.annotations" => format_map(meta.annotations.as_ref()),
        "spec.nodeName" => facts.node.clone(),
        "spec.serviceAccountName" => {
            spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default()
        }
        "status.hostIP" | "status.hostIPs" => facts.host_ip.to_string(),
        "status.podIP" | "status.podIPs" => facts.pod_ip.to_string(),
        _ => return Err(unsupported(path)),
    })
}

fn unsupported(path: &str) -> String {
    format!("unsupported fieldPath: {path}")
}

/// `metadata.labels['key']` in two.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// One `key="value"` per line, as upstream's `FormatMap`.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> =
        map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

/// The value of a `resourceFieldRef`: the amount divided by the divisor, rounded up. `container` is
/// meant where the selector names none; `allocatable` stands in for limits that are not set.
///
/// # Errors
/// An unknown resource or container.
pub fn resource(
    pod: &Pod,
    container: Option<&Container>,
    allocatable: &BTreeMap<String, ApiQuantity>,
    selector: &ResourceFieldSelector,
) -> Result<String, String> {
    let name = selector.container_name.as_deref().unwrap_or_default();
    let named = || find(pod, name).ok_or_else(|| format!("container {name} not found"));
    let container = match container {
        Some(container) if name.is_empty() => container,
        _ => named()?,
    };
    let (list, name) = selector
        .resource
        .split_once('.')
        .ok_or_else(|| format!("unsupported container resource : {}", selector.resource))?;
    let resources = container.resources.as_ref();
    let set = match list {
        "limits" => resources.and_then(|resources| resources.limits.as_ref()?.get(name)),
        "requests" => resources.and_then(|resources| resources.requests.as_ref()?.get(name)),
        _ => return Err(format!("unsupported container resource : {}", selector.resource)),
    };
    // A container without a limit may use what the node has; without a request it asks for nothing.
    let amount = set.or_else(|| allocatable.get(name).filter(|_| list == "limits"));
    let parse = |quantity: &ApiQuantity| {
        Quantity::parse(&quantity.0).map_err(|_| format!("bad quantity {:?}", quantity.0))
    };
    let amount = amount.map(parse).transpose()?;
    let divisor = selector.divisor.as_ref().map(parse).transpose()?.filter(|one| !one.is_zero());
    let measure =
        |quantity: Quantity| if name == "cpu" { quantity.millis() } else { quantity.value() };
    let unit = divisor.map_or(if name == "cpu" { 1_000 } else { 1 }, measure).max(1);
    let amount = amount.map_or(0, measure);
    Ok((amount / unit + i64::from(amount % unit > 0)).to_string())
}

fn find<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    let spec = pod.spec.as_ref()?;
    let init = spec.init_containers.iter().flatten();
    init.chain(&spec.containers).find(|container| container.name == name)
}
