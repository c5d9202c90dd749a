//! Pods' volumes: what a manifest describes becomes a directory on the host, and a directory becomes
//! what containers mount.
//!
//! Enter by [`Volumes::of_pod`]; [`PodVolumes::set_up`] makes a Pod's volumes or brings them up to
//! date, whenever it is called; [`Mounted::source`] is what a `files::Mount` is made of. To add a
//! type: one file, and one line in [`VOLUMES`].
//!
//! ```text
//! Volume ── VOLUMES ──> Mounter ── set_up ──> Mounted ── source(subPath) ──> files::Source
//!                          ^ again when an object it shows, or its claim, has changed, when a
//!                          | token is to be renewed, and after a failure
//! ```
//!
//! What shows objects (configMap, secret, downwardAPI, projected) is in memory ([`shown`]): a guest
//! sees all of a change or nothing of it. A Pod's emptyDirs are in `pods/<uid>/volumes/<name>` and go
//! when the Pod has ended.
//!
//! Upstream: `pkg/volume`, `pkg/kubelet/volumemanager`.

mod claim;
mod config_map;
mod downward_api;
mod empty_dir;
mod host_path;
mod image;
mod interests;
mod mounter;
mod node;
mod own;
mod payload;
mod pod;
mod projected;
mod secret;
mod shares;
mod shown;
mod token;
mod tree;

use k8s_openapi::api::core::v1::Volume;

pub(in crate::node) use mounter::Mounted;
pub(in crate::node) use node::{Config, Rooms, Volumes};
pub(in crate::node) use own::remove;
pub(in crate::node) use pod::PodVolumes;

use mounter::Mounter;

/// A type of volume.
struct Type {
    /// Its field in the API.
    name: &'static str,
    /// The volume, if it is of this type.
    of: fn(&Volume) -> Option<Box<dyn Mounter>>,
}

static VOLUMES: &[Type] = &[
    Type { name: "configMap", of: config_map::of },
    Type { name: "downwardAPI", of: downward_api::of },
    Type { name: "emptyDir", of: empty_dir::of },
    Type { name: "ephemeral", of: claim::ephemeral },
    Type { name: "hostPath", of: host_path::of },
    Type { name: "image", of: image::of },
    Type { name: "persistentVolumeClaim", of: claim::of },
    Type { name: "projected", of: projected::of },
    Type { name: "secret", of: secret::of },
];

/// The one who sets the volume up.
///
/// # Errors
/// For a type that we do not have: a text that names it.
fn mounter(volume: &Volume) -> Result<Box<dyn Mounter>, String> {
    VOLUMES.iter().find_map(|type_| (type_.of)(volume)).ok_or_else(|| {
        let known: Vec<&str> = VOLUMES.iter().map(|type_| type_.name).collect();
        let asked = type_name(volume).unwrap_or_else(|| "unknown".to_owned());
        format!(
            "no volume plugin matched: sampan has no volumes of the type {asked}; it has {}",
            known.join(", ")
        )
    })
}

/// The field that is set beside the name.
fn type_name(volume: &Volume) -> Option<String> {
    let fields = serde_json::to_value(volume).ok()?;
    fields.as_object()?.keys().find(|field| *field != "name").cloned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn no_two_types_share_a_name_and_each_knows_its_own() {
        let names: BTreeSet<_> = VOLUMES.iter().map(|type_| type_.name).collect();
        assert_eq!(names.len(), VOLUMES.len());
        for name in names {
            let source = match name {
                "hostPath" => json!({"path": "/x"}),
                "persistentVolumeClaim" => json!({"claimName": "x"}),
                _ => json!({}),
            };
            let volume = serde_json::from_value(json!({"name": "v", name: source})).unwrap();
            let takers = VOLUMES.iter().filter(|type_| (type_.of)(&volume).is_some());
            let takers: Vec<_> = takers.map(|type_| type_.name).collect();
            assert_eq!(takers, [name]);
        }
    }

    #[test]
    fn a_type_that_is_not_there_is_named() {
        let nfs = json!({"name": "v", "nfs": {"server": "s", "path": "/p"}});
        let why = mounter(&serde_json::from_value(nfs).unwrap()).err().unwrap();
        let expect = "no volume plugin matched: sampan has no volumes of the type nfs; it has ";
        assert!(why.starts_with(expect), "{why}");
    }
}
