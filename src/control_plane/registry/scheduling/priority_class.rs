//! PriorityClasses: how important Pods are.
//!
//! Upstream: `pkg/apis/scheduling/validation/validation.go`, `pkg/apis/scheduling/v1/helpers.go`.

use jiff::Timestamp;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::{Value, json};

use crate::api::fields::{FieldError, Path};
use crate::api::meta::IMMUTABLE;
use crate::control_plane::registry::print::{self, AGE, NAME, column, number};
use crate::control_plane::registry::rules::{set_default, text};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

/// The most that a class of a user's may be worth.
const PRIORITY_MAX: i32 = 1_000_000_000;
const PREEMPTION_POLICIES: &[&str] = &["Never", "PreemptLowerPriority"];

/// The classes that every cluster has.
pub(crate) const SYSTEM_PRIORITIES: [(&str, i32); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

#[derive(Debug)]
pub(crate) struct PriorityClasses;

impl Resource for PriorityClasses {
    type Object = PriorityClass;

    const NAMES: Names = Names {
        plural: "priorityclasses",
        singular: "priorityclass",
        short: &["pc"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Cluster;

    fn default(class: &mut PriorityClass) {
        set_default(&mut class.preemption_policy, "PreemptLowerPriority");
    }

    fn validate(class: &PriorityClass) -> Vec<FieldError> {
        let mut faults = Vec::new();
        let name = class.metadata.name.as_deref().unwrap_or_default();
        if name.starts_with("system-") {
            if let Err(error) = check_system_class(name, class) {
                let detail = format!(
                    "priority class names with 'system-' prefix are reserved for system use only. \
                     error: {error}"
                );
                let path = Path::new("metadata").child("name");
                faults.push(FieldError::forbidden(path, detail));
            }
        } else if class.value > PRIORITY_MAX {
            let detail =
                format!("maximum allowed value of a user defined priority is {PRIORITY_MAX}");
            faults.push(FieldError::forbidden(Path::new("value"), detail));
        }
        let policy = text(&class.preemption_policy);
        if !PREEMPTION_POLICIES.contains(&policy) {
            let path = Path::new("preemptionPolicy");
            faults.push(FieldError::not_supported(path, policy, PREEMPTION_POLICIES));
        }
        faults
    }

    fn validate_update(class: &PriorityClass, old: &PriorityClass) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if class.value != old.value {
            let detail = "may not be changed in an update.";
            faults.push(FieldError::forbidden(Path::new("value"), detail));
        }
        if class.preemption_policy != old.preemption_policy {
            let policy = json!(class.preemption_policy);
            let path = Path::new("preemptionPolicy");
            faults.push(FieldError::invalid(path, policy, IMMUTABLE));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            number("Value", "How important Pods of this class are."),
            Column {
                type_: "boolean",
                ..column("Global-Default", "Whether Pods get it that name none.")
            },
            AGE,
            column("PreemptionPolicy", "Whether its Pods send lesser ones away."),
        ];
        COLUMNS
    }

    fn row(class: &PriorityClass, now: Timestamp) -> Vec<Value> {
        vec![
            print::name(&class.metadata),
            class.value.into(),
            class.global_default.unwrap_or(false).into(),
            print::age(&class.metadata, now),
            text(&class.preemption_policy).into(),
        ]
    }
}

fn check_system_class(name: &str, class: &PriorityClass) -> Result<(), String> {
    let Some((_, value)) = SYSTEM_PRIORITIES.iter().find(|(known, _)| *known == name) else {
        return Err(format!("{name} is not a known system priority class"));
    };
    if class.value != *value {
        return Err(format!("value of {name} PriorityClass must be {value}"));
    }
    if class.global_default.unwrap_or(false) {
        return Err(format!("globalDefault of {name} PriorityClass must be false"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, fields: Value, expect: &[&str]) {
        let mut class = fields;
        class["metadata"] = json!({"name": name});
        let mut class = serde_json::from_value(class).unwrap();
        PriorityClasses::default(&mut class);
        let faults = PriorityClasses::validate(&class);
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn users_stay_below_the_system() {
        check("high", json!({"value": 1_000_000_000}), &[]);
        check("low", json!({"value": -5, "preemptionPolicy": "Never"}), &[]);
        let most =
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000";
        check("higher", json!({"value": 1_000_000_001}), &[most]);
        check("system-node-critical", json!({"value": 2_000_001_000}), &[]);
        let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are \
                        reserved for system use only. error: system-mine is not a known system \
                        priority class";
        check("system-mine", json!({"value": 1}), &[reserved]);
        let policy = "preemptionPolicy: Unsupported value: \"Ever\": supported values: \"Never\", \
                      \"PreemptLowerPriority\"";
        check("odd", json!({"value": 1, "preemptionPolicy": "Ever"}), &[policy]);
    }

    #[test]
    fn what_a_class_is_worth_never_changes() {
        let class = |value| PriorityClass { value, ..PriorityClass::default() };
        let faults = PriorityClasses::validate_update(&class(2), &class(1));
        assert_eq!(faults[0].to_string(), "value: Forbidden: may not be changed in an update.");
    }
}
