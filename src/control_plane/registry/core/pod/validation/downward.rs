//! References to the Pod's own fields and resources, in variables and volumes.

use k8s_openapi::api::core::v1::{ObjectFieldSelector, ResourceFieldSelector};

use super::{qualified_name, text};
use crate::api::fields::{FieldError, Path};
use crate::api::quantity;

/// What a `fieldPath` may name at all; where it is used narrows it further.
///
/// Upstream: `ConvertDownwardAPIFieldLabel` in `pkg/apis/core/pods/helpers.go`.
const KNOWN: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const HUGE_PAGES: [&str; 2] = ["limits.hugepages-", "requests.hugepages-"];

const DIVISORS: &[&str] =
    &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

pub(super) fn validate_field(
    field: &ObjectFieldSelector,
    supported: &[&str],
    path: &Path,
) -> Vec<FieldError> {
    let field_path = field.field_path.as_str();
    let version = text(&field.api_version);
    if version.is_empty() {
        return vec![FieldError::required(path.child("apiVersion"), "")];
    }
    if field_path.is_empty() {
        return vec![FieldError::required(path.child("fieldPath"), "")];
    }
    let unknown = |why: String| {
        let detail = format!("error converting fieldPath: {why}");
        vec![FieldError::invalid(path.child("fieldPath"), field_path, detail)]
    };
    if version != "v1" {
        return unknown(format!("unsupported pod version: {version}"));
    }
    match subscripted(field_path) {
        Some(("metadata.annotations", key)) => qualified_name(path, &key.to_lowercase()),
        Some(("metadata.labels", key)) => qualified_name(path, key),
        Some(_) => unknown(format!("field label does not support subscript: {field_path}")),
        None => match if field_path == "spec.host" { "spec.nodeName" } else { field_path } {
            field if supported.contains(&field) => Vec::new(),
            field if KNOWN.contains(&field) => {
                vec![FieldError::not_supported(path.child("fieldPath"), field, supported)]
            }
            _ => unknown(format!("field label not supported: {field_path}")),
        },
    }
}

/// `metadata.labels['key']` as its two parts.
fn subscripted(path: &str) -> Option<(&str, &str)> {
    let (path, key) = path.strip_suffix("']")?.split_once("['")?;
    (!path.is_empty()).then_some((path, key))
}

pub(super) fn validate_resource(
    field: &ResourceFieldSelector,
    in_volume: bool,
    path: &Path,
) -> Vec<FieldError> {
    let resource = field.resource.as_str();
    let huge_pages = HUGE_PAGES.iter().any(|prefix| resource.starts_with(prefix));
    let mut faults = Vec::new();
    if in_volume && text(&field.container_name).is_empty() {
        faults.push(FieldError::required(path.child("containerName"), ""));
    } else if resource.is_empty() {
        faults.push(FieldError::required(path.child("resource"), ""));
    } else if !RESOURCES.contains(&resource) && !huge_pages {
        faults.push(FieldError::not_supported(path.child("resource"), resource, RESOURCES));
    }
    faults.extend(validate_divisor(field, &path.child("divisor")));
    faults
}

fn validate_divisor(field: &ResourceFieldSelector, path: &Path) -> Option<FieldError> {
    let divisor = quantity::canonical(&field.divisor.as_ref()?.0).unwrap_or_default();
    let resource = field.resource.as_str();
    let (divisors, kind) = match resource {
        _ if divisor == "0" => return None,
        "limits.cpu" | "requests.cpu" => (&["1m", "1"][..], "cpu resource"),
        "limits.memory" | "requests.memory" => (DIVISORS, "memory resource"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => {
            (DIVISORS, "local ephemeral storage resource")
        }
        _ if HUGE_PAGES.iter().any(|prefix| resource.starts_with(prefix)) => {
            (DIVISORS, "hugepages resource")
        }
        _ => return None,
    };
    if divisors.contains(&divisor.as_str()) {
        return None;
    }
    let list = if divisors.len() == 2 { "1m and 1".to_owned() } else { divisors.join(", ") };
    let detail = format!("only divisor's values {list} are supported with the {kind}");
    Some(FieldError::invalid(path.clone(), resource, detail))
}
