//! The files of a volume that shows objects.

use std::collections::BTreeMap;

use bytes::Bytes;
use k8s_openapi::api::core::v1::KeyToPath;

/// Files by their path in the volume: relative, without empty parts and without `..`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Payload(BTreeMap<String, File>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) data: Bytes,
    /// Permission bits, for those who look at them.
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
        self.0.insert(parts.join("/"), File { data: data.into(), mode });
        Ok(())
    }

    /// Adds all of another's files over its own.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }

    /// What is directly in a directory, empty for the top: names, sorted, and whether each is a file.
    pub(super) fn names_in(&self, directory: &str) -> Vec<(&str, bool)> {
        let below = self.0.keys().filter_map(|path| match directory {
            "" => Some(path.as_str()),
            _ => path.strip_prefix(directory)?.strip_prefix('/'),
        });
        let mut names: Vec<(&str, bool)> = below
            .map(|rest| rest.split_once('/').map_or((rest, true), |(name, _)| (name, false)))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// # Errors
    /// If a file would have to be a directory, too.
    pub(super) fn check(&self) -> Result<(), String> {
        for path in self.0.keys() {
            let above = path.match_indices('/').map(|(at, _)| &path[..at]);
            if let Some(file) = above.into_iter().find(|above| self.0.contains_key(*above)) {
                return Err(format!("failed to write its files: {file} of {path} is a file"));
            }
        }
        Ok(())
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
            .0
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
    fn names_are_those_of_one_directory() {
        let mut payload = Payload::default();
        for path in ["a", "deep/b", "deep/er/c", "deeper/d"] {
            payload.put(path, Vec::new(), 0).unwrap();
        }
        assert_eq!(payload.names_in(""), [("a", true), ("deep", false), ("deeper", false)]);
        assert_eq!(payload.names_in("deep"), [("b", true), ("er", false)]);
        assert_eq!(payload.names_in("a"), []);
        payload.check().unwrap();
        payload.put("deep/b/x", Vec::new(), 0).unwrap();
        assert_eq!(
            payload.check().unwrap_err(),
            "failed to write its files: deep/b of deep/b/x is a file"
        );
    }
}
