//! What ConfigMaps and Secrets share: keys, size, immutability.

use crate::api::fields::{FieldError, Path};

/// Upstream: `MaxSecretSize`; etcd's limit of 1.5 MB per request lies behind it.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

/// Upstream: `validation.IsConfigMapKey`.
pub(super) fn validate_key(data: &Path, key: &str) -> Vec<FieldError> {
    const KEY_BYTES_MAX: usize = 253;
    const CHARACTERS: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
         (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let mut complaints = Vec::new();
    if key.len() > KEY_BYTES_MAX {
        complaints.push(format!("must be no more than {KEY_BYTES_MAX} bytes"));
    }
    if key.is_empty() || !key.bytes().all(allowed) {
        complaints.push(CHARACTERS.to_owned());
    }
    match key {
        "." | ".." => complaints.push(format!("must not be '{key}'")),
        _ if key.starts_with("..") => complaints.push("must not start with '..'".to_owned()),
        _ => {}
    }
    complaints
        .into_iter()
        .map(|complaint| FieldError::invalid(data.key(key), key, complaint))
        .collect()
}

/// Once `immutable`, an object stays so, and the named fields (name, unchanged?) with it.
pub(super) fn validate_immutable(
    (new, old): (Option<bool>, Option<bool>),
    fields: &[(&str, bool)],
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
