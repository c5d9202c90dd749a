//! ConfigMaps.
//!
//! Upstream: `ValidateConfigMap` and `ValidateConfigMapUpdate` in
//! `pkg/apis/core/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

use super::keyed_data;
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

#[derive(Debug)]
pub(crate) struct ConfigMaps;

impl Resource for ConfigMaps {
    type Object = ConfigMap;

    const NAMES: Names =
        Names { plural: "configmaps", singular: "configmap", short: &["cm"], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;

    fn validate(map: &ConfigMap) -> Vec<FieldError> {
        let data = Path::new("data");
        let binary_data = Path::new("binaryData");
        let binary = map.binary_data.iter().flatten();
        let mut faults = Vec::new();
        for key in map.data.iter().flatten().map(|(key, _)| key) {
            faults.extend(keyed_data::validate_key(&data, key));
            if map.binary_data.as_ref().is_some_and(|binary| binary.contains_key(key)) {
                faults.push(FieldError::invalid(
                    data.key(key),
                    key.as_str(),
                    "duplicate of key present in binaryData",
                ));
            }
        }
        for (key, _) in binary.clone() {
            faults.extend(keyed_data::validate_key(&binary_data, key));
        }
        let text_bytes: usize = map.data.iter().flatten().map(|(_, text)| text.len()).sum();
        let binary_bytes: usize = binary.map(|(_, bytes)| bytes.0.len()).sum();
        if text_bytes + binary_bytes > keyed_data::BYTES_MAX {
            faults.push(FieldError::too_long(Path::default(), keyed_data::BYTES_MAX));
        }
        faults
    }

    fn validate_update(map: &ConfigMap, old: &ConfigMap) -> Vec<FieldError> {
        let mut faults = keyed_data::validate_immutable(
            (map.immutable, old.immutable),
            &[("data", map.data == old.data), ("binaryData", map.binary_data == old.binary_data)],
        );
        faults.extend(Self::validate(map));
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, column("Data", "How many keys it holds."), AGE];
        COLUMNS
    }

    fn row(map: &ConfigMap, now: Timestamp) -> Vec<Value> {
        let keys = map.data.iter().flatten().count() + map.binary_data.iter().flatten().count();
        vec![print::name(&map.metadata), keys.into(), print::age(&map.metadata, now)]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config_map(value: Value) -> ConfigMap {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check(faults: &[FieldError], expect: &[&str]) {
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expect);
    }

    #[test]
    fn a_key_is_in_one_of_the_two_bags() {
        let map = config_map(json!({"data": {"a": "1", "b": "2"}, "binaryData": {"a": "MQ=="}}));
        check(
            &ConfigMaps::validate(&map),
            &["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"],
        );
        assert_eq!(ConfigMaps::row(&map, Timestamp::UNIX_EPOCH)[1], json!(3));
    }

    #[test]
    fn the_whole_has_a_bound() {
        let half = "x".repeat(keyed_data::BYTES_MAX / 2);
        let fits = config_map(json!({"data": {"a": half, "b": half}}));
        check(&ConfigMaps::validate(&fits), &[]);
        let over = config_map(json!({"data": {"a": half, "b": half, "c": "x"}}));
        check(
            &ConfigMaps::validate(&over),
            &["<nil>: Too long: may not be more than 1048576 bytes"],
        );
    }

    #[test]
    fn an_immutable_map_stays() {
        let old = config_map(json!({"immutable": true, "data": {"a": "1"}}));
        check(&ConfigMaps::validate_update(&old, &old), &[]);
        let new = config_map(json!({"immutable": true, "data": {"a": "2"}}));
        check(
            &ConfigMaps::validate_update(&new, &old),
            &["data: Forbidden: field is immutable when `immutable` is set"],
        );
    }
}
