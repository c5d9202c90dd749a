//! JSON patch (RFC 6902): a list of operations, all or none of which happen.
//!
//! Upstream applies them with `github.com/evanphx/json-patch`, whose words the errors use.

use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::Value;

use super::Error;

/// Bound: upstream's `maxJSONPatchOperations`.
const OPERATIONS_MAX: usize = 10_000;

/// Bound: what `copy` operations may add, in bytes of JSON, as upstream's
/// `AccumulatedCopySizeLimit`; without it a few of them could double an object out of memory.
const COPY_BYTES_MAX: usize = 3 << 20;

/// Applies `patch`, a list of operations, to `object`.
///
/// # Errors
/// A patch that is no list of operations, or the first operation that fails.
pub fn apply(mut object: Value, patch: &Value) -> Result<Value, Error> {
    let operations = read(patch)?;
    let mut copied_bytes = 0;
    for operation in &operations {
        if let PatchOperation::Copy(copy) = operation {
            copied_bytes += copy.from.resolve(&object).map_or(0, |value| value.to_string().len());
            if copied_bytes > COPY_BYTES_MAX {
                return Err(Error::TooLarge(format!(
                    "Unable to copy, the accumulated size increase of copy is {copied_bytes}, \
                     exceeding the limit {COPY_BYTES_MAX}"
                )));
            }
        }
        // Undoing a failed operation is not needed: the half-patched object is dropped.
        json_patch::patch_unsafe(&mut object, std::slice::from_ref(operation))
            .map_err(|error| Error::Rejected(words(operation, &object, &error.kind)))?;
    }
    Ok(object)
}

fn read(patch: &Value) -> Result<Vec<PatchOperation>, Error> {
    let Value::Array(items) = patch else {
        return Err(Error::Malformed(
            "error decoding patch: json: a JSON patch is a list of operations".to_owned(),
        ));
    };
    if items.len() > OPERATIONS_MAX {
        let count = items.len();
        return Err(Error::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {count}"
        )));
    }
    items.iter().enumerate().map(|(index, item)| read_operation(index, item)).collect()
}

fn read_operation(index: usize, item: &Value) -> Result<PatchOperation, Error> {
    let kind = item.get("op").and_then(Value::as_str).unwrap_or("unknown");
    if !["add", "remove", "replace", "move", "copy", "test"].contains(&kind) {
        return Err(Error::Rejected(format!("Unexpected kind: {kind}")));
    }
    let mut item = item.clone();
    // Upstream reads a missing value as null.
    if let Value::Object(fields) = &mut item {
        fields.entry("value").or_insert(Value::Null);
    }
    serde_json::from_value(item).map_err(|error| {
        Error::Malformed(format!("error decoding patch: operation {index}: {error}"))
    })
}

fn words(operation: &PatchOperation, object: &Value, kind: &PatchErrorKind) -> String {
    let path = operation.path();
    let parent_exists = path.parent().is_none_or(|parent| parent.resolve(object).is_ok());
    let missing = |name: &str| {
        let what = if parent_exists { "key" } else { "path" };
        format!("{name} operation does not apply: doc is missing {what}: {path}: missing value")
    };
    match (operation, kind) {
        (_, PatchErrorKind::TestFailed) => format!("testing value {path} failed: test failed"),
        (_, PatchErrorKind::CannotMoveInsideItself) => {
            format!("move operation does not apply: {path} is inside of the moved value")
        }
        (PatchOperation::Move(step), PatchErrorKind::InvalidFromPointer) => {
            let from = &step.from;
            format!(
                "move operation does not apply: doc is missing from path: {from}: missing value"
            )
        }
        (PatchOperation::Copy(step), PatchErrorKind::InvalidFromPointer) => {
            let from = &step.from;
            format!(
                "copy operation does not apply: doc is missing from path: {from}: missing value"
            )
        }
        (PatchOperation::Add(_), _) => missing("add"),
        (PatchOperation::Remove(_), _) => missing("remove"),
        (PatchOperation::Replace(_), _) => missing("replace"),
        (PatchOperation::Move(_), _) => missing("move"),
        (PatchOperation::Copy(_), _) => missing("copy"),
        (PatchOperation::Test(_), _) => {
            format!("testing path {path} failed: missing value")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(object: Value, patch: Value, expect: Value) {
        assert_eq!(apply(object, &patch), Ok(expect));
    }

    #[track_caller]
    fn check_error(object: Value, patch: Value, expect: Error) {
        assert_eq!(apply(object, &patch), Err(expect));
    }

    #[test]
    fn operations_happen_in_order() {
        check(
            json!({"spec": {"replicas": 1, "list": ["a"]}, "old": {"x": 1}}),
            json!([
                {"op": "test", "path": "/spec/replicas", "value": 1},
                {"op": "replace", "path": "/spec/replicas", "value": 2},
                {"op": "add", "path": "/spec/list/-", "value": "b"},
                {"op": "add", "path": "/spec/list/0", "value": "c"},
                {"op": "copy", "from": "/old", "path": "/new"},
                {"op": "move", "from": "/old/x", "path": "/new/y~1z"},
                {"op": "remove", "path": "/old"},
            ]),
            json!({"spec": {"replicas": 2, "list": ["c", "a", "b"]}, "new": {"x": 1, "y/z": 1}}),
        );
    }

    #[test]
    fn failures_name_the_path() {
        let rejected = |text: &str| Error::Rejected(text.to_owned());
        check_error(
            json!({"a": 1}),
            json!([{"op": "test", "path": "/a", "value": 2}]),
            rejected("testing value /a failed: test failed"),
        );
        check_error(
            json!({"a": {}}),
            json!([{"op": "remove", "path": "/a/b"}]),
            rejected("remove operation does not apply: doc is missing key: /a/b: missing value"),
        );
        check_error(
            json!({}),
            json!([{"op": "add", "path": "/a/b", "value": 1}]),
            rejected("add operation does not apply: doc is missing path: /a/b: missing value"),
        );
        check_error(json!({}), json!([{"op": "x"}]), rejected("Unexpected kind: x"));
    }

    #[test]
    fn malformed_patches_are_told_apart_from_failing_ones() {
        assert!(matches!(apply(json!({}), &json!({})), Err(Error::Malformed(_))));
        assert!(matches!(apply(json!({}), &json!([{"op": "add"}])), Err(Error::Malformed(_))));
        let many = vec![json!({"op": "test", "path": "", "value": {}}); OPERATIONS_MAX + 1];
        assert!(matches!(apply(json!({}), &Value::Array(many)), Err(Error::TooLarge(_))));
    }

    #[test]
    fn copies_cannot_grow_without_end() {
        let double = |n: usize| json!({"op": "copy", "from": "", "path": format!("/k{n}")});
        let patch: Vec<Value> = (0..40).map(double).collect();
        let result = apply(json!({"a": "x".repeat(100)}), &Value::Array(patch));
        assert!(matches!(result, Err(Error::TooLarge(_))), "{result:?}");
    }
}
