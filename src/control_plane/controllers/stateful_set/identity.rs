//! Who is who in a StatefulSet: ordinals, names, and what each Pod and its claims are made of.
//!
//! Upstream: `pkg/controller/statefulset/stateful_set_utils.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::control_plane::controllers::history;
use crate::control_plane::controllers::pod_writes;
use crate::control_plane::controllers::pods::label;

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// A name as a set gives it: the set's own, and the ordinal.
pub(super) fn parent_and_ordinal(name: &str) -> Option<(&str, i32)> {
    let (parent, digits) = name.rsplit_once('-')?;
    let numeric = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    Some((parent, digits.parse().ok().filter(|_| numeric)?))
}

pub(super) fn name(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

/// Whether the Pod's name is one that the set gives.
pub(super) fn is_member(set: &StatefulSet, pod: &Pod) -> bool {
    let parent = parent_and_ordinal(name(&pod.metadata)).map(|(parent, _)| parent);
    parent == Some(name(&set.metadata))
}

/// The ordinal of a member.
pub(super) fn ordinal(pod: &Pod) -> i32 {
    parent_and_ordinal(name(&pod.metadata)).map_or(-1, |(_, ordinal)| ordinal)
}

/// The ordinals that there shall be.
pub(super) fn ordinals(spec: &StatefulSetSpec) -> std::ops::Range<i32> {
    let start = start(spec);
    start..start.saturating_add(spec.replicas.unwrap_or(1))
}

pub(super) fn start(spec: &StatefulSetSpec) -> i32 {
    spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0)
}

/// Ordinals below it stay as they are in a rolling update.
pub(super) fn partition(spec: &StatefulSetSpec) -> i32 {
    let strategy = spec.update_strategy.as_ref();
    let update = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    update.and_then(|update| update.partition).unwrap_or(0)
}

pub(super) fn revision(pod: &Pod) -> &str {
    label(pod, history::POD_LABEL)
}

/// The Pod of that ordinal, of the revision of that name.
pub(super) fn new_pod(
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    (revision, template): (&str, &PodTemplateSpec),
    ordinal: i32,
) -> Pod {
    let mut pod = pod_writes::from_template(set, template);
    let name = format!("{}-{ordinal}", name(&set.metadata));
    pod.metadata.generate_name = None;
    pod.metadata.name = Some(name.clone());
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.extend(own_labels(&name, ordinal));
    labels.insert(history::POD_LABEL.to_owned(), revision.to_owned());
    let of_pod = pod.spec.get_or_insert_default();
    of_pod.hostname = Some(name);
    of_pod.subdomain = spec.service_name.clone().filter(|name| !name.is_empty());
    let claims: Vec<(String, String)> = claim_names(set, spec, ordinal).collect();
    if !claims.is_empty() {
        let volumes = of_pod.volumes.get_or_insert_default();
        volumes.retain(|volume| !claims.iter().any(|(name, _)| *name == volume.name));
        volumes.splice(0..0, claims.into_iter().map(volume));
    }
    pod
}

fn own_labels(name: &str, ordinal: i32) -> [(String, String); 2] {
    [(POD_NAME.to_owned(), name.to_owned()), (POD_INDEX.to_owned(), ordinal.to_string())]
}

fn volume((name, claim_name): (String, String)) -> Volume {
    let source = PersistentVolumeClaimVolumeSource { claim_name, read_only: None };
    Volume { name, persistent_volume_claim: Some(source), ..Volume::default() }
}

/// The labels that a member lacks, such as one that was adopted.
pub(super) fn missing_labels(pod: &Pod) -> BTreeMap<String, String> {
    let own = own_labels(name(&pod.metadata), ordinal(pod)).into_iter();
    own.filter(|(key, value)| label(pod, key) != value).collect()
}

/// For each claim template, its name and that of the claim of this ordinal.
pub(super) fn claim_names(
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    ordinal: i32,
) -> impl Iterator<Item = (String, String)> {
    templates(spec).map(move |template| {
        let of = name(&template.metadata);
        (of.to_owned(), format!("{of}-{}-{ordinal}", name(&set.metadata)))
    })
}

fn templates(spec: &StatefulSetSpec) -> impl Iterator<Item = &PersistentVolumeClaim> {
    spec.volume_claim_templates.iter().flatten()
}

/// The claims of an ordinal, as they are made.
pub(super) fn claims(
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    ordinal: i32,
) -> Vec<PersistentVolumeClaim> {
    let named = templates(spec).zip(claim_names(set, spec, ordinal));
    let claim = |(template, (_, name)): (&PersistentVolumeClaim, (String, String))| {
        let mut claim = template.clone();
        claim.metadata.name = Some(name);
        claim.metadata.namespace.clone_from(&set.metadata.namespace);
        let labels = spec.selector.match_labels.clone().unwrap_or_default();
        claim.metadata.labels.get_or_insert_default().extend(labels);
        claim.status = None;
        claim
    };
    named.map(claim).collect()
}

/// Whether a claim of that name could be one of the set's.
pub(super) fn may_claim(set: &StatefulSet, claim: &str) -> bool {
    let Some((rest, _)) = parent_and_ordinal(claim) else { return false };
    let of = rest.strip_suffix(name(&set.metadata)).and_then(|rest| rest.strip_suffix('-'));
    let mut own = set.spec.iter().flat_map(templates);
    of.is_some_and(|of| own.any(|template| name(&template.metadata) == of))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set() -> StatefulSet {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "n", "uid": "u"},
            "spec": {"serviceName": "svc", "replicas": 2, "ordinals": {"start": 3},
                "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}}, "spec": {
                    "containers": [], "volumes": [{"name": "data", "emptyDir": {}},
                        {"name": "tmp", "emptyDir": {}}]}},
                "volumeClaimTemplates": [{"metadata": {"name": "data", "labels": {"x": "y"}}}]},
        }))
        .unwrap()
    }

    #[test]
    fn ordinals_are_read_off_names() {
        assert_eq!(parent_and_ordinal("web-0"), Some(("web", 0)));
        assert_eq!(parent_and_ordinal("web-1-12"), Some(("web-1", 12)));
        for name in ["web", "web-", "web-x", "web-+1", "web-99999999999"] {
            assert_eq!(parent_and_ordinal(name), None, "{name}");
        }
        let set = set();
        let spec = set.spec.as_ref().unwrap();
        assert_eq!(ordinals(spec).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_pod_has_its_name_everywhere() {
        let set = set();
        let spec = set.spec.as_ref().unwrap();
        let pod = new_pod(&set, spec, ("web-abc", &spec.template), 3);
        assert!(is_member(&set, &pod) && ordinal(&pod) == 3);
        let value = serde_json::to_value(&pod).unwrap();
        assert_eq!(value["metadata"]["name"], "web-3");
        assert_eq!(value["metadata"].get("generateName"), None);
        assert_eq!(
            value["metadata"]["labels"],
            json!({"app": "a", POD_NAME: "web-3", POD_INDEX: "3",
                "controller-revision-hash": "web-abc"})
        );
        let of_pod = &value["spec"];
        assert_eq!((&of_pod["hostname"], &of_pod["subdomain"]), (&json!("web-3"), &json!("svc")));
        assert_eq!(
            of_pod["volumes"],
            json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-3"}},
                {"name": "tmp", "emptyDir": {}}])
        );
        assert_eq!(missing_labels(&pod), BTreeMap::new());
    }

    #[test]
    fn claims_are_called_after_template_set_and_ordinal() {
        let set = set();
        let claims = claims(&set, set.spec.as_ref().unwrap(), 3);
        let value = serde_json::to_value(&claims[0]).unwrap();
        assert_eq!(
            value["metadata"],
            json!({"name": "data-web-3", "namespace": "n", "labels": {"app": "a", "x": "y"}})
        );
        assert!(may_claim(&set, "data-web-3") && may_claim(&set, "data-web-17"));
        assert!(!may_claim(&set, "other-web-3") && !may_claim(&set, "data-web-x"));
        assert!(!may_claim(&set, "data-my-web-3"));
    }
}
