//! DaemonSets: one Pod of a template on each node that suits it.
//!
//! Upstream: `pkg/registry/apps/daemonset/strategy.go`, `pkg/apis/apps/v1/defaults.go`,
//! `pkg/apis/apps/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetSpec, DaemonSetStatus, DaemonSetUpdateStrategy, RollingUpdateDaemonSet,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::workload::{self, not_negative};
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::amounts;
use crate::control_plane::registry::core::pod::template::{self, CONTAINERS, IMAGES};
use crate::control_plane::registry::print::{self, AGE, NAME, column, number, wide};
use crate::control_plane::registry::rules::{set_default, text};
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

const ROLLING_UPDATE: &str = "RollingUpdate";
const ON_DELETE: &str = "OnDelete";

/// Counts changes of the template. What was a field once is an annotation in `apps/v1`.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

#[derive(Debug)]
pub(crate) struct DaemonSets;

impl Resource for DaemonSets {
    type Object = DaemonSet;

    const NAMES: Names =
        Names { plural: "daemonsets", singular: "daemonset", short: &["ds"], categories: &["all"] };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] =
        &[Subresource { name: "status", kind: ("", "", "DaemonSet"), verbs: STATUS_VERBS }];
    const GENERATION: bool = true;

    fn default(set: &mut DaemonSet) {
        let spec = set.spec.get_or_insert_default();
        let strategy = spec.update_strategy.get_or_insert_default();
        set_default(&mut strategy.type_, ROLLING_UPDATE);
        if strategy.type_.as_deref() == Some(ROLLING_UPDATE) {
            let update = strategy.rolling_update.get_or_insert_default();
            update.max_unavailable.get_or_insert(IntOrString::Int(1));
            update.max_surge.get_or_insert(IntOrString::Int(0));
        }
        spec.revision_history_limit.get_or_insert(10);
        template::default(&mut spec.template);
        set.status.get_or_insert_default();
    }

    fn prepare_for_create(set: &mut DaemonSet) {
        set.status = Some(DaemonSetStatus::default());
        let generation = template_generation(set).max(1);
        set_template_generation(set, generation);
    }

    fn prepare_for_update(set: &mut DaemonSet, old: &DaemonSet) {
        set.status.clone_from(&old.status);
        let template = |set: &DaemonSet| set.spec.as_ref().map(|spec| spec.template.clone());
        let changed = i64::from(template(set) != template(old));
        set_template_generation(set, template_generation(old) + changed);
    }

    fn prepare_for_status_update(set: &mut DaemonSet, old: &DaemonSet) {
        set.spec.clone_from(&old.spec);
    }

    fn validate(set: &DaemonSet) -> Vec<FieldError> {
        set.spec.as_ref().map(validate_spec).unwrap_or_default()
    }

    fn validate_update(set: &DaemonSet, old: &DaemonSet) -> Vec<FieldError> {
        let mut faults = Self::validate(set);
        faults.extend(workload::validate_same_selector(selector(set), selector(old)));
        faults
    }

    fn validate_status_update(set: &DaemonSet, old: &DaemonSet) -> Vec<FieldError> {
        let Some(status) = &set.status else { return Vec::new() };
        let path = Path::new("status");
        let counts = [
            ("currentNumberScheduled", Some(status.current_number_scheduled)),
            ("numberMisscheduled", Some(status.number_misscheduled)),
            ("desiredNumberScheduled", Some(status.desired_number_scheduled)),
            ("numberReady", Some(status.number_ready)),
            ("updatedNumberScheduled", status.updated_number_scheduled),
            ("numberAvailable", status.number_available),
            ("numberUnavailable", status.number_unavailable),
        ];
        let faults =
            counts.into_iter().map(|(field, count)| not_negative(path.child(field), count));
        let mut faults: Vec<FieldError> = faults.flatten().collect();
        faults.extend(not_negative(path.child("observedGeneration"), status.observed_generation));
        let before = old.status.as_ref().and_then(|status| status.collision_count);
        faults.extend(workload::validate_collisions(status.collision_count, before, &path));
        faults
    }

    fn warnings(set: &DaemonSet) -> Vec<String> {
        workload::warnings(&set.metadata, set.spec.as_ref().map(|spec| &spec.template))
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            number("Desired", "How many nodes shall have a Pod."),
            number("Current", "How many of them have one."),
            number("Ready", "On how many of them it is ready."),
            number("Up-to-date", "On how many of them it is of the current template."),
            number("Available", "On how many of them it has been ready for minReadySeconds."),
            column("Node Selector", "The labels that a node must have."),
            AGE,
            CONTAINERS,
            IMAGES,
            wide("Selector", "The labels by which it finds its Pods."),
        ];
        COLUMNS
    }

    fn row(set: &DaemonSet, now: Timestamp) -> Vec<Value> {
        let spec = set.spec.as_ref();
        let status = set.status.clone().unwrap_or_default();
        let nodes = spec.and_then(|spec| spec.template.spec.as_ref()?.node_selector.as_ref());
        let [names, images] = template::cells(spec.map(|spec| &spec.template));
        vec![
            print::name(&set.metadata),
            status.desired_number_scheduled.into(),
            status.current_number_scheduled.into(),
            status.number_ready.into(),
            workload::count(status.updated_number_scheduled),
            workload::count(status.number_available),
            print::labels(nodes).into(),
            print::age(&set.metadata, now),
            names,
            images,
            selector(set).map(workload::selector_text).unwrap_or_default().into(),
        ]
    }
}

fn selector(set: &DaemonSet) -> Option<&LabelSelector> {
    set.spec.as_ref().map(|spec| &spec.selector)
}

fn template_generation(set: &DaemonSet) -> i64 {
    let annotations = set.metadata.annotations.as_ref();
    let noted = annotations.and_then(|all| all.get(TEMPLATE_GENERATION));
    noted.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn set_template_generation(set: &mut DaemonSet, generation: i64) {
    let annotations = set.metadata.annotations.get_or_insert_default();
    annotations.insert(TEMPLATE_GENERATION.to_owned(), generation.to_string());
}

fn validate_spec(spec: &DaemonSetSpec) -> Vec<FieldError> {
    let path = Path::new("spec");
    let mut faults = workload::validate_selection(&spec.selector, &spec.template, &path);
    faults.extend(workload::validate_endless(&spec.template, &path, "DaemonSet"));
    faults.extend(not_negative(path.child("minReadySeconds"), spec.min_ready_seconds));
    if let Some(strategy) = &spec.update_strategy {
        faults.extend(validate_strategy(strategy, &path.child("updateStrategy")));
    }
    faults.extend(not_negative(path.child("revisionHistoryLimit"), spec.revision_history_limit));
    faults
}

fn validate_strategy(strategy: &DaemonSetUpdateStrategy, path: &Path) -> Vec<FieldError> {
    match (text(&strategy.type_), &strategy.rolling_update) {
        (ON_DELETE, _) => Vec::new(),
        (ROLLING_UPDATE, None) => vec![FieldError::required(path.child("rollingUpdate"), "")],
        (ROLLING_UPDATE, Some(update)) => {
            validate_rolling_update(update, &path.child("rollingUpdate"))
        }
        _ => {
            let supported = [ON_DELETE, ROLLING_UPDATE];
            vec![FieldError::not_supported(path.clone(), json!(strategy), &supported)]
        }
    }
}

fn validate_rolling_update(update: &RollingUpdateDaemonSet, path: &Path) -> Vec<FieldError> {
    let zero = IntOrString::Int(0);
    let unavailable = update.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = update.max_surge.as_ref().unwrap_or(&zero);
    let (unavailable_path, surge_path) = (path.child("maxUnavailable"), path.child("maxSurge"));
    let mut faults = Vec::new();
    faults.extend(amounts::validate(unavailable, &unavailable_path));
    faults.extend(amounts::validate(surge, &surge_path));
    faults.extend(amounts::validate_share(unavailable, &unavailable_path));
    faults.extend(amounts::validate_share(surge, &surge_path));
    match (amounts::number_of(unavailable) != 0, amounts::number_of(surge) != 0) {
        (true, true) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            faults.push(FieldError::invalid(surge_path, json!(surge), detail));
        }
        (false, false) => {
            let detail = "cannot be 0 when maxSurge is 0";
            faults.push(FieldError::required(unavailable_path, detail));
        }
        _ => {}
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(spec: Value) -> DaemonSet {
        let whole = json!({"metadata": {"name": "d"}, "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]}},
        }});
        let whole = crate::api::patch::merge::apply(whole, &json!({"spec": spec})).unwrap();
        let mut set = serde_json::from_value(whole).unwrap();
        DaemonSets::default(&mut set);
        set
    }

    #[track_caller]
    fn check(spec: Value, expect: &[&str]) {
        let faults = DaemonSets::validate(&set(spec));
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn one_of_surge_and_unavailable_is_given() {
        check(json!({}), &[]);
        let update = |unavailable: Value, surge: Value| {
            json!({"updateStrategy": {"rollingUpdate":
                {"maxUnavailable": unavailable, "maxSurge": surge}}})
        };
        check(update(json!(0), json!("10%")), &[]);
        check(
            update(json!(1), json!(1)),
            &[
                "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
            ],
        );
        check(
            update(json!("0%"), json!(0)),
            &[
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
            ],
        );
    }

    #[test]
    fn faults_are_worded_for_daemon_sets() {
        check(
            json!({"minReadySeconds": -1, "updateStrategy": {"type": "Other"},
                "template": {"spec": {"restartPolicy": "Never", "activeDeadlineSeconds": 1}}}),
            &[
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
                "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
                "spec.updateStrategy: Unsupported value: {\"type\":\"Other\"}: supported values: \"OnDelete\", \"RollingUpdate\"",
            ],
        );
    }

    #[test]
    fn changes_of_the_template_are_counted() {
        let noted = |set: &DaemonSet| template_generation(set);
        let mut old = set(json!({}));
        DaemonSets::prepare_for_create(&mut old);
        assert_eq!(noted(&old), 1);
        let mut same = set(json!({"minReadySeconds": 3}));
        DaemonSets::prepare_for_update(&mut same, &old);
        assert_eq!(noted(&same), 1);
        let mut new = set(json!({"template": {"spec": {"hostNetwork": true}}}));
        DaemonSets::prepare_for_update(&mut new, &old);
        assert_eq!(noted(&new), 2);
    }
}
