//! LimitRanges: what containers, Pods and claims of a namespace may ask for, and what they get that
//! ask for nothing. Held by the admission plugin `LimitRanger`.
//!
//! Upstream: `SetDefaults_LimitRangeItem` (`pkg/apis/core/v1/defaults.go`), `ValidateLimitRange`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::Value;

use super::pod::{is_standard_resource, validate_container_resource_name};
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::api::quantity::Quantity;
use crate::control_plane::registry::print::{self, CREATED_AT, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

const CONTAINER: &str = "Container";
const POD: &str = "Pod";
const CLAIM: &str = "PersistentVolumeClaim";

#[derive(Debug)]
pub(crate) struct LimitRanges;

impl Resource for LimitRanges {
    type Object = LimitRange;

    const NAMES: Names = Names {
        plural: "limitranges",
        singular: "limitrange",
        short: &["limits"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Namespaced;

    fn default(range: &mut LimitRange) {
        for item in range.spec.iter_mut().flat_map(|spec| &mut spec.limits) {
            if item.type_ == CONTAINER {
                default_item(item);
            }
        }
    }

    fn validate(range: &LimitRange) -> Vec<FieldError> {
        let path = Path::new("spec").child("limits");
        let mut types = BTreeSet::new();
        let mut faults = Vec::new();
        for (index, item) in range.spec.iter().flat_map(|spec| &spec.limits).enumerate() {
            let path = path.index(index);
            faults.extend(validate_type(&item.type_, &path.child("type")));
            if !types.insert(item.type_.as_str()) {
                faults.push(FieldError::duplicate(path.child("type"), item.type_.as_str()));
            }
            faults.extend(validate_item(item, &path));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, CREATED_AT];
        COLUMNS
    }

    fn row(range: &LimitRange, _: Timestamp) -> Vec<Value> {
        vec![print::name(&range.metadata), print::created_at(&range.metadata)]
    }
}

/// A limit is at most the maximum; a request is the limit, or the minimum.
fn default_item(item: &mut LimitRangeItem) {
    let limits = item.default.get_or_insert_default();
    fill(limits, item.max.as_ref());
    let requests = item.default_request.get_or_insert_default();
    fill(requests, Some(limits));
    fill(requests, item.min.as_ref());
    // Empty maps are as good as absent.
    item.default.take_if(|limits| limits.is_empty());
    item.default_request.take_if(|requests| requests.is_empty());
}

fn fill(list: &mut BTreeMap<String, ApiQuantity>, from: Option<&BTreeMap<String, ApiQuantity>>) {
    for (name, amount) in from.into_iter().flatten() {
        list.entry(name.clone()).or_insert_with(|| amount.clone());
    }
}

fn validate_type(type_: &str, path: &Path) -> Vec<FieldError> {
    let mut faults = invalid_each(path, type_, meta::qualified_name(type_));
    if faults.is_empty() && !type_.contains('/') && ![POD, CONTAINER, CLAIM].contains(&type_) {
        let detail = "must be a standard limit type or fully qualified";
        faults.push(FieldError::invalid(path.clone(), type_, detail));
    }
    faults
}

/// The five lists of an item, as the API calls them.
fn lists(item: &LimitRangeItem) -> [(&'static str, Option<&BTreeMap<String, ApiQuantity>>); 5] {
    [
        ("max", item.max.as_ref()),
        ("min", item.min.as_ref()),
        ("default", item.default.as_ref()),
        ("defaultRequest", item.default_request.as_ref()),
        ("maxLimitRequestRatio", item.max_limit_request_ratio.as_ref()),
    ]
}

fn validate_item(item: &LimitRangeItem, path: &Path) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for (list, amounts) in lists(item) {
        let path = path.child(list);
        let amounts = amounts.into_iter().flatten();
        if item.type_ == POD && list.starts_with("default") {
            if amounts.count() > 0 {
                let detail = "may not be specified when `type` is 'Pod'";
                faults.push(FieldError::forbidden(path, detail));
            }
            continue;
        }
        for (name, amount) in amounts {
            faults.extend(validate_name(&item.type_, name, &path.key(name)));
            if let Err(error) = Quantity::of(amount) {
                let text = error.to_string();
                faults.push(FieldError::invalid(path.key(name), amount.0.as_str(), text));
            }
            names.insert(name.as_str());
        }
    }
    let stores = |list: &Option<BTreeMap<String, ApiQuantity>>| {
        list.as_ref().is_some_and(|list| list.contains_key("storage"))
    };
    if item.type_ == CLAIM && !stores(&item.min) && !stores(&item.max) {
        let detail =
            "either minimum or maximum storage value is required, but neither was provided";
        faults.push(FieldError::required(path.child("limits"), detail));
    }
    faults.extend(names.into_iter().flat_map(|name| validate_amounts(item, name, path)));
    faults
}

fn validate_name(type_: &str, name: &str, path: &Path) -> Vec<FieldError> {
    if matches!(type_, POD | CONTAINER) {
        return validate_container_resource_name(name, path);
    }
    let mut faults = invalid_each(path, name, meta::qualified_name(name));
    if faults.is_empty() && !name.contains('/') && name != "storage" && !is_standard_resource(name)
    {
        let detail = "must be a standard resource type or fully qualified";
        faults.push(FieldError::invalid(path.clone(), name, detail));
    }
    faults
}

/// What the lists say of one resource must not be contradictory.
fn validate_amounts(item: &LimitRangeItem, name: &str, path: &Path) -> Vec<FieldError> {
    let [max, min, limit, request, ratio] =
        lists(item).map(|(_, list)| Quantity::of(list?.get(name)?).ok());
    let mut faults = Vec::new();
    let mut not_above = |small: (Option<Quantity>, &str),
                         large: (Option<Quantity>, &str),
                         at: &'static str,
                         shown: Option<Quantity>| {
        let ((Some(small), small_name), (Some(large), large_name)) = (small, large) else { return };
        if small > large {
            let detail =
                format!("{small_name} value {small} is greater than {large_name} value {large}");
            let shown = shown.unwrap_or(small).to_string();
            faults.push(FieldError::invalid(path.child(at).key(name), shown, detail));
        }
    };
    not_above((min, "min"), (max, "max"), "min", min);
    not_above((min, "min"), (request, "default request"), "defaultRequest", request);
    not_above((request, "default request"), (max, "max"), "defaultRequest", request);
    not_above((request, "default request"), (limit, "default limit"), "defaultRequest", request);
    not_above((min, "min"), (limit, "default"), "default", min);
    not_above((limit, "default"), (max, "max"), "default", max);
    let Some(ratio) = ratio else { return faults };
    let mut wrong = |detail: String| {
        let path = path.child("maxLimitRequestRatio").key(name);
        faults.push(FieldError::invalid(path, ratio.to_string(), detail));
    };
    if ratio < Quantity::from_millis(1000) {
        wrong(format!("ratio {ratio} is less than 1"));
    }
    if let (Some(min), Some(max)) = (min, max) {
        let most = max.millis() as f64 / min.millis() as f64;
        if ratio.millis() as f64 / 1000.0 > most {
            wrong(format!("ratio {ratio} is greater than max/min = {most:.6}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn range(limits: Value) -> LimitRange {
        let range = json!({"metadata": {"name": "r"}, "spec": {"limits": limits}});
        let mut range = serde_json::from_value(range).unwrap();
        LimitRanges::default(&mut range);
        range
    }

    #[track_caller]
    fn check(limits: Value, expect: &[&str]) {
        let faults = LimitRanges::validate(&range(limits));
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expect);
    }

    #[test]
    fn what_a_container_gets_follows_from_the_bounds() {
        let range = range(json!([{"type": "Container", "max": {"cpu": "2", "memory": "1Gi"},
            "min": {"cpu": "100m", "ephemeral-storage": "1Mi"}, "default": {"cpu": "1"}}]));
        let item = serde_json::to_value(&range.spec.unwrap().limits[0]).unwrap();
        assert_eq!(item["default"], json!({"cpu": "1", "memory": "1Gi"}));
        let request = json!({"cpu": "1", "ephemeral-storage": "1Mi", "memory": "1Gi"});
        assert_eq!(item["defaultRequest"], request);
    }

    #[test]
    fn contradictions_are_told() {
        check(json!([{"type": "Container", "max": {"memory": "1Gi"}}]), &[]);
        check(
            json!([{"type": "Container", "max": {"memory": "1Gi"}, "min": {"memory": "2Gi"},
                "default": {"memory": "1Gi"}, "defaultRequest": {"memory": "1Gi"}}]),
            &[
                "spec.limits[0].min[memory]: Invalid value: \"2Gi\": min value 2Gi is greater than \
                 max value 1Gi",
                "spec.limits[0].defaultRequest[memory]: Invalid value: \"1Gi\": min value 2Gi is \
                 greater than default request value 1Gi",
                "spec.limits[0].default[memory]: Invalid value: \"2Gi\": min value 2Gi is greater \
                 than default value 1Gi",
            ],
        );
        check(
            json!([{"type": "Pod", "default": {"cpu": "1"}}, {"type": "Pod"}]),
            &[
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
                "spec.limits[1].type: Duplicate value: \"Pod\"",
            ],
        );
        check(
            json!([{"type": "PersistentVolumeClaim"}, {"type": "Node"}]),
            &[
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is \
                 required, but neither was provided",
                "spec.limits[1].type: Invalid value: \"Node\": must be a standard limit type or \
                 fully qualified",
            ],
        );
        check(
            json!([{"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"},
                "maxLimitRequestRatio": {"cpu": "3"}}]),
            &[
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater \
               than max/min = 2.000000",
            ],
        );
    }
}
