//! What the server knows of each kind: the table `RESOURCES`, one file per kind.
//!
//! Enter by [`AnyResource`], which the table holds. To add a kind: one file with a [`Resource`],
//! one line in the table. Everything here is a pure function of objects.

mod any;
mod authentication;
mod authorization;
mod coordination;
mod core;
mod print;
mod resource;

pub(super) use any::*;
pub(super) use resource::*;

/// Every kind that the server knows. To add one: `&Kind::<Pods>::NEW`.
pub(super) static RESOURCES: &[&dyn AnyResource] = &[
    &Kind::<core::Bindings>::NEW,
    &Kind::<core::ConfigMaps>::NEW,
    &Kind::<core::Events>::NEW,
    &Kind::<core::Namespaces>::NEW,
    &Kind::<core::Nodes>::NEW,
    &Kind::<core::Pods>::NEW,
    &Kind::<core::Secrets>::NEW,
    &Kind::<core::ServiceAccounts>::NEW,
    &Kind::<coordination::Leases>::NEW,
    &Kind::<authentication::SelfSubjectReviews>::NEW,
    &Kind::<authorization::SelfSubjectAccessReviews>::NEW,
    &Kind::<authorization::SelfSubjectRulesReviews>::NEW,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn no_two_kinds_of_a_group_share_a_name() {
        let mut taken = BTreeSet::new();
        for kind in RESOURCES {
            let names = kind.names();
            for name in [names.plural, names.singular].iter().chain(names.short) {
                assert!(taken.insert((kind.group(), *name)), "{name} names two kinds");
            }
            assert!(taken.insert((kind.group(), kind.kind())), "{} is there twice", kind.kind());
        }
    }

    #[test]
    fn names_are_the_kind_in_lower_case() {
        for kind in RESOURCES {
            assert_eq!(kind.names().singular, kind.kind().to_lowercase());
            assert!(kind.names().plural.starts_with(kind.names().singular));
        }
    }

    #[test]
    fn rows_have_a_cell_for_each_column() {
        for kind in RESOURCES {
            let mut object = kind.decode(example(*kind)).expect("the example is one of its kind");
            kind.default(&mut *object);
            let row = kind.row(&*object, Timestamp::UNIX_EPOCH);
            assert_eq!(row.len(), kind.columns().len(), "{}", kind.kind());
        }
    }

    #[test]
    fn examples_survive_and_defaults_settle() {
        for kind in RESOURCES {
            let example = example(*kind);
            let mut object = kind.decode(example.clone()).expect("the example is one of its kind");
            let plain = object.to_value().expect("the example is JSON");
            let kept = |field: &str| plain.get(field) == example.get(field);
            assert!(kept("data") && kept("involvedObject") && kept("target"), "{plain}");
            kind.default(&mut *object);
            let once = object.to_value().expect("the example is JSON");
            kind.default(&mut *object);
            assert_eq!(object.to_value().expect("the example is JSON"), once);
            assert_eq!(kind.validate(&*object), [], "{}", kind.kind());
        }
    }

    fn example(kind: &dyn AnyResource) -> serde_json::Value {
        let mut example = match kind.kind() {
            "Binding" => json!({"target": {"kind": "Node", "name": "n"}}),
            "ConfigMap" => json!({"data": {"key": "value"}}),
            "Event" => json!({"involvedObject": {"kind": "Pod", "namespace": "b", "name": "p"}}),
            "Pod" => json!({"spec": {"containers": [{"name": "c", "image": "busybox"}]}}),
            "Secret" => json!({"data": {"key": "dmFsdWU="}}),
            "SelfSubjectAccessReview" => {
                return json!({"apiVersion": kind.api_version(), "kind": kind.kind(),
                    "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}});
            }
            "SelfSubjectRulesReview" => json!({"spec": {"namespace": "b"}}),
            _ => json!({}),
        };
        let namespace = (kind.scope() == Scope::Namespaced).then_some("b");
        example["apiVersion"] = json!(kind.api_version());
        example["kind"] = json!(kind.kind());
        example["metadata"] = json!({"name": "a", "namespace": namespace});
        example
    }
}
