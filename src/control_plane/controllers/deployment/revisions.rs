//! Which ReplicaSet is of the current template, what is noted on it, and which old ones are forgotten.
//!
//! Upstream: `pkg/controller/deployment/util/deployment_util.go`, `sync.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::sizes::{self, Leeway, size, wanted};
use crate::control_plane::controllers::history::hash;
use crate::control_plane::controllers::ownership::managed_by;

/// The label that tells the Pods of one ReplicaSet of a Deployment from those of another.
pub(super) const HASH_LABEL: &str = "pod-template-hash";
/// Counts rollouts: on the Deployment, and on each of its ReplicaSets.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Revisions that a ReplicaSet had before it was rolled back to.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// How large the Deployment was when the ReplicaSet got its size …
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// … and how large it could become.
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// What a Deployment does not hand down to its ReplicaSets.
const NOT_HANDED_DOWN: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// Bound: what is kept of a revision's history, in bytes; upstream's `maxRevHistoryLengthInChars`.
const HISTORY_BYTES_MAX: usize = 2_000;

/// Bound of a name: a DNS subdomain.
const NAME_BYTES_MAX: usize = 253;

pub(super) fn annotation<'a>(set: &'a ReplicaSet, key: &str) -> Option<&'a str> {
    set.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn annotate(set: &mut ReplicaSet, key: &str, value: impl Into<String>) {
    set.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.into());
}

pub(super) fn note_sizes(set: &mut ReplicaSet, desired: i32, max: i32) {
    annotate(set, DESIRED, desired.to_string());
    annotate(set, MAX, max.to_string());
}

pub(super) fn revision(set: &ReplicaSet) -> i64 {
    annotation(set, REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Oldest first.
pub(super) fn by_age(sets: &mut [ReplicaSet]) {
    sets.sort_by(|a, b| {
        let age = |set: &ReplicaSet| {
            let made = set.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (made, set.metadata.name.clone())
        };
        age(a).cmp(&age(b))
    });
}

/// Takes out the oldest set of this template; `sets` are by age.
pub(super) fn take_new(spec: &DeploymentSpec, sets: &mut Vec<ReplicaSet>) -> Option<ReplicaSet> {
    let at = sets.iter().position(|set| is_of(&spec.template, set))?;
    Some(sets.remove(at))
}

/// Whether the set's template is this one, but for the hash.
pub(super) fn is_of(template: &PodTemplateSpec, set: &ReplicaSet) -> bool {
    let own = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    own.is_some_and(|own| own.spec == template.spec && plain_meta(own) == plain_meta(template))
}

/// What counts of a template's metadata: labels without the hash, annotations.
fn plain_meta(template: &PodTemplateSpec) -> (BTreeMap<&str, &str>, BTreeMap<&str, &str>) {
    fn pairs(map: Option<&BTreeMap<String, String>>) -> BTreeMap<&str, &str> {
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
    let meta = template.metadata.as_ref();
    let mut labels = pairs(meta.and_then(|meta| meta.labels.as_ref()));
    labels.remove(HASH_LABEL);
    (labels, pairs(meta.and_then(|meta| meta.annotations.as_ref())))
}

/// The ReplicaSet of the current template, when there is none yet.
pub(super) fn new_set(
    deployment: &Deployment,
    spec: &DeploymentSpec,
    old: &[ReplicaSet],
) -> ReplicaSet {
    let collisions = deployment.status.as_ref().and_then(|status| status.collision_count);
    let hash = hash(&spec.template, collisions);
    let mut template = spec.template.clone();
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(HASH_LABEL.to_owned(), hash.clone());
    let labels = labels.clone();
    let mut selector = spec.selector.clone();
    selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let name = &name[..name.len().min(NAME_BYTES_MAX - 1 - hash.len())];
    let others = old.iter().map(size).sum();
    let mut set = ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{name}-{hash}")),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![managed_by(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            min_ready_seconds: spec.min_ready_seconds,
            replicas: Some(sizes::grown(spec, 0, others)),
            selector,
            template: Some(template),
        }),
        status: None,
    };
    sync(deployment, &mut set, old);
    note_sizes(&mut set, wanted(spec), wanted(spec).saturating_add(Leeway::of(spec).surge));
    set
}

/// Brings what is noted on the current ReplicaSet up to date: the Deployment's annotations, and a
/// revision above all others. A set that was rolled back to keeps its earlier revisions.
///
/// Upstream: `SetNewReplicaSetAnnotations`.
pub(super) fn sync(deployment: &Deployment, new: &mut ReplicaSet, old: &[ReplicaSet]) {
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_HANDED_DOWN.contains(&key.as_str()) {
            annotate(new, key, value);
        }
    }
    let next = old.iter().map(revision).max().unwrap_or(0) + 1;
    let current = revision(new);
    if current >= next {
        return;
    }
    if let Some(earlier) = annotation(new, REVISION).map(str::to_owned) {
        let history = match annotation(new, HISTORY).filter(|history| !history.is_empty()) {
            Some(history) => remember(history, &earlier),
            None => earlier,
        };
        annotate(new, HISTORY, history);
    }
    annotate(new, REVISION, next.to_string());
}

/// Adds to a history, at the cost of its oldest entries.
fn remember(history: &str, revision: &str) -> String {
    let mut history = history;
    while history.len() + 1 + revision.len() > HISTORY_BYTES_MAX {
        history = history.split_once(',').map_or("", |(_, rest)| rest);
    }
    if history.is_empty() { revision.to_owned() } else { format!("{history},{revision}") }
}

/// Old ReplicaSets beyond `revisionHistoryLimit`, the oldest revisions; none that still has Pods.
///
/// Upstream: `cleanupDeployment`.
pub(super) fn forgotten(spec: &DeploymentSpec, old: &[ReplicaSet]) -> Vec<ReplicaSet> {
    let Some(limit) = spec.revision_history_limit.filter(|limit| *limit != i32::MAX) else {
        return Vec::new();
    };
    let alive = old.iter().filter(|set| set.metadata.deletion_timestamp.is_none());
    let mut alive: Vec<&ReplicaSet> = alive.collect();
    alive.sort_by_key(|set| revision(set));
    let excess = alive.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    alive.truncate(excess);
    alive.into_iter().filter(|set| is_empty(set)).cloned().collect()
}

fn is_empty(set: &ReplicaSet) -> bool {
    let status = set.status.as_ref();
    let seen = status.and_then(|status| status.observed_generation).unwrap_or(0);
    size(set) == 0
        && status.is_none_or(|status| status.replicas == 0)
        && set.metadata.generation.unwrap_or(0) <= seen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "d", "namespace": "n", "uid": "u", "annotations": {
                "kubernetes.io/change-cause": "why", REVISION: "1",
                "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]}}},
        }))
        .unwrap()
    }

    fn old(name: &str, revision: &str, replicas: i32) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": name, "annotations": {REVISION: revision}},
            "spec": {"replicas": replicas, "selector": {}},
            "status": {"replicas": replicas},
        }))
        .unwrap()
    }

    #[test]
    fn a_new_set_is_of_the_template_and_says_so() {
        let deployment = deployment();
        let spec = deployment.spec.as_ref().unwrap();
        let set = new_set(&deployment, spec, &[old("o", "4", 3)]);
        let hash = hash(&spec.template, None);
        assert_eq!(set.metadata.name, Some(format!("d-{hash}")));
        assert!(is_of(&spec.template, &set));
        let value = serde_json::to_value(&set).unwrap();
        let labels = json!({"app": "a", HASH_LABEL: hash});
        assert_eq!(value["metadata"]["labels"], labels);
        assert_eq!(value["spec"]["selector"]["matchLabels"], labels);
        assert_eq!(value["spec"]["template"]["metadata"]["labels"], labels);
        assert_eq!(
            value["metadata"]["annotations"],
            json!({"kubernetes.io/change-cause": "why", REVISION: "5", DESIRED: "3", MAX: "3"})
        );
    }

    #[test]
    fn who_is_rolled_back_to_gets_a_new_revision_and_keeps_its_old_ones() {
        let deployment = deployment();
        let mut set = old("s", "1", 0);
        sync(&deployment, &mut set, &[old("o", "2", 3)]);
        assert_eq!(annotation(&set, REVISION), Some("3"));
        assert_eq!(annotation(&set, HISTORY), Some("1"));
        sync(&deployment, &mut set, &[old("o", "2", 3)]);
        assert_eq!(annotation(&set, REVISION), Some("3"));
        sync(&deployment, &mut set, &[old("o", "4", 3)]);
        assert_eq!(annotation(&set, HISTORY), Some("1,3"));
    }

    #[test]
    fn history_is_bounded() {
        let long = vec!["1234"; 400].join(",");
        let history = remember(&long, "99999");
        assert!(history.len() <= HISTORY_BYTES_MAX && history.ends_with(",99999"));
    }

    #[test]
    fn the_oldest_empty_sets_are_forgotten() {
        let mut spec = deployment().spec.unwrap();
        let sets = [old("c", "3", 0), old("a", "1", 1), old("b", "2", 0), old("d", "4", 0)];
        let names = |spec: &DeploymentSpec| {
            let sets = forgotten(spec, &sets);
            sets.into_iter().filter_map(|set| set.metadata.name).collect::<Vec<_>>()
        };
        spec.revision_history_limit = Some(1);
        assert_eq!(names(&spec), ["b", "c"]);
        spec.revision_history_limit = Some(9);
        assert_eq!(names(&spec), Vec::<String>::new());
        spec.revision_history_limit = Some(0);
        assert_eq!(names(&spec), ["b", "c", "d"]);
    }
}
