//! `secret`: the entries of a Secret as files.
//!
//! Upstream: `pkg/volume/secret/secret.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Secret, SecretProjection, Volume, VolumeProjection};

use super::mounter::Mounter;
use super::payload::{Payload, project};
use super::projected::Projected;

/// The same as a projected volume with this one source.
pub(super) fn of(volume: &Volume) -> Option<Box<dyn Mounter>> {
    let source = volume.secret.as_ref()?;
    let projection = SecretProjection {
        name: source.secret_name.clone().unwrap_or_default(),
        items: source.items.clone(),
        optional: source.optional,
    };
    let source_of = VolumeProjection { secret: Some(projection), ..Default::default() };
    Some(Box::new(Projected::new(vec![source_of], source.default_mode)))
}

/// # Errors
/// If there is no such Secret, or no such key in it, unless it is optional.
pub(super) fn payload(
    projection: &SecretProjection,
    secret: Option<&Secret>,
    default_mode: u32,
) -> Result<Payload, String> {
    let optional = projection.optional.unwrap_or(false);
    if secret.is_none() && !optional {
        return Err(format!("secret {:?} not found", projection.name));
    }
    let data = secret.and_then(|secret| secret.data.as_ref()).into_iter().flatten();
    let entries: BTreeMap<&str, &[u8]> =
        data.map(|(key, value)| (key.as_str(), value.0.as_slice())).collect();
    let missing: fn(&str) -> String = |key| format!("references non-existent secret key: {key}");
    let items = projection.items.as_deref().unwrap_or_default();
    project(&entries, items, default_mode, (!optional).then_some(missing))
}
