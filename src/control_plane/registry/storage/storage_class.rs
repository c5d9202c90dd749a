//! StorageClasses: who makes volumes, and what becomes of them.
//!
//! Upstream: `pkg/apis/storage/validation/validation.go`, `pkg/apis/storage/v1/defaults.go`.

use jiff::Timestamp;
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, IMMUTABLE, invalid_each};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::rules::{one_of, set_default, text};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

const RECLAIM_POLICIES: &[&str] = &["Delete", "Retain"];
const BINDING_MODES: &[&str] = &["Immediate", "WaitForFirstConsumer"];
/// Upstream: `maxProvisionerParameterLen`.
const PARAMETERS_MAX: usize = 512;
/// Upstream: `maxProvisionerParameterSize`.
const PARAMETERS_BYTES_MAX: usize = 256 * 1024;
/// Marks the class that claims get which name none; the second is what it was called before.
const DEFAULT_CLASS: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

#[derive(Debug)]
pub(crate) struct StorageClasses;

impl Resource for StorageClasses {
    type Object = StorageClass;

    const NAMES: Names = Names {
        plural: "storageclasses",
        singular: "storageclass",
        short: &["sc"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Cluster;

    fn default(class: &mut StorageClass) {
        set_default(&mut class.reclaim_policy, "Delete");
        set_default(&mut class.volume_binding_mode, "Immediate");
    }

    fn validate(class: &StorageClass) -> Vec<FieldError> {
        let mut faults = validate_provisioner(&class.provisioner);
        faults.extend(validate_parameters(class));
        let path = Path::new("reclaimPolicy");
        faults.extend(one_of(&path, text(&class.reclaim_policy), RECLAIM_POLICIES));
        let path = Path::new("volumeBindingMode");
        faults.extend(one_of(&path, text(&class.volume_binding_mode), BINDING_MODES));
        faults
    }

    fn validate_update(class: &StorageClass, old: &StorageClass) -> Vec<FieldError> {
        let parameters = |class: &StorageClass| class.parameters.clone().unwrap_or_default();
        let kept = [
            ("parameters", parameters(class) == parameters(old)),
            ("provisioner", class.provisioner == old.provisioner),
            ("reclaimPolicy", class.reclaim_policy == old.reclaim_policy),
        ];
        let changed = kept.into_iter().filter(|(_, kept)| !kept).map(|(field, _)| {
            FieldError::forbidden(Path::new(field), format!("updates to {field} are forbidden."))
        });
        let mut faults: Vec<FieldError> = changed.collect();
        if class.volume_binding_mode != old.volume_binding_mode {
            let mode = class.volume_binding_mode.clone();
            faults.push(FieldError::invalid(Path::new("volumeBindingMode"), mode, IMMUTABLE));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Provisioner", "Who makes the volumes."),
            column("ReclaimPolicy", "What becomes of a volume when its claim is gone."),
            column("VolumeBindingMode", "Whether a claim waits for the first Pod that uses it."),
            column("AllowVolumeExpansion", "Whether a claim may grow."),
            AGE,
        ];
        COLUMNS
    }

    fn row(class: &StorageClass, now: Timestamp) -> Vec<Value> {
        let mut name = class.metadata.name.clone().unwrap_or_default();
        let annotations = class.metadata.annotations.as_ref();
        let is_default = DEFAULT_CLASS.iter().any(|mark| {
            annotations.and_then(|all| all.get(*mark)).is_some_and(|value| value == "true")
        });
        if is_default {
            name.push_str(" (default)");
        }
        vec![
            name.into(),
            class.provisioner.as_str().into(),
            print::or(class.reclaim_policy.as_deref(), "Delete").into(),
            print::or(class.volume_binding_mode.as_deref(), "Immediate").into(),
            class.allow_volume_expansion.unwrap_or(false).into(),
            print::age(&class.metadata, now),
        ]
    }
}

fn validate_provisioner(provisioner: &str) -> Vec<FieldError> {
    let path = Path::new("provisioner");
    match provisioner {
        "" => vec![FieldError::required(path, "")],
        name => invalid_each(&path, name, meta::qualified_name(&name.to_lowercase())),
    }
}

fn validate_parameters(class: &StorageClass) -> Vec<FieldError> {
    let path = Path::new("parameters");
    let parameters = class.parameters.clone().unwrap_or_default();
    if parameters.len() > PARAMETERS_MAX {
        return vec![FieldError::too_long(path, PARAMETERS_MAX)];
    }
    let bytes: usize = parameters.iter().map(|(key, value)| key.len() + value.len()).sum();
    let mut faults = Vec::new();
    if parameters.contains_key("") {
        faults.push(FieldError::invalid(path.clone(), "", "field can not be empty."));
    }
    if bytes > PARAMETERS_BYTES_MAX {
        faults.push(FieldError::too_long(path, PARAMETERS_BYTES_MAX));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(value: Value) -> StorageClass {
        let mut class = serde_json::from_value(value).unwrap();
        StorageClasses::default(&mut class);
        class
    }

    #[track_caller]
    fn check(faults: &[FieldError], expect: &[&str]) {
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_class_says_who_makes_volumes_and_keeps_its_word() {
        let disk = class(json!({"provisioner": "example.org/disk", "parameters": {"type": "ssd"}}));
        check(&StorageClasses::validate(&disk), &[]);
        let bad = class(json!({"provisioner": "", "reclaimPolicy": "Recycle",
            "volumeBindingMode": "Never", "parameters": {"": "x"}}));
        check(
            &StorageClasses::validate(&bad),
            &[
                "provisioner: Required value",
                "parameters: Invalid value: \"\": field can not be empty.",
                "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
                "volumeBindingMode: Unsupported value: \"Never\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
            ],
        );
        let other = class(json!({"provisioner": "example.org/tape", "reclaimPolicy": "Retain",
            "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true}));
        check(
            &StorageClasses::validate_update(&other, &disk),
            &[
                "parameters: Forbidden: updates to parameters are forbidden.",
                "provisioner: Forbidden: updates to provisioner are forbidden.",
                "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
                "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
            ],
        );
    }

    #[test]
    fn the_default_class_is_marked() {
        let class = class(
            json!({"metadata": {"name": "standard", "annotations": {DEFAULT_CLASS[0]: "true"}},
            "provisioner": "a.b/c"}),
        );
        let row = StorageClasses::row(&class, Timestamp::UNIX_EPOCH);
        assert_eq!(
            row[..5],
            [
                json!("standard (default)"),
                json!("a.b/c"),
                json!("Delete"),
                json!("Immediate"),
                json!(false)
            ]
        );
    }
}
