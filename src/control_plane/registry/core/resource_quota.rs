//! ResourceQuotas: how much all objects of a namespace may use together. Held by the admission plugin
//! `ResourceQuota`, counted by a controller.
//!
//! Upstream: `ValidateResourceQuota` (`pkg/apis/core/validation/validation.go`), `printResourceQuota`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ResourceQuota, ResourceQuotaSpec, ResourceQuotaStatus, ScopedResourceSelectorRequirement,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::{Value, json};

use super::pod::is_standard_resource;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, IMMUTABLE, invalid_each};
use crate::api::quantity::Quantity;
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::{Column, Names, Resource, STATUS_VERBS, Scope, Subresource};

/// Amounts of these are whole.
const COUNTS: &[&str] = &[
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

const SCOPES: &[&str] = &[
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
];
const CONFLICTS: [[&str; 2]; 2] =
    [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

/// Besides `pods`: what scopes other than BestEffort may be about.
const COMPUTE: &[&str] =
    &["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];

#[derive(Debug)]
pub(crate) struct ResourceQuotas;

impl Resource for ResourceQuotas {
    type Object = ResourceQuota;

    const NAMES: Names = Names {
        plural: "resourcequotas",
        singular: "resourcequota",
        short: &["quota"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] =
        &[Subresource { name: "status", kind: ("", "", "ResourceQuota"), verbs: STATUS_VERBS }];

    fn default(quota: &mut ResourceQuota) {
        quota.spec.get_or_insert_default();
        quota.status.get_or_insert_default();
    }

    fn prepare_for_create(quota: &mut ResourceQuota) {
        quota.status = Some(ResourceQuotaStatus::default());
    }

    fn prepare_for_update(quota: &mut ResourceQuota, old: &ResourceQuota) {
        quota.status.clone_from(&old.status);
    }

    fn prepare_for_status_update(quota: &mut ResourceQuota, old: &ResourceQuota) {
        quota.spec.clone_from(&old.spec);
    }

    fn validate(quota: &ResourceQuota) -> Vec<FieldError> {
        let path = Path::new("spec");
        quota.spec.as_ref().map(|spec| validate_spec(spec, &path)).unwrap_or_default()
    }

    fn validate_update(quota: &ResourceQuota, old: &ResourceQuota) -> Vec<FieldError> {
        let mut faults = Self::validate(quota);
        let scopes = |quota: &ResourceQuota| {
            let mut scopes = quota.spec.as_ref().and_then(|spec| spec.scopes.clone());
            scopes.as_mut().into_iter().for_each(|scopes| scopes.sort());
            scopes.unwrap_or_default()
        };
        if scopes(quota) != scopes(old) {
            let path = Path::new("spec").child("scopes");
            faults.push(FieldError::invalid(path, json!(scopes(quota)), IMMUTABLE));
        }
        faults
    }

    fn validate_status_update(quota: &ResourceQuota, _: &ResourceQuota) -> Vec<FieldError> {
        let path = Path::new("status");
        let status = quota.status.as_ref();
        let mut faults = Vec::new();
        for (list, amounts) in [
            ("hard", status.and_then(|status| status.hard.as_ref())),
            ("used", status.and_then(|status| status.used.as_ref())),
        ] {
            faults.extend(validate_amounts(amounts, &path.child(list)));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Request", "How much is used, of how much may be, for what is requested."),
            column("Limit", "How much is used, of how much may be, for limits."),
            AGE,
        ];
        COLUMNS
    }

    fn row(quota: &ResourceQuota, now: Timestamp) -> Vec<Value> {
        let status = quota.status.as_ref();
        let none = BTreeMap::new();
        let hard = status.and_then(|status| status.hard.as_ref()).unwrap_or(&none);
        let used = status.and_then(|status| status.used.as_ref()).unwrap_or(&none);
        let shown = |is_limit: bool| -> Value {
            let of_sort = hard.iter().filter(|(name, _)| name.starts_with("limits") == is_limit);
            let cell = |(name, hard): (&String, &ApiQuantity)| {
                let used = used.get(name).map_or("0", |used| used.0.as_str());
                format!("{name}: {used}/{}", hard.0)
            };
            of_sort.map(cell).collect::<Vec<_>>().join(", ").into()
        };
        vec![
            print::name(&quota.metadata),
            shown(false),
            shown(true),
            print::age(&quota.metadata, now),
        ]
    }
}

fn validate_spec(spec: &ResourceQuotaSpec, path: &Path) -> Vec<FieldError> {
    let mut faults = validate_amounts(spec.hard.as_ref(), &path.child("hard"));
    let names: Vec<&str> = spec.hard.iter().flatten().map(|(name, _)| name.as_str()).collect();
    let scopes = spec.scopes.as_deref().unwrap_or_default();
    let scopes_path = path.child("scopes");
    let mut wrong = |detail: &str| {
        faults.push(FieldError::invalid(scopes_path.clone(), json!(scopes), detail));
    };
    for scope in scopes {
        if !SCOPES.contains(&scope.as_str()) {
            wrong("unsupported scope");
        }
        for _ in names.iter().filter(|name| !may_be_about(scope, name)) {
            wrong("unsupported scope applied to resource");
        }
    }
    let has = |name: &&str| scopes.iter().any(|scope| scope == name);
    if CONFLICTS.iter().any(|pair| pair.iter().all(has)) {
        wrong("conflicting scopes");
    }
    if let Some(selector) = &spec.scope_selector {
        let path = path.child("scopeSelector").child("matchExpressions");
        for requirement in selector.match_expressions.iter().flatten() {
            if names.iter().any(|name| !may_be_about(&requirement.scope_name, name)) {
                let detail = "unsupported scope applied to resource";
                faults.push(FieldError::invalid(path.clone(), json!(selector), detail));
            }
            faults.extend(validate_requirement(requirement, &path));
        }
    }
    faults
}

fn validate_requirement(
    requirement: &ScopedResourceSelectorRequirement,
    path: &Path,
) -> Vec<FieldError> {
    let (scope, operator) = (requirement.scope_name.as_str(), requirement.operator.as_str());
    let mut faults = Vec::new();
    if !SCOPES.contains(&scope) {
        faults.push(FieldError::invalid(path.child("scopeName"), scope, "unsupported scope"));
    }
    if SCOPES.contains(&scope) && scope != "PriorityClass" && operator != "Exists" {
        let detail = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, \
                      ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                      ResourceQuotaScopeNotBestEffort or \
                      ResourceQuotaScopeCrossNamespacePodAffinity";
        faults.push(FieldError::invalid(path.child("operator"), operator, detail));
    }
    let values = requirement.values.as_deref().unwrap_or_default();
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope \
                          selector";
            faults.push(FieldError::required(path.child("values"), detail));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope \
                          selector";
            faults.push(FieldError::invalid(path.child("values"), json!(values), detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => {
            let detail = "not a valid selector operator";
            faults.push(FieldError::invalid(path.child("operator"), operator, detail));
        }
    }
    faults
}

/// Names of somebody's own kinds are not looked at.
fn may_be_about(scope: &str, name: &str) -> bool {
    if name.contains('/') || !SCOPES.contains(&scope) {
        return true;
    }
    name == "pods" || (scope != "BestEffort" && COMPUTE.contains(&name))
}

fn validate_amounts(
    amounts: Option<&BTreeMap<String, ApiQuantity>>,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (name, amount) in amounts.into_iter().flatten() {
        let path = path.key(name);
        faults.extend(validate_name(name, &path));
        let invalid = |detail: &str| FieldError::invalid(path.clone(), amount.0.as_str(), detail);
        match Quantity::of(amount) {
            Err(error) => faults.push(invalid(&error.to_string())),
            Ok(amount) if amount.is_negative() => {
                faults.push(invalid("must be greater than or equal to 0"));
            }
            Ok(amount) if is_count(name) && !amount.is_whole() => {
                faults.push(invalid("must be an integer"));
            }
            Ok(_) => {}
        }
    }
    faults
}

fn is_count(name: &str) -> bool {
    COUNTS.contains(&name) || name.starts_with("count/")
}

/// Upstream: `ValidateResourceQuotaResourceName`.
fn validate_name(name: &str, path: &Path) -> Vec<FieldError> {
    let mut faults = invalid_each(path, name, meta::qualified_name(name));
    if name.contains('/') {
        return faults;
    }
    let is_large = |name: &str| {
        let bare = name.strip_prefix("requests.").unwrap_or(name);
        bare.starts_with("hugepages-")
    };
    if faults.is_empty() && !is_standard_resource(name) && !is_large(name) {
        let detail = "must be a standard resource type or fully qualified";
        faults.push(FieldError::invalid(path.clone(), name, detail));
        let detail = "must be a standard resource for quota";
        faults.push(FieldError::invalid(path.clone(), name, detail));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spec: Value, expect: &[&str]) {
        let quota = serde_json::from_value(json!({"spec": spec})).unwrap();
        let faults = ResourceQuotas::validate(&quota);
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn names_and_amounts_are_those_of_quotas() {
        check(
            json!({"hard": {"pods": "3", "requests.cpu": "1500m", "count/jobs.batch": "1",
                "requests.example.org/gpu": "2"}}),
            &[],
        );
        check(
            json!({"hard": {"bytes": "1", "memory": "-1", "pods": "1500m"}}),
            &[
                "spec.hard[bytes]: Invalid value: \"bytes\": must be a standard resource type or \
                 fully qualified",
                "spec.hard[bytes]: Invalid value: \"bytes\": must be a standard resource for quota",
                "spec.hard[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
                "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
            ],
        );
    }

    #[test]
    fn scopes_must_agree() {
        check(json!({"hard": {"pods": "1", "cpu": "1"}, "scopes": ["NotBestEffort"]}), &[]);
        check(
            json!({"hard": {"cpu": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}),
            &[
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: unsupported scope \
                 applied to resource",
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes",
            ],
        );
        let at = "spec.scopeSelector.matchExpressions";
        check(
            json!({"scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "In"}]}}),
            &[&format!(
                "{at}.values: Required value: must be at least one value when `operator` is \
                        'In' or 'NotIn' for scope selector"
            )],
        );
    }

    #[test]
    fn requests_and_limits_have_a_column_each() {
        let quota: ResourceQuota = serde_json::from_value(json!({"metadata": {"name": "q"},
            "status": {"hard": {"pods": "2", "limits.cpu": "1", "requests.cpu": "1"},
                "used": {"pods": "1", "limits.cpu": "500m", "requests.cpu": "0"}}}))
        .unwrap();
        let row = ResourceQuotas::row(&quota, Timestamp::UNIX_EPOCH);
        let cells = [json!("pods: 1/2, requests.cpu: 0/1"), json!("limits.cpu: 500m/1")];
        assert_eq!(row[1..3], cells);
    }
}
