//! Facts about strategic merges, and that a patch made from a difference makes up for it.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Map, Value, json};

use super::apply;
use crate::api::patch::Error;
use crate::api::schema::{self, Type};

fn deployment() -> &'static Type {
    schema::of("apps", "v1", "Deployment").expect("a kind of the table")
}

/// A Deployment with this Pod spec.
fn with_spec(spec: Value) -> Value {
    json!({"spec": {"template": {"spec": spec}}})
}

#[track_caller]
fn check(object: Value, patch: Value, expect: Value) {
    assert_eq!(apply(object, &patch, deployment()), Ok(expect));
}

#[track_caller]
fn check_spec(object: Value, patch: Value, expect: Value) {
    check(with_spec(object), with_spec(patch), with_spec(expect));
}

#[track_caller]
fn check_malformed(object: Value, patch: Value, expect: &str) {
    let result = apply(with_spec(object), &with_spec(patch), deployment());
    assert_eq!(result, Err(Error::Malformed(expect.to_owned())));
}

#[test]
fn maps_merge_and_nulls_delete() {
    check(
        json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 1}}),
        json!({"metadata": {"labels": {"a": null, "c": "3", "d": null}}, "spec": {"paused": true}}),
        json!({"metadata": {"labels": {"b": "2", "c": "3"}}, "spec": {"replicas": 1, "paused": true}}),
    );
}

#[test]
fn containers_merge_by_name_and_the_patchs_items_come_first() {
    check_spec(
        json!({"containers": [{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}]}),
        json!({"containers": [{"name": "a", "image": "a:2", "args": ["y"]}, {"name": "c", "image": "c:1"}]}),
        json!({"containers": [
            {"name": "a", "image": "a:2", "args": ["y"]},
            {"name": "c", "image": "c:1"},
            {"name": "b", "image": "b:1"},
        ]}),
    );
}

#[test]
fn set_image_changes_one_container_and_keeps_the_order() {
    check_spec(
        json!({"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]}),
        json!({
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "b", "image": "b:2"}],
        }),
        json!({"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}]}),
    );
}

#[test]
fn element_order_sorts_and_leaves_others_between_their_neighbours() {
    check_spec(
        json!({"containers": [{"name": "a"}, {"name": "sidecar"}, {"name": "b"}]}),
        json!({
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}, {"name": "c"}],
            "containers": [{"name": "c"}],
        }),
        json!({"containers": [{"name": "sidecar"}, {"name": "b"}, {"name": "a"}, {"name": "c"}]}),
    );
    check_spec(
        json!({}),
        json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "a"}]}),
        json!({"containers": [{"name": "a"}]}),
    );
}

#[test]
fn an_item_that_takes_the_place_of_a_deleted_one_comes_last() {
    check_spec(
        json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
        json!({
            "$setElementOrder/containers": [{"name": "d"}],
            "containers": [{"name": "d"}, {"name": "a", "$patch": "delete"}],
        }),
        json!({"containers": [{"name": "b"}, {"name": "c"}, {"name": "d"}]}),
    );
}

#[test]
fn items_are_deleted_by_name() {
    check_spec(
        json!({"containers": [{"name": "a"}, {"name": "b"}]}),
        json!({
            "$setElementOrder/containers": [{"name": "b"}],
            "containers": [{"name": "a", "$patch": "delete"}, {"name": "x", "$patch": "delete"}],
        }),
        json!({"containers": [{"name": "b"}]}),
    );
}

#[test]
fn lists_and_maps_are_replaced_when_told() {
    check_spec(
        json!({"containers": [{"name": "a"}], "securityContext": {"runAsUser": 1}}),
        json!({
            "containers": [{"name": "b"}, {"$patch": "replace"}],
            "securityContext": {"$patch": "replace", "runAsGroup": 2},
        }),
        json!({"containers": [{"name": "b"}], "securityContext": {"runAsGroup": 2}}),
    );
    check_spec(
        json!({"securityContext": {"runAsUser": 1}}),
        json!({"securityContext": {"$patch": "delete"}}),
        json!({"securityContext": {}}),
    );
}

#[test]
fn lists_that_do_not_merge_are_replaced() {
    check_spec(
        json!({"tolerations": [{"key": "a"}, {"key": "b"}]}),
        json!({"tolerations": [{"key": "c"}]}),
        json!({"tolerations": [{"key": "c"}]}),
    );
}

#[test]
fn scalars_are_added_once_and_deleted_by_value() {
    check(
        json!({"metadata": {"finalizers": ["x/a", "x/b"]}}),
        json!({"metadata": {"finalizers": ["x/b", "x/c"]}}),
        json!({"metadata": {"finalizers": ["x/a", "x/b", "x/c"]}}),
    );
    check(
        json!({"metadata": {"finalizers": ["x/a", "x/b"]}}),
        json!({"metadata": {
            "$deleteFromPrimitiveList/finalizers": ["x/a"],
            "$setElementOrder/finalizers": ["x/c", "x/b"],
            "finalizers": ["x/c"],
        }}),
        json!({"metadata": {"finalizers": ["x/c", "x/b"]}}),
    );
    check(
        json!({"metadata": {}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"]}}),
        json!({"metadata": {}}),
    );
}

#[test]
fn retained_keys_push_out_all_others() {
    check(
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
    check_spec(
        json!({"volumes": [{"name": "a", "emptyDir": {}}]}),
        json!({"volumes": [
            {"name": "a", "$retainKeys": ["name", "configMap"], "configMap": {"name": "x"}},
        ]}),
        json!({"volumes": [{"name": "a", "configMap": {"name": "x"}}]}),
    );
    check_malformed(
        json!({"volumes": [{"name": "a"}]}),
        json!({"volumes": [{"name": "a", "$retainKeys": ["emptyDir"]}]}),
        "invalid patch format of retainKeys",
    );
}

#[test]
fn what_the_patch_alone_brings_has_no_nulls_and_no_directives() {
    check_spec(
        json!({"containers": [{"name": "a"}]}),
        json!({"containers": [{
            "name": "a",
            "env": [{"name": "X", "value": "1", "valueFrom": null}, {"name": "Y", "$patch": "delete"}],
            "resources": {"$patch": "replace", "limits": {"cpu": null}},
            "lifecycle": {"$patch": "delete"},
        }]}),
        json!({"containers": [{
            "name": "a",
            "env": [{"name": "X", "value": "1"}],
            "resources": {"limits": {}},
        }]}),
    );
}

#[test]
fn values_of_another_type_are_replaced() {
    check(
        json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}}}}),
        json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 1}}}}),
        json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 1}}}}),
    );
}

#[test]
fn unknown_fields_pass_to_the_decoder_unless_they_would_have_to_merge() {
    check(json!({"spec": {}}), json!({"spec": {"x": 1}}), json!({"spec": {"x": 1}}));
    let result = apply(json!({"x": {}}), &json!({"x": {}}), deployment());
    let text = "unable to find api field in struct Deployment for the json field \"x\"";
    assert_eq!(result, Err(Error::Malformed(text.to_owned())));
}

#[test]
fn senseless_patches_are_refused_with_upstreams_words() {
    let object = json!({"containers": [{"name": "a", "image": "x"}], "securityContext": {}});
    check_malformed(
        object.clone(),
        json!({"containers": [{"image": "y", "ports": [{"hostPort": 1}]}]}),
        "map: map[image:y ports:[map[hostPort:1]]] does not contain declared merge key: name",
    );
    check_malformed(
        object.clone(),
        json!({"securityContext": {"$patch": "burn"}}),
        "unknown patch type: burn in map: map[$patch:burn]",
    );
    check_malformed(
        object.clone(),
        json!({"containers": [{"name": "a", "$patch": "merge"}]}),
        "merging lists cannot yet be specified in the patch",
    );
    check_malformed(
        object.clone(),
        json!({"containers": [{"name": "a"}, "b"]}),
        "list element types are not identical: [[map[image:x name:a]] [map[name:a] b]]",
    );
    check_malformed(
        object.clone(),
        json!({
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "b"}, {"name": "a"}],
        }),
        "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder \
         list:\n[map[name:a] map[name:b]]\n",
    );
    check_malformed(
        object.clone(),
        json!({"$setElementOrder/containers": "a"}),
        "invalid patch format of setElementOrder list",
    );
    check_malformed(
        object,
        json!({"$deleteFromPrimitiveList": ["a"]}),
        "invalid patch format of primitive list",
    );
    assert!(matches!(apply(json!({}), &json!([1]), deployment()), Err(Error::Malformed(_))));
}

/// The patch that kubectl would make of a step from `old` to `new`.
///
/// Upstream: `CreateTwoWayMergePatch`.
fn difference(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    of: Option<&'static Type>,
    retain: bool,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, value) in new {
        let field = of.and_then(|of| of.field(key));
        let inner = field.and_then(schema::Field::object);
        match (old.get(key), value) {
            (Some(Value::Object(before)), Value::Object(after)) => {
                let retain = field.is_some_and(|field| field.retain_keys);
                let patched = difference(before, after, inner, retain);
                if !patched.is_empty() {
                    patch.insert(key.clone(), Value::Object(patched));
                }
            }
            (Some(Value::Array(before)), Value::Array(after))
                if field.is_some_and(|field| field.merge) =>
            {
                patch.extend(list_difference(key, before, after, field.expect("just seen")));
            }
            (Some(before), after) if before == after => {}
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    let gone: Vec<&String> = old.keys().filter(|key| !new.contains_key(*key)).collect();
    if retain && !(patch.is_empty() && gone.is_empty()) {
        let keys: Vec<&String> = new.keys().collect();
        patch.insert("$retainKeys".to_owned(), json!(keys));
    }
    patch.extend(gone.into_iter().map(|key| (key.clone(), Value::Null)));
    patch
}

fn list_difference(
    key: &str,
    old: &[Value],
    new: &[Value],
    field: &'static schema::Field,
) -> Map<String, Value> {
    let mut patch = Map::new();
    if old == new {
        return patch;
    }
    let add = |patch: &mut Map<String, Value>, prefix: &str, items: Vec<Value>| {
        if !items.is_empty() {
            patch.insert(format!("{prefix}{key}"), Value::Array(items));
        }
    };
    let Some(name) = field.merge_key else {
        let without = |list: &[Value], other: &[Value]| -> Vec<Value> {
            list.iter().filter(|item| !other.contains(item)).cloned().collect()
        };
        add(&mut patch, "", without(new, old));
        add(&mut patch, "$deleteFromPrimitiveList/", without(old, new));
        add(&mut patch, "$setElementOrder/", new.to_vec());
        return patch;
    };
    let find = |list: &[Value], item: &Value| -> Option<Value> {
        list.iter().find(|other| other[name] == item[name]).cloned()
    };
    let mut items = Vec::new();
    for item in new {
        match find(old, item) {
            None => items.push(item.clone()),
            Some(before) => {
                let (before, after) = (before.as_object().cloned(), item.as_object().cloned());
                let (before, after) = (before.expect("a map"), after.expect("a map"));
                let mut patched = difference(&before, &after, field.object(), field.retain_keys);
                if !patched.is_empty() {
                    patched.insert(name.to_owned(), item[name].clone());
                    items.push(Value::Object(patched));
                }
            }
        }
    }
    let gone = old.iter().filter(|item| find(new, item).is_none());
    items.extend(gone.map(|item| json!({name: item[name], "$patch": "delete"})));
    add(&mut patch, "", items);
    add(
        &mut patch,
        "$setElementOrder/",
        new.iter().map(|item| json!({name: item[name]})).collect(),
    );
    patch
}

/// Items named `a` to `e`, each at most once, in any order.
fn named(item: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Vec<Value>> {
    let names = subsequence(vec!["a", "b", "c", "d", "e"], 0..=5).prop_shuffle();
    (names, vec(item, 5)).prop_map(|(names, items)| {
        let with_name = |(name, mut item): (&str, Value)| {
            item["name"] = json!(name);
            item
        };
        names.into_iter().zip(items).map(with_name).collect()
    })
}

fn small_map() -> impl Strategy<Value = Value> {
    btree_map("[xyz]", "[123]", 0..3).prop_map(|map| json!(map))
}

/// A map with some of the fields.
fn some_of(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> impl Strategy<Value = Value> {
    let (names, values): (Vec<&str>, Vec<BoxedStrategy<Value>>) = fields.into_iter().unzip();
    let count = names.len();
    (values, vec(any::<bool>(), count)).prop_map(move |(values, present)| {
        let fields = names.iter().zip(values).zip(present);
        let map: Map<String, Value> = fields
            .filter(|(_, present)| *present)
            .map(|((name, value), _)| ((*name).to_owned(), value))
            .collect();
        Value::Object(map)
    })
}

fn container() -> impl Strategy<Value = Value> {
    let env = named(small_map().prop_map(|map| json!({"value": map.to_string()})));
    some_of(vec![
        ("image", "[ab]:[12]".prop_map(Value::from).boxed()),
        ("args", vec("[xy]", 0..3).prop_map(|args| json!(args)).boxed()),
        ("env", env.prop_map(Value::Array).boxed()),
        ("resources", small_map().prop_map(|map| json!({"limits": map})).boxed()),
    ])
}

fn volume() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"emptyDir": {}})),
        Just(json!({"emptyDir": {"medium": "Memory"}})),
        "[ab]".prop_map(|name| json!({"configMap": {"name": name}})),
    ]
}

fn objects() -> impl Strategy<Value = Value> {
    let finalizers = subsequence(vec!["x/a", "x/b", "x/c"], 0..=3).prop_shuffle();
    let metadata = some_of(vec![
        ("labels", small_map().boxed()),
        ("finalizers", finalizers.prop_map(|list| json!(list)).boxed()),
    ]);
    let tolerations = vec("[ab]".prop_map(|key| json!({"key": key})), 0..3);
    let spec = some_of(vec![
        ("containers", named(container()).prop_map(Value::Array).boxed()),
        ("volumes", named(volume()).prop_map(Value::Array).boxed()),
        ("nodeSelector", small_map().boxed()),
        ("tolerations", tolerations.prop_map(Value::Array).boxed()),
    ]);
    let strategy = prop_oneof![
        Just(json!({"type": "Recreate"})),
        Just(json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})),
    ];
    (metadata, spec, strategy).prop_map(|(metadata, spec, strategy)| {
        json!({"metadata": metadata, "spec": {"template": {"spec": spec}, "strategy": strategy}})
    })
}

/// A random patch: fields, directives and nonsense.
fn patches() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        prop::sample::select(vec!["a", "b", "delete", "replace", "merge"]).prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "spec",
        "template",
        "containers",
        "name",
        "env",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$setElementOrder",
        "$deleteFromPrimitiveList/containers",
    ]);
    leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((keys.clone(), inner), 0..4).prop_map(|entries| {
                entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_patch_made_from_a_difference_makes_up_for_it(old in objects(), new in objects()) {
        let map = |value: &Value| value.as_object().cloned().expect("a map");
        let patch = difference(&map(&old), &map(&new), Some(deployment()), false);
        prop_assert_eq!(apply(old, &Value::Object(patch), deployment()), Ok(new));
    }

    #[test]
    fn an_empty_patch_changes_nothing(object in objects()) {
        prop_assert_eq!(apply(object.clone(), &json!({}), deployment()), Ok(object));
    }

    #[test]
    fn no_patch_is_too_strange_to_answer(object in objects(), patch in patches(), at in any::<Index>()) {
        let patch = [patch.clone(), with_spec(patch.clone()), json!({"spec": patch})][at.index(3)].clone();
        if let Ok(patched) = apply(object, &patch, deployment()) {
            prop_assert!(patched.is_object());
        }
    }
}
