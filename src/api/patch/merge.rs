//! Merge patch (RFC 7396): maps merge, null deletes, everything else replaces.

use serde_json::Value;

use super::Error;

/// Applies `patch` to `object`.
///
/// # Errors
/// A patch that is no map: it would replace the whole object.
pub fn apply(mut object: Value, patch: &Value) -> Result<Value, Error> {
    if !patch.is_object() {
        return Err(Error::Malformed("Invalid JSON Patch".to_owned()));
    }
    json_patch::merge(&mut object, patch);
    Ok(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_merge_and_nulls_delete() {
        let object = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "list": [1, 2]});
        let patch = json!({
            "metadata": {"labels": {"b": null, "c": "3"}, "annotations": {"x": null, "y": "1"}},
            "list": [{"z": null}],
        });
        let expect = json!({
            "metadata": {"labels": {"a": "1", "c": "3"}, "annotations": {"y": "1"}},
            "list": [{"z": null}],
        });
        assert_eq!(apply(object, &patch), Ok(expect));
    }

    #[test]
    fn a_patch_is_a_map() {
        let error = apply(json!({}), &json!([])).expect_err("a list");
        assert_eq!(error, Error::Malformed("Invalid JSON Patch".to_owned()));
    }
}
