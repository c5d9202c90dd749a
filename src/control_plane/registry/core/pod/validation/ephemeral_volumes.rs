//! Volumes that get claims of their own: the template, and what the claims will be called.
//!
//! Upstream: `validateEphemeralVolumeSource`, `ValidateTemplateObjectMeta`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{EphemeralVolumeSource, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::fields::{FieldError, Path};
use crate::api::meta;
use crate::control_plane::registry::core::persistent_volume_claim::validate_spec;

pub(super) fn validate(source: &EphemeralVolumeSource, path: &Path) -> Vec<FieldError> {
    let path = path.child("volumeClaimTemplate");
    let Some(template) = &source.volume_claim_template else {
        return vec![FieldError::required(path, "")];
    };
    let meta = template.metadata.as_ref();
    let mut faults =
        meta.map_or_else(Vec::new, |meta| validate_meta(meta, &path.child("metadata")));
    faults.extend(validate_spec(&template.spec, &path.child("spec")));
    faults
}

/// Labels and annotations, and nothing else.
fn validate_meta(meta: &ObjectMeta, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(annotations) = &meta.annotations {
        faults.extend(meta::validate_annotations(annotations, &path.child("annotations")));
    }
    if let Some(labels) = &meta.labels {
        faults.extend(meta::validate_labels(labels, &path.child("labels")));
    }
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let others = [
        ("name", given(&meta.name)),
        ("generateName", given(&meta.generate_name)),
        ("namespace", given(&meta.namespace)),
        ("selfLink", given(&meta.self_link)),
        // As upstream makes it of the field's name in Go.
        ("uID", given(&meta.uid)),
        ("resourceVersion", given(&meta.resource_version)),
        ("generation", meta.generation.is_some_and(|generation| generation != 0)),
        ("creationTimestamp", meta.creation_timestamp.is_some()),
        ("deletionTimestamp", meta.deletion_timestamp.is_some()),
        ("deletionGracePeriodSeconds", meta.deletion_grace_period_seconds.is_some()),
        ("ownerReferences", meta.owner_references.is_some()),
        ("finalizers", meta.finalizers.is_some()),
        ("managedFields", meta.managed_fields.is_some()),
    ];
    let others = others.into_iter().filter(|(_, given)| *given);
    faults.extend(others.map(|(name, _)| FieldError::forbidden(path.child(name), "cannot be set")));
    faults
}

/// What claims are called that are made for the Pod of this name; nobody else's volume may mean them.
pub(super) fn validate_names(pod: &str, spec: &PodSpec, path: &Path) -> Vec<FieldError> {
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    let name_of = |volume: &str| format!("{pod}-{volume}");
    let ephemeral = volumes.iter().filter(|volume| volume.ephemeral.is_some());
    let made: BTreeSet<String> = ephemeral.map(|volume| name_of(&volume.name)).collect();
    let mut faults = Vec::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.child("volumes").index(index);
        let (name, source) = (volume.name.as_str(), &volume.persistent_volume_claim);
        if volume.ephemeral.is_some() && !pod.is_empty() && !name.is_empty() {
            let claim = name_of(name);
            faults.extend(meta::dns1123_subdomain(&claim).into_iter().map(|complaint| {
                let detail = format!("PVC name {claim:?}: {complaint}");
                FieldError::invalid(path.child("name"), name, detail)
            }));
        }
        let claim = source.as_ref().map(|source| source.claim_name.as_str());
        if let Some(claim) = claim.filter(|claim| made.contains(*claim)) {
            let path = path.child("persistentVolumeClaim").child("claimName");
            let detail = "must not reference a PVC that gets created for an ephemeral volume";
            faults.push(FieldError::invalid(path, claim, detail));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(faults: &[FieldError], expect: &[&str]) {
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    fn of(template: &Value) -> Vec<FieldError> {
        let source = serde_json::from_value(json!({"volumeClaimTemplate": template})).unwrap();
        validate(&source, &Path::new("ephemeral"))
    }

    #[test]
    fn a_template_is_a_claims_spec_with_labels_and_annotations() {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem",
            "resources": {"requests": {"storage": "1Gi"}}});
        check(&of(&json!({"metadata": {"labels": {"a": "b"}}, "spec": spec})), &[]);
        check(
            &of(&json!({"metadata": {"name": "mine", "labels": {"a": "-"}}, "spec": spec}))[1..],
            &["ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set"],
        );
        check(
            &of(&json!({"spec": {"volumeMode": "Filesystem"}})),
            &[
                "ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required",
                "ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
            ],
        );
        check(
            &validate(&EphemeralVolumeSource::default(), &Path::new("ephemeral")),
            &["ephemeral.volumeClaimTemplate: Required value"],
        );
    }

    #[test]
    fn the_claims_name_is_the_pods_alone() {
        let of = |pod: &str| {
            let spec = json!({"containers": [], "volumes": [
                {"name": "v", "ephemeral": {}},
                {"name": "w", "persistentVolumeClaim": {"claimName": "p-v"}},
            ]});
            validate_names(pod, &serde_json::from_value(spec).unwrap(), &Path::new("spec"))
        };
        check(&of("q"), &[]);
        check(
            &of("p"),
            &[
                "spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"p-v\": must not reference a PVC that gets created for an ephemeral volume",
            ],
        );
        let long = "p".repeat(252);
        let expect = format!(
            "spec.volumes[0].name: Invalid value: \"v\": PVC name \"{long}-v\": must be no more than 253 characters"
        );
        check(&of(&long), &[&expect]);
    }
}
