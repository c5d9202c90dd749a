//! ControllerRevisions: what a StatefulSet or DaemonSet was like, so that it can be brought back.
//!
//! Upstream: `pkg/registry/apps/controllerrevision/strategy.go`.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ControllerRevision;
use serde_json::{Value, json};

use super::workload::not_negative;
use crate::api::fields::{FieldError, Path};
use crate::api::meta::IMMUTABLE;
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

#[derive(Debug)]
pub(crate) struct ControllerRevisions;

impl Resource for ControllerRevisions {
    type Object = ControllerRevision;

    const NAMES: Names = Names {
        plural: "controllerrevisions",
        singular: "controllerrevision",
        short: &[],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Namespaced;

    fn validate(revision: &ControllerRevision) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if revision.data.as_ref().is_none_or(|data| data.0.is_null()) {
            faults.push(FieldError::required(Path::new("data"), "data is mandatory"));
        }
        faults.extend(not_negative(Path::new("revision"), Some(revision.revision)));
        faults
    }

    fn validate_update(revision: &ControllerRevision, old: &ControllerRevision) -> Vec<FieldError> {
        let mut faults = Self::validate(revision);
        if revision.data != old.data {
            faults.push(FieldError::invalid(Path::new("data"), json!(revision.data), IMMUTABLE));
        }
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Controller", "Who it is a revision of."),
            column("Revision", "The number of the revision; later ones are higher."),
            AGE,
        ];
        COLUMNS
    }

    fn row(revision: &ControllerRevision, now: Timestamp) -> Vec<Value> {
        vec![
            print::name(&revision.metadata),
            controller(revision).unwrap_or_else(|| "<none>".to_owned()).into(),
            revision.revision.to_string().into(),
            print::age(&revision.metadata, now),
        ]
    }
}

/// `statefulset.apps/web`. Upstream: `formatResourceName`.
fn controller(revision: &ControllerRevision) -> Option<String> {
    let owners = revision.metadata.owner_references.as_ref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    let kind = owner.kind.to_lowercase();
    Some(match owner.api_version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", owner.name),
        None => format!("{kind}/{}", owner.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(data: Value) -> ControllerRevision {
        let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web",
            "uid": "u", "controller": true});
        serde_json::from_value(json!({"metadata": {"name": "r", "ownerReferences": [owner]},
            "data": data, "revision": 2}))
        .unwrap()
    }

    #[test]
    fn it_says_whose_it_is() {
        let row = ControllerRevisions::row(&revision(json!({})), Timestamp::UNIX_EPOCH);
        assert_eq!(row[1..3], [json!("statefulset.apps/web"), json!("2")]);
    }

    #[test]
    fn what_it_holds_never_changes() {
        let (old, new) = (revision(json!({"a": 1})), revision(json!({"a": 2})));
        let mut renumbered = old.clone();
        renumbered.revision = 3;
        assert_eq!(ControllerRevisions::validate_update(&renumbered, &old), []);
        let faults = ControllerRevisions::validate_update(&new, &old);
        let text = r#"data: Invalid value: {"a":2}: field is immutable"#;
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
        let missing = ControllerRevisions::validate(&ControllerRevision::default());
        assert_eq!(missing[0].to_string(), "data: Required value: data is mandatory");
    }
}
