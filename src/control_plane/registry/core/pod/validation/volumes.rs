//! Volumes, and where containers mount them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, PodSpec, ProjectedVolumeSource, Volume,
    VolumeMount, VolumeProjection,
};

use super::{downward, ephemeral_volumes, text};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::api::quantity::Quantity;
use crate::control_plane::registry::rules::one_of;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

const HOST_PATH_TYPES: &[&str] = &[
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

const FIELD_PATHS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

pub(super) fn validate(volumes: &[Volume], path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        let name = volume.name.as_str();
        faults.extend(validate_source(volume, &path));
        if name.is_empty() {
            faults.push(FieldError::required(path.child("name"), ""));
            continue;
        }
        let complaints = meta::dns1123_label(name);
        if complaints.is_empty() && !names.insert(name) {
            faults.push(FieldError::duplicate(path.child("name"), name));
        }
        faults.extend(invalid_each(&path.child("name"), name, complaints));
    }
    faults
}

/// The types a volume names, in upstream's order.
fn types(volume: &Volume) -> Vec<&'static str> {
    let types = [
        ("emptyDir", volume.empty_dir.is_some()),
        ("hostPath", volume.host_path.is_some()),
        ("gitRepo", volume.git_repo.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("secret", volume.secret.is_some()),
        ("nfs", volume.nfs.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("cephFS", volume.cephfs.is_some()),
        ("quobyte", volume.quobyte.is_some()),
        ("downwardAPI", volume.downward_api.is_some()),
        ("fc", volume.fc.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("configMap", volume.config_map.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("storageos", volume.storageos.is_some()),
        ("projected", volume.projected.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("csi", volume.csi.is_some()),
        ("ephemeral", volume.ephemeral.is_some()),
        ("image", volume.image.is_some()),
    ];
    types.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
}

/// Exactly one type; only the first one's details are looked at.
fn validate_source(volume: &Volume, path: &Path) -> Vec<FieldError> {
    let types = types(volume);
    let Some((first, others)) = types.split_first() else {
        return vec![FieldError::required(path.clone(), "must specify a volume type")];
    };
    let mut faults = validate_type(volume, first, &path.child(*first));
    faults.extend(others.iter().map(|other| {
        FieldError::forbidden(path.child(*other), "may not specify more than 1 volume type")
    }));
    faults
}

fn validate_type(volume: &Volume, name: &str, path: &Path) -> Vec<FieldError> {
    let required = |value: &str, field: &'static str| {
        value.is_empty().then(|| FieldError::required(path.child(field), ""))
    };
    let mut faults = Vec::new();
    if let ("emptyDir", Some(dir)) = (name, &volume.empty_dir) {
        let limit = dir.size_limit.as_ref().map(Quantity::of);
        if limit.is_some_and(|limit| limit.is_err() || limit.is_ok_and(Quantity::is_negative)) {
            let detail = "SizeLimit field must be a valid resource quantity";
            faults.push(FieldError::forbidden(path.child("sizeLimit"), detail));
        }
    } else if let ("hostPath", Some(host)) = (name, &volume.host_path) {
        faults.extend(required(&host.path, "path"));
        faults.extend(no_backsteps(&host.path, &path.child("path")));
        let kind = text(&host.type_);
        if !HOST_PATH_TYPES.contains(&kind) {
            faults.push(FieldError::not_supported(path.child("type"), kind, HOST_PATH_TYPES));
        }
    } else if let ("secret", Some(secret)) = (name, &volume.secret) {
        faults.extend(required(text(&secret.secret_name), "secretName"));
        faults.extend(validate_mode(secret.default_mode, &path.child("defaultMode")));
        faults.extend(validate_items(secret.items.as_deref(), path));
    } else if let ("configMap", Some(map)) = (name, &volume.config_map) {
        faults.extend(required(&map.name, "name"));
        faults.extend(validate_mode(map.default_mode, &path.child("defaultMode")));
        faults.extend(validate_items(map.items.as_deref(), path));
    } else if let ("downwardAPI", Some(downward)) = (name, &volume.downward_api) {
        faults.extend(validate_mode(downward.default_mode, &path.child("defaultMode")));
        let files = downward.items.iter().flatten();
        faults.extend(files.flat_map(|file| validate_downward_file(file, path)));
    } else if let ("projected", Some(projected)) = (name, &volume.projected) {
        faults.extend(validate_projected(projected, path));
    } else if let ("persistentVolumeClaim", Some(claim)) = (name, &volume.persistent_volume_claim) {
        faults.extend(required(&claim.claim_name, "claimName"));
    } else if let ("nfs", Some(nfs)) = (name, &volume.nfs) {
        faults.extend(required(&nfs.server, "server"));
        faults.extend(required(&nfs.path, "path"));
        if !nfs.path.starts_with('/') {
            let detail = "must be an absolute path";
            faults.push(FieldError::invalid(path.child("path"), nfs.path.as_str(), detail));
        }
    } else if let ("csi", Some(csi)) = (name, &volume.csi) {
        faults.extend(required(&csi.driver, "driver"));
    } else if let ("ephemeral", Some(ephemeral)) = (name, &volume.ephemeral) {
        faults.extend(ephemeral_volumes::validate(ephemeral, path));
    } else if let ("image", Some(image)) = (name, &volume.image) {
        faults.extend(required(text(&image.reference), "reference"));
        let policies = &["Always", "IfNotPresent", "Never"];
        faults.extend(one_of(&path.child("pullPolicy"), text(&image.pull_policy), policies));
    }
    faults
}

fn validate_mode(mode: Option<i32>, path: &Path) -> Option<FieldError> {
    let mode = mode.filter(|mode| !(0..=0o777).contains(mode))?;
    Some(FieldError::invalid(path.clone(), mode, MODE))
}

fn validate_items(items: Option<&[KeyToPath]>, path: &Path) -> Vec<FieldError> {
    let path = path.child("items");
    let items = items.unwrap_or_default().iter().enumerate();
    items.flat_map(|(index, item)| validate_item(item, &path.index(index))).collect()
}

fn validate_item(item: &KeyToPath, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if item.key.is_empty() {
        faults.push(FieldError::required(path.child("key"), ""));
    }
    if item.path.is_empty() {
        faults.push(FieldError::required(path.child("path"), ""));
    }
    faults.extend(local_path(&item.path, &path.child("path")));
    faults.extend(validate_mode(item.mode, &path.child("mode")));
    faults
}

fn validate_downward_file(file: &DownwardAPIVolumeFile, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if file.path.is_empty() {
        faults.push(FieldError::required(path.child("path"), ""));
    }
    faults.extend(local_path(&file.path, &path.child("path")));
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), resource) => {
            let field_path = path.child("fieldRef");
            faults.extend(downward::validate_field(field, FIELD_PATHS, &field_path));
            if resource.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                faults.push(FieldError::invalid(path.clone(), "resource", detail));
            }
        }
        (None, Some(resource)) => {
            let path = path.child("resourceFieldRef");
            faults.extend(downward::validate_resource(resource, true, &path));
        }
        (None, None) => {
            let detail = "one of fieldRef and resourceFieldRef is required";
            faults.push(FieldError::required(path.clone(), detail));
        }
    }
    faults.extend(validate_mode(file.mode, &path.child("mode")));
    faults
}

fn validate_projected(projected: &ProjectedVolumeSource, path: &Path) -> Vec<FieldError> {
    let mut faults: Vec<FieldError> =
        validate_mode(projected.default_mode, &path.child("defaultMode")).into_iter().collect();
    let mut paths = BTreeSet::new();
    for (index, source) in projected.sources.iter().flatten().enumerate() {
        let source_path = path.child("sources").index(index);
        faults.extend(validate_projection(source, path, &source_path));
        for file in projected_files(source) {
            if !file.is_empty() && !paths.insert(file) {
                let detail = "conflicting duplicate paths";
                faults.push(FieldError::invalid(path.clone(), file, detail));
            }
        }
    }
    faults
}

/// Where a projection puts its files.
fn projected_files(source: &VolumeProjection) -> Vec<&str> {
    let secret = source.secret.iter().filter_map(|secret| secret.items.as_ref());
    let map = source.config_map.iter().filter_map(|map| map.items.as_ref());
    let downward = source.downward_api.iter().filter_map(|downward| downward.items.as_ref());
    let bundle = source.cluster_trust_bundle.iter().map(|bundle| bundle.path.as_str());
    secret
        .chain(map)
        .flatten()
        .map(|item| item.path.as_str())
        .chain(downward.flatten().map(|file| file.path.as_str()))
        .chain(bundle)
        .collect()
}

fn validate_projection(source: &VolumeProjection, whole: &Path, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut sources = 0;
    let named = [
        ("secret", source.secret.as_ref().map(|one| (&one.name, one.items.as_deref()))),
        ("configMap", source.config_map.as_ref().map(|one| (&one.name, one.items.as_deref()))),
    ];
    for (field, projection) in named {
        let Some((name, items)) = projection else { continue };
        sources += 1;
        if name.is_empty() {
            faults.push(FieldError::required(path.child(field).child("name"), ""));
        }
        faults.extend(validate_items(items, &path.child(field)));
    }
    if let Some(downward) = &source.downward_api {
        sources += 1;
        let files = downward.items.iter().flatten();
        let path = path.child("downwardAPI");
        faults.extend(files.flat_map(|file| validate_downward_file(file, &path)));
    }
    if let Some(token) = &source.service_account_token {
        sources += 1;
        let seconds = token.expiration_seconds.unwrap_or_default();
        let detail = match seconds {
            ..600 => Some("may not specify a duration less than 10 minutes"),
            4_294_967_297.. => Some("may not specify a duration larger than 2^32 seconds"),
            _ => None,
        };
        let path = path.child("serviceAccountToken").child("expirationSeconds");
        faults.extend(detail.map(|detail| FieldError::invalid(path, seconds, detail)));
        // Upstream reports these at the volume.
        if token.path.is_empty() {
            faults.push(FieldError::required(whole.child("path"), ""));
        } else {
            faults.extend(local_path(&token.path, &whole.child("path")));
        }
    }
    sources += usize::from(source.cluster_trust_bundle.is_some());
    if sources > 1 {
        let detail = "may not specify more than 1 volume type per source";
        faults.push(FieldError::forbidden(path.clone(), detail));
    }
    faults
}

/// A token needs somebody to speak for.
pub(super) fn validate_token_sources(spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    if !text(&spec.service_account_name).is_empty() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let sources = volume.projected.iter().filter_map(|projected| projected.sources.as_ref());
        for (source_index, source) in sources.flatten().enumerate() {
            if source.service_account_token.is_some() {
                let path = path.child("volumes").index(index).child("projected").child("sources");
                let path = path.index(source_index).child("serviceAccountToken");
                let detail = "must not be specified when serviceAccountName is not set";
                faults.push(FieldError::forbidden(path, detail));
            }
        }
    }
    faults
}

pub(super) fn validate_mounts(
    container: &Container,
    spec: &PodSpec,
    path: &Path,
) -> Vec<FieldError> {
    let volumes: BTreeMap<&str, &Volume> =
        spec.volumes.iter().flatten().map(|volume| (volume.name.as_str(), volume)).collect();
    let devices = container.volume_devices.as_deref().unwrap_or_default();
    let list = path.child("volumeMounts");
    let mut faults = Vec::new();
    let mut mount_paths = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = list.index(index);
        let (name, mount_path) = (mount.name.as_str(), mount.mount_path.as_str());
        let invalid = |field: &'static str, value: &str, detail: &str| {
            FieldError::invalid(path.child(field), value, detail)
        };
        if name.is_empty() {
            faults.push(FieldError::required(path.child("name"), ""));
        }
        if !volumes.contains_key(name) {
            faults.push(FieldError::not_found(path.child("name"), name));
        }
        if mount_path.is_empty() {
            faults.push(FieldError::required(path.child("mountPath"), ""));
        }
        if !mount_paths.insert(mount_path) {
            faults.push(invalid("mountPath", mount_path, "must be unique"));
        }
        if devices.iter().any(|device| device.name == name) {
            faults.push(invalid("name", name, "must not already exist in volumeDevices"));
        }
        if devices.iter().any(|device| device.device_path == mount_path) {
            let detail = "must not already exist as a path in volumeDevices";
            faults.push(invalid("mountPath", mount_path, detail));
        }
        let image = volumes.get(name).is_some_and(|volume| volume.image.is_some());
        faults.extend(validate_sub_path(mount, image, &path, &list));
        faults.extend(validate_propagation(mount, container, &list));
    }
    faults.extend(validate_devices(container, &volumes, &path.child("volumeDevices")));
    faults
}

/// Upstream reports a bad path at the list of mounts, without the index.
fn validate_sub_path(
    mount: &VolumeMount,
    image: bool,
    path: &Path,
    list: &Path,
) -> Vec<FieldError> {
    let (sub_path, expression) = (text(&mount.sub_path), text(&mount.sub_path_expr));
    let mut faults = Vec::new();
    for (field, value) in [("subPath", sub_path), ("subPathExpr", expression)] {
        if value.is_empty() {
            continue;
        }
        if image {
            let detail = "not allowed in image volume sources";
            faults.push(FieldError::invalid(path.child(field), value, detail));
        }
        if field == "subPathExpr" && !sub_path.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            faults.push(FieldError::invalid(path.child(field), value, detail));
        }
        faults.extend(descending_path(value, &list.child(field)));
    }
    faults
}

fn validate_propagation(
    mount: &VolumeMount,
    container: &Container,
    list: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(mode) = mount.mount_propagation.as_deref() {
        let path = list.child("mountPropagation");
        let modes = ["Bidirectional", "HostToContainer", "None"];
        if !modes.contains(&mode) {
            faults.push(FieldError::not_supported(path.clone(), mode, &modes));
        }
        let context = container.security_context.as_ref();
        let privileged = context.and_then(|context| context.privileged).unwrap_or(false);
        if mode == "Bidirectional" && !privileged {
            let detail =
                "Bidirectional mount propagation is available only to privileged containers";
            faults.push(FieldError::forbidden(path, detail));
        }
    }
    if let Some(mode) = mount.recursive_read_only.as_deref().filter(|mode| *mode != "Disabled") {
        let path = list.child("recursiveReadOnly");
        let modes = ["Disabled", "Enabled", "IfPossible"];
        if !modes.contains(&mode) {
            faults.push(FieldError::not_supported(path, mode, &modes));
            return faults;
        }
        if mount.read_only != Some(true) {
            let detail = "may only be specified when readOnly is true";
            faults.push(FieldError::forbidden(path.clone(), detail));
        }
        if mount.mount_propagation.as_deref().is_some_and(|mode| mode != "None") {
            let detail = "may only be specified when mountPropagation is None or not specified";
            faults.push(FieldError::forbidden(path, detail));
        }
    }
    faults
}

fn validate_devices(
    container: &Container,
    volumes: &BTreeMap<&str, &Volume>,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in container.volume_devices.iter().flatten().enumerate() {
        let path = path.index(index);
        let (name, device_path) = (device.name.as_str(), device.device_path.as_str());
        let invalid = |field: &'static str, value: &str, detail: &str| {
            FieldError::invalid(path.child(field), value, detail)
        };
        if name.is_empty() {
            faults.push(FieldError::required(path.child("name"), ""));
        } else if !names.insert(name) {
            faults.push(invalid("name", name, "must be unique"));
        }
        match volumes.get(name) {
            None => faults.push(FieldError::not_found(path.child("name"), name)),
            Some(volume)
                if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() =>
            {
                let detail = "can only use volume source type of PersistentVolumeClaim or \
                              Ephemeral for block mode";
                faults.push(invalid("name", name, detail));
            }
            Some(_) => {}
        }
        if device_path.is_empty() {
            faults.push(FieldError::required(path.child("devicePath"), ""));
        } else if !paths.insert(device_path) {
            faults.push(invalid("devicePath", device_path, "must be unique"));
        }
        if device_path.split('/').any(|part| part == "..") {
            faults.push(invalid("devicePath", device_path, "can not contain backsteps ('..')"));
        }
    }
    faults
}

/// A relative path without `..` anywhere.
pub(super) fn descending_path(value: &str, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if value.starts_with('/') {
        faults.push(FieldError::invalid(path.clone(), value, "must be a relative path"));
    }
    faults.extend(no_backsteps(value, path));
    faults
}

/// The same, and no name that begins with two dots: those are ours in volumes made of objects.
fn local_path(value: &str, path: &Path) -> Vec<FieldError> {
    let mut faults = descending_path(value, path);
    if value.starts_with("..") && !value.starts_with("../") {
        faults.push(FieldError::invalid(path.clone(), value, "must not start with '..'"));
    }
    faults
}

fn no_backsteps(value: &str, path: &Path) -> Option<FieldError> {
    let backsteps = value.split('/').any(|part| part == "..");
    backsteps.then(|| FieldError::invalid(path.clone(), value, "must not contain '..'"))
}
