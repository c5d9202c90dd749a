//! What ConfigMaps and Secrets share: keys, size, immutability.

use crate::api::fields::{FieldError, Path};
use crate::api::meta;

/// Upstream: `MaxSecretSize`; etcd's limit of 1.5 MB per request lies behind it.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

pub(super) fn validate_key(data: &Path, key: &str) -> Vec<FieldError> {
    meta::invalid_each(&data.key(key), key, meta::config_map_key(key))
}

/// Once `immutable`, an object stays so, and the named fields (name, unchanged?) with it.
pub(super) fn validate_immutable(
    (new, old): (Option<bool>, Option<bool>),
    fields: &[(&'static str, bool)],
) -> Vec<FieldError> {
    const REASON: &str = "field is immutable when `immutable` is set";
    if old != Some(true) {
        return Vec::new();
    }
    let unset = (new != Some(true)).then_some("immutable");
    let changed = fields.iter().filter(|(_, unchanged)| !unchanged).map(|(name, _)| *name);
    unset
        .into_iter()
        .chain(changed)
        .map(|name| FieldError::forbidden(Path::new(name), REASON))
        .collect()
}
