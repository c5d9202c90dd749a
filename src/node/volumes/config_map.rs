//! `configMap`: the entries of a ConfigMap as files.
//!
//! Upstream: `pkg/volume/configmap/configmap.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, ConfigMapProjection, Volume, VolumeProjection};

use super::mounter::Mounter;
use super::payload::{Payload, project};
use super::projected::Projected;

/// The same as a projected volume with this one source.
pub(super) fn of(volume: &Volume) -> Option<Box<dyn Mounter>> {
    let source = volume.config_map.as_ref()?;
    let projection = ConfigMapProjection {
        name: source.name.clone(),
        items: source.items.clone(),
        optional: source.optional,
    };
    let source_of = VolumeProjection { config_map: Some(projection), ..Default::default() };
    Some(Box::new(Projected::new(vec![source_of], source.default_mode)))
}

/// # Errors
/// If there is no such ConfigMap, or no such key in it, unless it is optional.
pub(super) fn payload(
    projection: &ConfigMapProjection,
    map: Option<&ConfigMap>,
    default_mode: u32,
) -> Result<Payload, String> {
    let optional = projection.optional.unwrap_or(false);
    if map.is_none() && !optional {
        return Err(format!("configmap {:?} not found", projection.name));
    }
    let text = map.and_then(|map| map.data.as_ref()).into_iter().flatten();
    let binary = map.and_then(|map| map.binary_data.as_ref()).into_iter().flatten();
    let entries: BTreeMap<&str, &[u8]> = text
        .map(|(key, value)| (key.as_str(), value.as_bytes()))
        .chain(binary.map(|(key, value)| (key.as_str(), value.0.as_slice())))
        .collect();
    let missing: fn(&str) -> String =
        |key| format!("configmap references non-existent config key: {key}");
    let items = projection.items.as_deref().unwrap_or_default();
    project(&entries, items, default_mode, (!optional).then_some(missing))
}
