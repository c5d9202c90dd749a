//! Reading manifests from files and directories.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kube::Resource;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use crate::api::yaml;

/// One object as its author wrote it.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Where it was read, for messages.
    pub place: String,
    pub object: Value,
}

impl Manifest {
    pub(super) fn gvk(&self) -> GroupVersionKind {
        let text = |field: &str| self.object[field].as_str().unwrap_or_default();
        let (group, version) =
            text("apiVersion").split_once('/').unwrap_or_else(|| ("", text("apiVersion")));
        GroupVersionKind::gvk(group, version, text("kind"))
    }

    pub(super) fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"].as_str().unwrap_or("default")
    }
}

pub(super) fn url_path(resource: &ApiResource, namespace: Option<&str>) -> String {
    DynamicObject::url_path(resource, namespace)
}

/// Every object of these files, and of the manifests directly in these directories, in order.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for path in paths {
        for file in files(path)? {
            let place = file.display().to_string();
            let bytes = fs::read(&file).with_context(|| format!("read {place}"))?;
            for document in
                yaml::parse_all(&bytes).with_context(|| format!("understand {place}"))?
            {
                if let Some(duplicate) = document.duplicates.first() {
                    bail!("understand {place}: {duplicate}");
                }
                add(&place, document.value, &mut manifests);
            }
        }
    }
    for manifest in &manifests {
        let kind = manifest.gvk();
        if kind.version.is_empty() || kind.kind.is_empty() {
            bail!("understand {}: an object needs apiVersion and kind", manifest.place);
        }
    }
    if manifests.is_empty() {
        bail!("find anything to play: no objects in what was named");
    }
    Ok(manifests)
}

/// The directories the manifests are in: their own folder's programs may be images.
pub(super) fn directories(paths: &[PathBuf]) -> Vec<PathBuf> {
    let directory = |path: &PathBuf| {
        let path = fs::canonicalize(path).ok()?;
        if path.is_dir() { Some(path) } else { path.parent().map(Path::to_owned) }
    };
    paths.iter().filter_map(directory).collect()
}

/// Adds an object, the items of a `List` one by one; empty documents are nothing.
fn add(place: &str, object: Value, manifests: &mut Vec<Manifest>) {
    let is_list = object["apiVersion"] == "v1" && object["kind"] == "List";
    match object {
        Value::Null => {}
        Value::Object(mut list) if is_list => {
            if let Some(Value::Array(items)) = list.remove("items") {
                items.into_iter().for_each(|item| add(place, item, manifests));
            }
        }
        object => manifests.push(Manifest { place: place.to_owned(), object }),
    }
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let context = || format!("read the directory {}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(context)? {
        let file = entry.with_context(context)?.path();
        let extension = file.extension().and_then(|it| it.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tutorials_manifests_are_read_as_they_are() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/tutorial");
        let manifests = read(&[directory]).unwrap();
        let kinds: Vec<String> = manifests.iter().map(|it| it.gvk().kind).collect();
        assert_eq!(kinds, ["Deployment", "Pod", "Pod", "PersistentVolumeClaim", "Service"]);
        assert_eq!(manifests[2].object["spec"]["containers"][0]["image"], "busybox");
    }

    #[test]
    fn lists_are_taken_apart_and_objects_without_a_kind_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("list.yaml");
        fs::write(
            &file,
            "---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n---\n",
        )
        .unwrap();
        assert_eq!(read(std::slice::from_ref(&file)).unwrap().len(), 1);
        fs::write(&file, "kind: Pod\n").unwrap();
        assert!(read(&[file]).unwrap_err().to_string().contains("needs apiVersion and kind"));
    }
}
