//! The files of a volume that shows objects.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::KeyToPath;
use sha2::{Digest, Sha256};

/// Files by their path in the volume: relative, without empty parts and without `..`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Payload(BTreeMap<String, File>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) data: Vec<u8>,
    /// Its rights on the host: guests know none.
    pub(super) mode: u32,
}

impl Payload {
    /// Puts a file; a later one of the same path replaces an earlier one.
    ///
    /// # Errors
    /// A path that is not one of a file in the volume.
    pub(super) fn put(&mut self, path: &str, data: Vec<u8>, mode: u32) -> Result<(), String> {
        let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.is_empty() {
            return Err(format!("invalid path: must not be empty: {path:?}"));
        }
        if path.starts_with('/') {
            return Err(format!("invalid path: must be relative path: {path}"));
        }
        if parts.contains(&"..") {
            return Err(format!("invalid path: must not contain '..': {path}"));
        }
        if parts[0].starts_with("..") {
            return Err(format!("invalid path: must not start with '..': {path}"));
        }
        self.0.insert(parts.join("/"), File { data, mode });
        Ok(())
    }

    /// Adds all of another's files over its own.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &File)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// The first parts of all paths, sorted, each once.
    pub(super) fn top_names(&self) -> Vec<&str> {
        let names = self.0.keys().map(|path| path.split('/').next().unwrap_or(path));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Equal only for equal payloads.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (path, file) in &self.0 {
            for part in [path.as_bytes(), &file.data] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
            hash.update(file.mode.to_le_bytes());
        }
        hash.finalize().into()
    }
}

/// The entries of a ConfigMap or Secret as files: all of them, or what `items` say. `missing` words
/// that a key is not there; where it is `None` such an item is left out.
pub(super) fn project<'a>(
    entries: &BTreeMap<&'a str, &'a [u8]>,
    items: &[KeyToPath],
    default_mode: u32,
    missing: Option<fn(&str) -> String>,
) -> Result<Payload, String> {
    let mut payload = Payload::default();
    if items.is_empty() {
        for (key, data) in entries {
            payload.put(key, data.to_vec(), default_mode)?;
        }
        return Ok(payload);
    }
    for item in items {
        match (entries.get(item.key.as_str()), missing) {
            (Some(data), _) => {
                payload.put(&item.path, data.to_vec(), mode(item.mode, default_mode))?;
            }
            (None, Some(missing)) => return Err(missing(&item.key)),
            (None, None) => {}
        }
    }
    Ok(payload)
}

/// A file's own mode, or its volume's.
pub(super) fn mode(own: Option<i32>, default_mode: u32) -> u32 {
    own.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(default_mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(entries: &[&str], items: &[(&str, &str)], optional: bool) -> Result<String, String> {
        let entries = entries.iter().map(|key| (*key, key.as_bytes())).collect();
        let item = |(key, path): &(&str, &str)| KeyToPath {
            key: (*key).to_owned(),
            path: (*path).to_owned(),
            mode: None,
        };
        let items: Vec<_> = items.iter().map(item).collect();
        let missing: fn(&str) -> String = |key| format!("no {key}");
        let payload = project(&entries, &items, 0o644, (!optional).then_some(missing))?;
        let shown = payload
            .iter()
            .map(|(path, file)| format!("{path}={} ", String::from_utf8_lossy(&file.data)));
        Ok(shown.collect())
    }

    #[test]
    fn all_entries_or_the_items() {
        assert_eq!(keys(&["a", "b"], &[], false).unwrap(), "a=a b=b ");
        assert_eq!(
            keys(&["a", "b"], &[("b", "deep//x"), ("b", "y")], false).unwrap(),
            "deep/x=b y=b "
        );
        assert_eq!(keys(&["a"], &[("c", "c")], false).unwrap_err(), "no c");
        assert_eq!(keys(&["a"], &[("c", "c"), ("a", "a")], true).unwrap(), "a=a ");
    }

    #[test]
    fn no_path_leaves_the_volume() {
        for bad in ["", "/", "/a", "a/../../b", "..", "..data", "./..data"] {
            assert!(Payload::default().put(bad, Vec::new(), 0).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_digest_tells_paths_from_contents() {
        let payload = |path: &str, data: &str, mode| {
            let mut payload = Payload::default();
            payload.put(path, data.into(), mode).unwrap();
            payload.digest()
        };
        assert_eq!(payload("a", "bc", 1), payload("a", "bc", 1));
        assert_ne!(payload("a", "bc", 1), payload("ab", "c", 1));
        assert_ne!(payload("a", "bc", 1), payload("a", "bc", 2));
    }
}
