//! PersistentVolumeClaims: requests for storage.
//!
//! Upstream: `ValidatePersistentVolumeClaim` and `ValidatePersistentVolumeClaimUpdate` in
//! `pkg/apis/core/validation/validation.go`, `pkg/registry/core/persistentvolumeclaim/strategy.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, TypedLocalObjectReference,
    TypedObjectReference,
};
use serde_json::Value;

use super::pod::validate_selector;
use super::storage::{access_modes, validate_access_modes, validate_class, validate_positive};
use crate::api::claim;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{IMMUTABLE, dns1123_subdomain};
use crate::control_plane::registry::changes::changes;
use crate::control_plane::registry::print::{self, AGE, NAME, column, wide};
use crate::control_plane::registry::rules::{one_of, set_default, text};
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

const REFUSAL: &str = "spec is immutable after creation except resources.requests and \
                       volumeAttributesClassName for bound claims";

#[derive(Debug)]
pub(crate) struct PersistentVolumeClaims;

impl Resource for PersistentVolumeClaims {
    type Object = PersistentVolumeClaim;

    const NAMES: Names = Names {
        plural: "persistentvolumeclaims",
        singular: "persistentvolumeclaim",
        short: &["pvc"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const ANSWERS_DELETED_OBJECT: bool = true;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource {
        name: "status",
        kind: ("", "", "PersistentVolumeClaim"),
        verbs: STATUS_VERBS,
    }];

    fn default(claim: &mut PersistentVolumeClaim) {
        set_default(&mut claim.spec.get_or_insert_default().volume_mode, "Filesystem");
        set_default(&mut claim.status.get_or_insert_default().phase, "Pending");
    }

    fn prepare_for_create(claim: &mut PersistentVolumeClaim) {
        claim.status = None;
        Self::default(claim);
        let spec = claim.spec.get_or_insert_default();
        // Who knows of nothing else wrote other kinds there, and meant nothing by it.
        spec.data_source = spec.data_source.take().filter(is_claim_or_snapshot);
        say_source_twice(spec);
    }

    fn prepare_for_update(claim: &mut PersistentVolumeClaim, old: &PersistentVolumeClaim) {
        claim.status.clone_from(&old.status);
        say_source_twice(claim.spec.get_or_insert_default());
    }

    fn prepare_for_status_update(claim: &mut PersistentVolumeClaim, old: &PersistentVolumeClaim) {
        claim.spec.clone_from(&old.spec);
    }

    fn validate(claim: &PersistentVolumeClaim) -> Vec<FieldError> {
        validate_spec(&claim.spec.clone().unwrap_or_default(), &Path::new("spec"))
    }

    fn validate_update(
        claim: &PersistentVolumeClaim,
        old: &PersistentVolumeClaim,
    ) -> Vec<FieldError> {
        let mut faults = Self::validate(claim);
        let path = Path::new("spec");
        let class = |claim| claim::annotation(claim, claim::BETA_STORAGE_CLASS).to_owned();
        if class(&claim.metadata) != class(&old.metadata) {
            let path = Path::new("metadata").child("annotations").key(claim::BETA_STORAGE_CLASS);
            faults.push(FieldError::invalid(path, class(&claim.metadata), IMMUTABLE));
        }
        let changed = changes(&path, &munge(claim, old), &old.spec.clone().unwrap_or_default());
        if !changed.is_empty() {
            let detail = format!("{REFUSAL}\n{}", changed.join("\n"));
            faults.push(FieldError::forbidden(path.clone(), detail));
        }
        if claim::requested(claim) < claim::requested(old) {
            // A claim whose growth has failed may ask for less again, but not for less than it has.
            let has =
                claim::storage(old.status.as_ref().and_then(|status| status.capacity.as_ref()));
            if claim::requested(claim) <= has {
                let path = path.child("resources").child("requests").child("storage");
                let detail = "field can not be less than status.capacity";
                faults.push(FieldError::forbidden(path, detail));
            }
        }
        let mode = |claim: &PersistentVolumeClaim| {
            claim.spec.as_ref().and_then(|spec| spec.volume_mode.clone())
        };
        if mode(claim) != mode(old) {
            faults.push(FieldError::invalid(Path::new("volumeMode"), mode(claim), IMMUTABLE));
        }
        faults
    }

    fn fields(claim: &PersistentVolumeClaim) -> Vec<(&'static str, String)> {
        vec![("name", claim.metadata.name.clone().unwrap_or_default())]
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Status", "Whether it has its volume."),
            column("Volume", "The volume that it has."),
            column("Capacity", "How much that volume holds."),
            column("Access Modes", "In which ways that volume can be used."),
            column("StorageClass", "The class that its volume comes from."),
            column("VolumeAttributesClass", "The class that its adjustable properties come from."),
            AGE,
            wide("VolumeMode", "Whether it is for files or for a block device."),
        ];
        COLUMNS
    }

    fn row(claim: &PersistentVolumeClaim, now: Timestamp) -> Vec<Value> {
        let spec = claim.spec.clone().unwrap_or_default();
        let status = claim.status.clone().unwrap_or_default();
        let phase = match claim.metadata.deletion_timestamp {
            Some(_) => "Terminating",
            None => text(&status.phase),
        };
        let (capacity, modes) = match text(&spec.volume_name) {
            "" => (String::new(), String::new()),
            _ => (
                claim::storage(status.capacity.as_ref()).to_string(),
                access_modes(status.access_modes.as_deref()),
            ),
        };
        vec![
            print::name(&claim.metadata),
            phase.into(),
            text(&spec.volume_name).into(),
            capacity.into(),
            modes.into(),
            claim::class_of_claim(claim).into(),
            print::or(spec.volume_attributes_class_name.as_deref(), "<unset>").into(),
            print::age(&claim.metadata, now),
            print::or(spec.volume_mode.as_deref(), "<unset>").into(),
        ]
    }
}

/// Upstream: `dataSourceIsPvcOrSnapshot` in `pkg/api/persistentvolumeclaim/util.go`.
fn is_claim_or_snapshot(source: &TypedLocalObjectReference) -> bool {
    match (source.api_group.as_deref().unwrap_or_default(), source.kind.as_str()) {
        ("", kind) => kind == "PersistentVolumeClaim",
        ("snapshot.storage.k8s.io", kind) => kind == "VolumeSnapshot",
        _ => false,
    }
}

/// What a claim's volume is to be made from, in the old field and in the new one.
///
/// Upstream: `NormalizeDataSources`.
fn say_source_twice(spec: &mut PersistentVolumeClaimSpec) {
    match (&spec.data_source, &spec.data_source_ref) {
        (Some(old), None) => {
            spec.data_source_ref = Some(TypedObjectReference {
                api_group: old.api_group.clone(),
                kind: old.kind.clone(),
                name: old.name.clone(),
                namespace: None,
            });
        }
        (None, Some(new)) if text(&new.namespace).is_empty() => {
            spec.data_source = Some(TypedLocalObjectReference {
                api_group: new.api_group.clone(),
                kind: new.kind.clone(),
                name: new.name.clone(),
            });
        }
        _ => {}
    }
}

/// Upstream: `validateDataSource` and `validateDataSourceRef`.
fn validate_source(group: &Option<String>, kind: &str, name: &str, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (field, value) in [("name", name), ("kind", kind)] {
        if value.is_empty() {
            faults.push(FieldError::required(path.child(field), ""));
        }
    }
    match text(group) {
        "" if kind != "PersistentVolumeClaim" => {
            let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            faults.push(FieldError::invalid(path.clone(), kind, detail));
        }
        "" => {}
        group => faults.extend(
            dns1123_subdomain(group)
                .into_iter()
                .map(|detail| FieldError::invalid(path.child("apiGroup"), group, detail)),
        ),
    }
    faults
}

/// What holds for any claim, and for what one is to be made from.
pub(super) fn validate_spec(spec: &PersistentVolumeClaimSpec, path: &Path) -> Vec<FieldError> {
    let at = path.child("accessModes");
    let mut faults = match spec.access_modes.as_deref().unwrap_or_default() {
        [] => vec![FieldError::required(at, "at least 1 access mode is required")],
        modes => validate_access_modes(modes, &at),
    };
    faults.extend(validate_selector(spec.selector.as_ref(), &path.child("selector")));
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let at = path.child("resources").key("storage");
    match requests.and_then(|requests| requests.get("storage")) {
        None => faults.push(FieldError::required(at, "")),
        Some(amount) => faults.extend(validate_positive(amount, &at)),
    }
    faults.extend(validate_class(text(&spec.storage_class_name), &path.child("storageClassName")));
    let modes = &["Block", "Filesystem"];
    faults.extend(one_of(&path.child("volumeMode"), text(&spec.volume_mode), modes));
    if let Some(source) = &spec.data_source {
        let at = path.child("dataSource");
        faults.extend(validate_source(&source.api_group, &source.kind, &source.name, &at));
    }
    if let Some(source) = &spec.data_source_ref {
        let at = path.child("dataSourceRef");
        faults.extend(validate_source(&source.api_group, &source.kind, &source.name, &at));
    }
    if let (Some(old), Some(new)) = (&spec.data_source, &spec.data_source_ref)
        && (&old.api_group, &old.kind, &old.name) != (&new.api_group, &new.kind, &new.name)
    {
        faults.push(FieldError::invalid(
            path.clone(),
            path.child("dataSource").to_string(),
            "must match dataSourceRef",
        ));
    }
    faults
}

/// The new spec with everything that may change put back as it was: the volume is named once, a class is
/// given to who had none, and a bound claim may ask for another size.
fn munge(claim: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> PersistentVolumeClaimSpec {
    let mut spec = claim.spec.clone().unwrap_or_default();
    let old_spec = old.spec.clone().unwrap_or_default();
    if text(&old_spec.volume_name).is_empty() {
        spec.volume_name.clone_from(&old_spec.volume_name);
    }
    let had_none = old_spec.storage_class_name.is_none() && claim::class_of_claim(old).is_empty();
    if had_none {
        spec.storage_class_name = None;
    }
    let amount = old_spec.resources.and_then(|resources| resources.requests);
    let amount = amount.and_then(|mut requests| requests.remove("storage"));
    let requests = spec.resources.as_mut().and_then(|resources| resources.requests.as_mut());
    if let (Some(requests), Some(amount)) = (requests, amount)
        && claim::phase_of_claim(old) == "Bound"
    {
        requests.insert("storage".to_owned(), amount);
    }
    spec.volume_attributes_class_name = old_spec.volume_attributes_class_name;
    spec
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(more: Value) -> PersistentVolumeClaim {
        let mut value = json!({"metadata": {"name": "c", "namespace": "n"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}});
        for (field, part) in more.as_object().unwrap() {
            for (name, part) in part.as_object().unwrap() {
                value[field][name] = part.clone();
            }
        }
        let mut claim = serde_json::from_value(value).unwrap();
        PersistentVolumeClaims::default(&mut claim);
        claim
    }

    #[track_caller]
    fn check(faults: &[FieldError], expect: &[&str]) {
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    fn of_size(size: &str) -> Value {
        json!({"resources": {"requests": {"storage": size}}})
    }

    #[test]
    fn a_claim_says_how_much_and_what_for() {
        check(&PersistentVolumeClaims::validate(&claim(json!({}))), &[]);
        let bad = json!({"spec": {"accessModes": [], "resources": {}, "volumeMode": "Tape"}});
        check(
            &PersistentVolumeClaims::validate(&claim(bad)),
            &[
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources[storage]: Required value",
                "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
            ],
        );
        check(
            &PersistentVolumeClaims::validate(&claim(json!({"spec": of_size("-1")}))),
            &["spec.resources[storage]: Invalid value: \"-1\": must be greater than zero"],
        );
    }

    #[test]
    fn a_source_is_said_in_both_fields() {
        let source = json!({"kind": "PersistentVolumeClaim", "name": "old"});
        for field in ["dataSource", "dataSourceRef"] {
            let mut claim = claim(json!({"spec": {field: source}}));
            PersistentVolumeClaims::prepare_for_create(&mut claim);
            let spec = claim.spec.clone().unwrap();
            assert_eq!(spec.data_source.unwrap().name, "old");
            assert_eq!(spec.data_source_ref.unwrap().name, "old");
            check(&PersistentVolumeClaims::validate(&claim), &[]);
        }
        let other = json!({"kind": "Bucket", "name": "b", "apiGroup": "example.com"});
        let mut foreign = claim(json!({"spec": {"dataSource": other}}));
        PersistentVolumeClaims::prepare_for_create(&mut foreign);
        assert_eq!(foreign.spec.unwrap().data_source, None);
        let pod =
            json!({"spec": {"dataSourceRef": {"kind": "Pod", "name": ""}, "dataSource": source}});
        check(
            &PersistentVolumeClaims::validate(&claim(pod)),
            &[
                "spec.dataSourceRef.name: Required value",
                "spec.dataSourceRef: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
                "spec: Invalid value: \"spec.dataSource\": must match dataSourceRef",
            ],
        );
    }

    #[test]
    fn only_a_bound_claim_may_change_and_only_in_size() {
        let pending = claim(json!({}));
        let larger = claim(json!({"spec": of_size("6Gi")}));
        check(
            &PersistentVolumeClaims::validate_update(&larger, &pending),
            &[
                "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n-\tspec.resources.requests.storage: \"5Gi\"\n+\tspec.resources.requests.storage: \"6Gi\"",
            ],
        );
        let status = json!({"phase": "Bound", "capacity": {"storage": "5Gi"}});
        let bound = claim(json!({"spec": {"volumeName": "v"}, "status": status}));
        let sized = |size: &str| {
            let mut spec = of_size(size);
            spec["volumeName"] = json!("v");
            claim(json!({"spec": spec, "status": status}))
        };
        check(&PersistentVolumeClaims::validate_update(&sized("6Gi"), &bound), &[]);
        check(
            &PersistentVolumeClaims::validate_update(&sized("1Gi"), &bound),
            &[
                "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
            ],
        );
        // One that could not grow as far as it wished.
        check(&PersistentVolumeClaims::validate_update(&sized("6Gi"), &sized("9Gi")), &[]);
    }

    #[test]
    fn a_volume_and_a_class_are_given_once() {
        let old = claim(json!({}));
        let given = json!({"spec": {"volumeName": "v", "storageClassName": "standard"}});
        let given = claim(given);
        check(&PersistentVolumeClaims::validate_update(&given, &old), &[]);
        let faults = PersistentVolumeClaims::validate_update(&old, &given);
        let lines: Vec<_> = faults[0].detail.lines().skip(1).collect();
        assert_eq!(lines, ["-\tspec.storageClassName: \"standard\"", "-\tspec.volumeName: \"v\""]);
    }

    #[test]
    fn what_a_claim_has_is_shown_once_it_has_it() {
        let row = |claim| PersistentVolumeClaims::row(&claim, Timestamp::UNIX_EPOCH);
        let pending = row(claim(json!({"spec": {"storageClassName": "slow"}})));
        let expect = ["c", "Pending", "", "", "", "slow", "<unset>", "<unknown>", "Filesystem"];
        assert_eq!(pending, expect);
        let bound = row(claim(json!({
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"volumeName": "v"},
            "status": {"phase": "Bound", "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"]},
        })));
        assert_eq!(bound[1..5], ["Terminating", "v", "10Gi", "RWO,RWX"]);
    }
}
