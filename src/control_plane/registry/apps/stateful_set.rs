//! StatefulSets: Pods with names, places in an order, and volumes of their own.
//!
//! Upstream: `pkg/registry/apps/statefulset/strategy.go`, `pkg/apis/apps/v1/defaults.go`,
//! `pkg/apis/apps/validation/validation.go`. Two rules are stricter than v1.33's and as later versions
//! have them: the Pod template is checked whole, with the volumes of its claims, when it comes and not
//! first when a Pod is made of it.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetSpec, StatefulSetStatus, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::workload::{self, Counts, not_negative};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::autoscaling::SCALE;
use crate::control_plane::registry::core::PersistentVolumeClaims;
use crate::control_plane::registry::core::pod::template::{self, CONTAINERS, IMAGES};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::rules::{set_default, text};
use crate::control_plane::registry::{
    Column, Names, Resource, STATUS_VERBS, Scope, Size, Subresource,
};

const ROLLING_UPDATE: &str = "RollingUpdate";
const ON_DELETE: &str = "OnDelete";
const RETAIN: &str = "Retain";
const DELETE: &str = "Delete";

const REFUSAL: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                       'template', 'updateStrategy', 'revisionHistoryLimit', \
                       'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

#[derive(Debug)]
pub(crate) struct StatefulSets;

impl Resource for StatefulSets {
    type Object = StatefulSet;

    const NAMES: Names = Names {
        plural: "statefulsets",
        singular: "statefulset",
        short: &["sts"],
        categories: &["all"],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] = &[
        SCALE,
        Subresource { name: "status", kind: ("", "", "StatefulSet"), verbs: STATUS_VERBS },
    ];
    const GENERATION: bool = true;

    fn default(set: &mut StatefulSet) {
        let spec = set.spec.get_or_insert_default();
        set_default(&mut spec.pod_management_policy, "OrderedReady");
        default_strategy(spec.update_strategy.get_or_insert_default());
        let policy = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
        set_default(&mut policy.when_deleted, RETAIN);
        set_default(&mut policy.when_scaled, RETAIN);
        spec.replicas.get_or_insert(1);
        spec.revision_history_limit.get_or_insert(10);
        template::default(&mut spec.template);
        for claim in spec.volume_claim_templates.iter_mut().flatten() {
            PersistentVolumeClaims::default(claim);
        }
        set.status.get_or_insert_default().available_replicas.get_or_insert(0);
    }

    fn prepare_for_create(set: &mut StatefulSet) {
        set.status = Some(StatefulSetStatus::default());
        drop_max_unavailable(set);
    }

    fn prepare_for_update(set: &mut StatefulSet, old: &StatefulSet) {
        set.status.clone_from(&old.status);
        drop_max_unavailable(set);
    }

    fn prepare_for_status_update(set: &mut StatefulSet, old: &StatefulSet) {
        set.spec.clone_from(&old.spec);
    }

    /// Its Pods' host names begin with it.
    fn validate_name(name: &str) -> Vec<String> {
        meta::dns1123_label(name)
    }

    fn validate(set: &StatefulSet) -> Vec<FieldError> {
        let Some(spec) = &set.spec else { return Vec::new() };
        let mut faults = validate_spec(spec);
        faults.extend(validate_service_name(spec));
        faults
    }

    fn validate_update(set: &StatefulSet, old: &StatefulSet) -> Vec<FieldError> {
        let (Some(spec), Some(old)) = (&set.spec, &old.spec) else { return Vec::new() };
        let mut faults = validate_spec(spec);
        if fixed_part(spec) != fixed_part(old) {
            faults.push(FieldError::forbidden(Path::new("spec"), REFUSAL));
        }
        faults
    }

    fn validate_status_update(set: &StatefulSet, old: &StatefulSet) -> Vec<FieldError> {
        let Some(status) = &set.status else { return Vec::new() };
        let path = Path::new("status");
        let counts = Counts {
            replicas: status.replicas,
            parts: vec![
                ("currentReplicas", status.current_replicas),
                ("updatedReplicas", status.updated_replicas),
            ],
            ready: status.ready_replicas,
            available: status.available_replicas,
        };
        let mut faults = counts.validate(&path);
        faults.extend(not_negative(path.child("observedGeneration"), status.observed_generation));
        let before = old.status.as_ref().and_then(|status| status.collision_count);
        faults.extend(workload::validate_collisions(status.collision_count, before, &path));
        faults
    }

    fn warnings(set: &StatefulSet) -> Vec<String> {
        let Some(spec) = &set.spec else { return Vec::new() };
        let path = Path::new("spec").child("template");
        let mut warnings = template::warnings(&spec.template, &path);
        if spec.revision_history_limit.is_some_and(|limit| limit < 0) {
            warnings.push(
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; a \
                 value >= 0 is recommended"
                    .to_owned(),
            );
        }
        warnings
    }

    fn size(set: &StatefulSet) -> Option<Size> {
        Some(Size {
            wanted: set.spec.as_ref()?.replicas.unwrap_or(0),
            observed: set.status.as_ref().map_or(0, |status| status.replicas),
            selector: selector(set).map(workload::selector_text),
        })
    }

    fn resize(set: &mut StatefulSet, replicas: i32) {
        set.spec.get_or_insert_default().replicas = Some(replicas);
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Ready", "How many Pods are ready, of how many asked for."),
            AGE,
            CONTAINERS,
            IMAGES,
        ];
        COLUMNS
    }

    fn row(set: &StatefulSet, now: Timestamp) -> Vec<Value> {
        let spec = set.spec.as_ref();
        let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(0);
        let ready = set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        let [names, images] = template::cells(spec.map(|spec| &spec.template));
        vec![
            print::name(&set.metadata),
            format!("{ready}/{wanted}").into(),
            print::age(&set.metadata, now),
            names,
            images,
        ]
    }
}

fn selector(set: &StatefulSet) -> Option<&LabelSelector> {
    set.spec.as_ref().map(|spec| &spec.selector)
}

fn default_strategy(strategy: &mut StatefulSetUpdateStrategy) {
    set_default(&mut strategy.type_, ROLLING_UPDATE);
    if strategy.type_.as_deref() == Some(ROLLING_UPDATE) {
        strategy.rolling_update.get_or_insert_default().partition.get_or_insert(0);
    }
}

/// Upstream's feature `MaxUnavailableStatefulSet` is off in v1.33: the field is not kept.
fn drop_max_unavailable(set: &mut StatefulSet) {
    let strategy = set.spec.as_mut().and_then(|spec| spec.update_strategy.as_mut());
    if let Some(update) = strategy.and_then(|strategy| strategy.rolling_update.as_mut()) {
        update.max_unavailable = None;
    }
}

/// What no update changes.
fn fixed_part(spec: &StatefulSetSpec) -> StatefulSetSpec {
    StatefulSetSpec {
        replicas: None,
        ordinals: None,
        template: PodTemplateSpec::default(),
        update_strategy: None,
        revision_history_limit: None,
        persistent_volume_claim_retention_policy: None,
        min_ready_seconds: None,
        ..spec.clone()
    }
}

fn validate_spec(spec: &StatefulSetSpec) -> Vec<FieldError> {
    let path = Path::new("spec");
    let mut faults = Vec::new();
    let policy = text(&spec.pod_management_policy);
    if !matches!(policy, "OrderedReady" | "Parallel") {
        let detail = "must be 'OrderedReady' or 'Parallel'";
        faults.push(FieldError::invalid(path.child("podManagementPolicy"), policy, detail));
    }
    if let Some(strategy) = &spec.update_strategy {
        faults.extend(validate_strategy(strategy, &path.child("updateStrategy")));
    }
    if let Some(policy) = &spec.persistent_volume_claim_retention_policy {
        let path = path.child("persistentVolumeClaimRetentionPolicy");
        let words = [("whenDeleted", &policy.when_deleted), ("whenScaled", &policy.when_scaled)];
        for (field, word) in
            words.iter().filter(|(_, word)| ![RETAIN, DELETE].contains(&text(word)))
        {
            let supported = [DELETE, RETAIN];
            faults.push(FieldError::not_supported(path.child(*field), text(word), &supported));
        }
    }
    faults.extend(not_negative(path.child("replicas"), spec.replicas));
    faults.extend(not_negative(path.child("minReadySeconds"), spec.min_ready_seconds));
    let start = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start);
    faults.extend(not_negative(path.child("ordinals").child("start"), start));
    let template = with_claims(spec);
    faults.extend(workload::validate_selection(&spec.selector, &template, &path));
    faults.extend(workload::validate_endless(&template, &path, "StatefulSet"));
    faults.extend(validate_claims(spec, &path));
    faults
}

fn validate_strategy(strategy: &StatefulSetUpdateStrategy, path: &Path) -> Vec<FieldError> {
    match (text(&strategy.type_), &strategy.rolling_update) {
        (ROLLING_UPDATE, Some(update)) => {
            let path = path.child("rollingUpdate").child("partition");
            not_negative(path, update.partition).into_iter().collect()
        }
        (ROLLING_UPDATE, None) | (ON_DELETE, None) => Vec::new(),
        (ON_DELETE, Some(update)) => {
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            vec![FieldError::invalid(path.child("rollingUpdate"), json!(update), detail)]
        }
        _ => {
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            vec![FieldError::invalid(path.clone(), json!(strategy), detail)]
        }
    }
}

fn validate_service_name(spec: &StatefulSetSpec) -> Vec<FieldError> {
    match text(&spec.service_name) {
        "" => Vec::new(),
        name => {
            let path = Path::new("spec").child("serviceName");
            invalid_each(&path, name, meta::dns1123_label(name))
        }
    }
}

/// The template with the volumes that its Pods will have.
fn with_claims(spec: &StatefulSetSpec) -> PodTemplateSpec {
    let mut template = spec.template.clone();
    let claims = spec.volume_claim_templates.as_deref().unwrap_or_default();
    if claims.is_empty() {
        return template;
    }
    let volumes = template.spec.get_or_insert_default().volumes.get_or_insert_default();
    let names: Vec<&str> = claims.iter().map(|claim| text(&claim.metadata.name)).collect();
    volumes.retain(|volume| !names.contains(&volume.name.as_str()));
    volumes.extend(names.iter().map(|name| Volume {
        name: (*name).to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: (*name).to_owned(),
            read_only: None,
        }),
        ..Volume::default()
    }));
    template
}

fn validate_claims(spec: &StatefulSetSpec, path: &Path) -> Vec<FieldError> {
    let claims = spec.volume_claim_templates.iter().flatten().enumerate();
    let path = path.child("volumeClaimTemplates");
    let faults = claims.flat_map(|(index, claim)| {
        let path = path.index(index);
        let own = PersistentVolumeClaims::validate(claim).into_iter();
        own.map(move |fault| FieldError { path: path.child(fault.path.to_string()), ..fault })
    });
    faults.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(spec: Value) -> StatefulSet {
        let whole = json!({"metadata": {"name": "s"}, "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "serviceName": "s",
            "template": {"metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "i",
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}],
        }});
        let whole = crate::api::patch::merge::apply(whole, &json!({"spec": spec})).unwrap();
        let mut set = serde_json::from_value(whole).unwrap();
        StatefulSets::default(&mut set);
        set
    }

    #[track_caller]
    fn check(spec: Value, expect: &[&str]) {
        let faults = StatefulSets::validate(&set(spec));
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn left_out_fields_are_filled_in() {
        let mut set = set(json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}}));
        StatefulSets::prepare_for_create(&mut set);
        let spec = serde_json::to_value(&set.spec).unwrap();
        assert_eq!(spec["podManagementPolicy"], "OrderedReady");
        assert_eq!((&spec["replicas"], &spec["revisionHistoryLimit"]), (&json!(1), &json!(10)));
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
        assert_eq!(spec["updateStrategy"], strategy);
        let policy = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
        assert_eq!(spec["persistentVolumeClaimRetentionPolicy"], policy);
        assert_eq!(spec["volumeClaimTemplates"][0]["spec"]["volumeMode"], "Filesystem");
    }

    #[test]
    fn a_mount_may_be_of_a_claim_and_faults_are_told_with_their_place() {
        check(json!({}), &[]);
        check(
            json!({"podManagementPolicy": "Some", "updateStrategy": {"type": "Other"},
                "ordinals": {"start": -1}, "serviceName": "A", "replicas": -1,
                "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Never"}}),
            &[
                "spec.podManagementPolicy: Invalid value: \"Some\": must be 'OrderedReady' or 'Parallel'",
                "spec.updateStrategy: Invalid value: {\"type\":\"Other\"}: must be 'RollingUpdate' or 'OnDelete'",
                "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"Never\": supported values: \"Delete\", \"Retain\"",
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
                "spec.serviceName: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            ],
        );
        check(
            json!({"volumeClaimTemplates": [{"metadata": {"name": "other"}, "spec": {
                "accessModes": ["ReadWriteOnce"]}}]}),
            &[
                "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
                "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
            ],
        );
    }

    #[test]
    fn only_some_fields_change() {
        let old = set(json!({}));
        let allowed = set(json!({"replicas": 3, "minReadySeconds": 1, "ordinals": {"start": 2},
            "updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}));
        assert_eq!(StatefulSets::validate_update(&allowed, &old), []);
        for spec in [
            json!({"serviceName": "t"}),
            json!({"podManagementPolicy": "Parallel"}),
            json!({"volumeClaimTemplates": null,
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}),
        ] {
            let faults = StatefulSets::validate_update(&set(spec), &old);
            assert_eq!(faults.len(), 1);
            assert_eq!(faults[0].to_string(), format!("spec: Forbidden: {REFUSAL}"));
        }
    }
}
