//! PersistentVolumes: storage that outlives Pods.
//!
//! Not checked: the details of sources that name a cloud or a storage product, which no node of ours could
//! mount anyway.
//!
//! Upstream: `ValidatePersistentVolume` in `pkg/apis/core/validation/validation.go`,
//! `pkg/registry/core/persistentvolume/strategy.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec};
use serde_json::{Map, Value, json};

use super::pod::validate_node_selector;
use super::storage::{access_modes, validate_access_modes, validate_class, validate_positive};
use crate::api::claim;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::IMMUTABLE;
use crate::control_plane::registry::changes::changes;
use crate::control_plane::registry::print::{self, AGE, NAME, column, wide};
use crate::control_plane::registry::rules::{one_of, set_default, text};
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

const RECLAIM_POLICIES: &[&str] = &["Delete", "Recycle", "Retain"];

/// What a volume can be, in upstream's order.
const SOURCES: &[&str] = &[
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

#[derive(Debug)]
pub(crate) struct PersistentVolumes;

impl Resource for PersistentVolumes {
    type Object = PersistentVolume;

    const NAMES: Names = Names {
        plural: "persistentvolumes",
        singular: "persistentvolume",
        short: &["pv"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Cluster;
    const ANSWERS_DELETED_OBJECT: bool = true;
    const SUBRESOURCES: &'static [Subresource] =
        &[Subresource { name: "status", kind: ("", "", "PersistentVolume"), verbs: STATUS_VERBS }];

    fn default(volume: &mut PersistentVolume) {
        let spec = volume.spec.get_or_insert_default();
        set_default(&mut spec.persistent_volume_reclaim_policy, "Retain");
        set_default(&mut spec.volume_mode, "Filesystem");
        if let Some(host) = &mut spec.host_path {
            host.type_.get_or_insert_default();
        }
        set_default(&mut volume.status.get_or_insert_default().phase, "Pending");
    }

    fn prepare_for_create(volume: &mut PersistentVolume) {
        volume.status = None;
        Self::default(volume);
    }

    fn prepare_for_update(volume: &mut PersistentVolume, old: &PersistentVolume) {
        volume.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(volume: &mut PersistentVolume, old: &PersistentVolume) {
        volume.spec.clone_from(&old.spec);
    }

    fn validate(volume: &PersistentVolume) -> Vec<FieldError> {
        let spec = volume.spec.clone().unwrap_or_default();
        validate_spec(&spec, &Path::new("spec"))
    }

    fn validate_update(volume: &PersistentVolume, old: &PersistentVolume) -> Vec<FieldError> {
        let mut faults = Self::validate(volume);
        let spec = volume.spec.clone().unwrap_or_default();
        let old = old.spec.clone().unwrap_or_default();
        let path = Path::new("spec");
        let changed = changes(&path, &source(&spec), &source(&old));
        if !changed.is_empty() {
            let detail = "spec.persistentvolumesource is immutable after creation";
            let path = path.child("persistentvolumesource");
            faults.push(FieldError::forbidden(path, format!("{detail}\n{}", changed.join("\n"))));
        }
        if spec.volume_mode != old.volume_mode {
            let path = Path::new("volumeMode");
            faults.push(FieldError::invalid(path, spec.volume_mode, IMMUTABLE));
        }
        if old.node_affinity.is_some() && spec.node_affinity != old.node_affinity {
            let affinity = json!(spec.node_affinity);
            faults.push(FieldError::invalid(path.child("nodeAffinity"), affinity, IMMUTABLE));
        }
        faults
    }

    fn fields(volume: &PersistentVolume) -> Vec<(&'static str, String)> {
        vec![("name", volume.metadata.name.clone().unwrap_or_default())]
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Capacity", "How much it holds."),
            column("Access Modes", "In which ways it can be used."),
            column("Reclaim Policy", "What becomes of it when its claim is gone."),
            column("Status", "Whether it is free, bound, or waits to be reclaimed."),
            column("Claim", "Whose it is: namespace and name of the claim."),
            column("StorageClass", "The class whose claims it can serve."),
            column("VolumeAttributesClass", "The class that its adjustable properties come from."),
            column("Reason", "Why it failed."),
            AGE,
            wide("VolumeMode", "Whether it holds files or is a block device."),
        ];
        COLUMNS
    }

    fn row(volume: &PersistentVolume, now: Timestamp) -> Vec<Value> {
        let spec = volume.spec.clone().unwrap_or_default();
        let status = volume.status.clone().unwrap_or_default();
        let claim = spec.claim_ref.as_ref();
        let claim = claim.map(|claim| format!("{}/{}", text(&claim.namespace), text(&claim.name)));
        let phase = match volume.metadata.deletion_timestamp {
            Some(_) => "Terminating",
            None => text(&status.phase),
        };
        vec![
            print::name(&volume.metadata),
            claim::capacity(volume).to_string().into(),
            access_modes(spec.access_modes.as_deref()).into(),
            text(&spec.persistent_volume_reclaim_policy).into(),
            phase.into(),
            claim.unwrap_or_default().into(),
            claim::class_of_volume(volume).into(),
            print::or(spec.volume_attributes_class_name.as_deref(), "<unset>").into(),
            text(&status.reason).into(),
            print::age(&volume.metadata, now),
            print::or(spec.volume_mode.as_deref(), "<unset>").into(),
        ]
    }
}

/// The part of the spec that says what the volume is.
fn source(spec: &PersistentVolumeSpec) -> Map<String, Value> {
    let Value::Object(mut fields) = json!(spec) else { return Map::new() };
    fields.retain(|name, _| SOURCES.contains(&name.as_str()));
    fields
}

fn validate_spec(spec: &PersistentVolumeSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = match spec.access_modes.as_deref().unwrap_or_default() {
        [] => vec![FieldError::required(path.child("accessModes"), "")],
        modes => validate_access_modes(modes, &path.child("accessModes")),
    };
    faults.extend(validate_capacity(spec, &path.child("capacity")));
    let policy = text(&spec.persistent_volume_reclaim_policy);
    let policy_path = path.child("persistentVolumeReclaimPolicy");
    faults.extend(one_of(&policy_path, policy, RECLAIM_POLICIES));
    if let Some(affinity) = &spec.node_affinity {
        let path = path.child("nodeAffinity").child("required");
        match &affinity.required {
            Some(selector) => faults.extend(validate_node_selector(selector, &path)),
            None => {
                let detail = "must specify required node constraints";
                faults.push(FieldError::required(path, detail));
            }
        }
    }
    faults.extend(validate_source(spec, path));
    let is_root = |path: &str| path.split('/').all(|part| part.is_empty() || part == ".");
    if policy == "Recycle" && spec.host_path.as_ref().is_some_and(|host| is_root(&host.path)) {
        let detail = "may not be 'recycle' for a hostPath mount of '/'";
        faults.push(FieldError::forbidden(policy_path, detail));
    }
    faults.extend(validate_class(text(&spec.storage_class_name), &path.child("storageClassName")));
    let modes = &["Block", "Filesystem"];
    faults.extend(one_of(&path.child("volumeMode"), text(&spec.volume_mode), modes));
    faults
}

fn validate_capacity(spec: &PersistentVolumeSpec, path: &Path) -> Vec<FieldError> {
    let capacity = spec.capacity.clone().unwrap_or_default();
    let mut faults = Vec::new();
    if capacity.is_empty() {
        faults.push(FieldError::required(path.clone(), ""));
    }
    if capacity.len() != 1 || !capacity.contains_key("storage") {
        faults.push(FieldError::not_supported(path.clone(), json!(capacity), &["storage"]));
    }
    for (name, amount) in &capacity {
        faults.extend(validate_positive(amount, &path.key(name)));
    }
    faults
}

/// Exactly one.
fn validate_source(spec: &PersistentVolumeSpec, path: &Path) -> Vec<FieldError> {
    let source = source(spec);
    let mut named = SOURCES.iter().filter(|name| source.contains_key(**name));
    let Some(first) = named.next() else {
        return vec![FieldError::required(path.clone(), "must specify a volume type")];
    };
    let mut faults = validate_details(spec, first, path);
    faults.extend(named.map(|name| {
        FieldError::forbidden(path.child(*name), "may not specify more than 1 volume type")
    }));
    faults
}

fn validate_details(
    spec: &PersistentVolumeSpec,
    name: &'static str,
    path: &Path,
) -> Vec<FieldError> {
    let at = path.child(name);
    let required = |value: &str, field: &'static str| {
        value.is_empty().then(|| FieldError::required(at.child(field), ""))
    };
    let no_backsteps = |value: &str| {
        let backsteps = value.split('/').any(|part| part == "..");
        let detail = "must not contain '..'";
        backsteps.then(|| FieldError::invalid(at.child("path"), value, detail))
    };
    let mut faults = Vec::new();
    if let ("hostPath", Some(host)) = (name, &spec.host_path) {
        faults.extend(required(&host.path, "path"));
        faults.extend(no_backsteps(&host.path));
    } else if let ("local", Some(local)) = (name, &spec.local) {
        faults.extend(required(&local.path, "path"));
        faults.extend(no_backsteps(&local.path));
        if spec.node_affinity.is_none() {
            let detail = "Local volume requires node affinity";
            faults.push(FieldError::required(path.child("nodeAffinity"), detail));
        }
    } else if let ("nfs", Some(nfs)) = (name, &spec.nfs) {
        faults.extend(required(&nfs.server, "server"));
        faults.extend(required(&nfs.path, "path"));
        if !nfs.path.starts_with('/') {
            let detail = "must be an absolute path";
            faults.push(FieldError::invalid(at.child("path"), nfs.path.as_str(), detail));
        }
    } else if let ("csi", Some(csi)) = (name, &spec.csi) {
        faults.extend(required(&csi.driver, "driver"));
        faults.extend(required(&csi.volume_handle, "volumeHandle"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(spec: Value) -> PersistentVolume {
        let mut volume =
            serde_json::from_value(json!({"metadata": {"name": "v"}, "spec": spec})).unwrap();
        PersistentVolumes::default(&mut volume);
        volume
    }

    #[track_caller]
    fn check(faults: &[FieldError], expect: &[&str]) {
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    fn plain() -> Value {
        json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            "storageClassName": "manual", "hostPath": {"path": "/srv"}})
    }

    #[test]
    fn a_volume_is_one_thing_of_some_size() {
        check(&PersistentVolumes::validate(&volume(plain())), &[]);
        check(
            &PersistentVolumes::validate(&volume(json!({}))),
            &[
                "spec.accessModes: Required value",
                "spec.capacity: Required value",
                "spec.capacity: Unsupported value: {}: supported values: \"storage\"",
                "spec: Required value: must specify a volume type",
            ],
        );
        check(
            &PersistentVolumes::validate(&volume(json!({
                "capacity": {"storage": "0"}, "accessModes": ["ReadWriteOncePod", "ReadWriteAll"],
                "hostPath": {"path": "/../x"}, "local": {"path": "/x"}, "volumeMode": "Tape",
                "persistentVolumeReclaimPolicy": "Keep", "storageClassName": "A B",
                "nodeAffinity": {},
            }))),
            &[
                "spec.accessModes: Unsupported value: \"ReadWriteAll\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
                "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
                "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero",
                "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Keep\": supported values: \"Delete\", \"Recycle\", \"Retain\"",
                "spec.nodeAffinity.required: Required value: must specify required node constraints",
                "spec.hostPath.path: Invalid value: \"/../x\": must not contain '..'",
                "spec.local: Forbidden: may not specify more than 1 volume type",
                "spec.storageClassName: Invalid value: \"A B\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
            ],
        );
    }

    #[test]
    fn what_it_is_stays() {
        let mut other = plain();
        other["hostPath"]["path"] = json!("/etc");
        other["volumeMode"] = json!("Block");
        let faults = PersistentVolumes::validate_update(&volume(other), &volume(plain()));
        check(
            &faults,
            &[
                "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n-\tspec.hostPath.path: \"/srv\"\n+\tspec.hostPath.path: \"/etc\"",
                "volumeMode: Invalid value: \"Block\": field is immutable",
            ],
        );
        let mut grown = plain();
        grown["capacity"]["storage"] = json!("2Gi");
        grown["persistentVolumeReclaimPolicy"] = json!("Delete");
        check(&PersistentVolumes::validate_update(&volume(grown), &volume(plain())), &[]);
    }

    #[test]
    fn rows_say_whose_it_is() {
        let mut spec = plain();
        spec["claimRef"] = json!({"namespace": "n", "name": "c"});
        let row = PersistentVolumes::row(&volume(spec), Timestamp::UNIX_EPOCH);
        let expect = [
            "v",
            "1Gi",
            "RWO,RWX",
            "Retain",
            "Pending",
            "n/c",
            "manual",
            "<unset>",
            "",
            "<unknown>",
            "Filesystem",
        ];
        assert_eq!(row, expect);
    }
}
