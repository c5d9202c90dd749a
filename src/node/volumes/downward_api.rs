//! `downwardAPI`: the Pod's own fields and its containers' resources as files.
//!
//! Upstream: `pkg/volume/downwardapi/downwardapi.go`.

use k8s_openapi::api::core::v1::{
    DownwardAPIProjection, DownwardAPIVolumeFile, Pod, Volume, VolumeProjection,
};

use super::mounter::Mounter;
use super::payload::{Payload, mode};
use super::projected::{Projected, joined};
use crate::api::downward::{self, Facts};

/// The same as a projected volume with this one source.
pub(super) fn of(volume: &Volume) -> Option<Box<dyn Mounter>> {
    let source = volume.downward_api.as_ref()?;
    let projection = DownwardAPIProjection { items: source.items.clone() };
    let source_of = VolumeProjection { downward_api: Some(projection), ..Default::default() };
    Some(Box::new(Projected::new(vec![source_of], source.default_mode)))
}

/// # Errors
/// References to what is not there, all of them.
pub(super) fn payload(
    projection: &DownwardAPIProjection,
    pod: &Pod,
    facts: &Facts,
    default_mode: u32,
) -> Result<Payload, String> {
    let mut payload = Payload::default();
    let mut faults = Vec::new();
    for file in projection.items.iter().flatten() {
        let put = value(file, pod, facts).and_then(|value| {
            payload.put(&file.path, value.into_bytes(), mode(file.mode, default_mode))
        });
        faults.extend(put.err());
    }
    if faults.is_empty() { Ok(payload) } else { Err(joined(faults)) }
}

fn value(file: &DownwardAPIVolumeFile, pod: &Pod, facts: &Facts) -> Result<String, String> {
    if let Some(field) = &file.field_ref {
        downward::field(pod, facts, &field.field_path)
    } else if let Some(selector) = &file.resource_field_ref {
        downward::resource(pod, None, &facts.allocatable, selector)
    } else {
        Ok(String::new())
    }
}
