//! Secrets: `stringData` becomes `data`, and each type has the keys it must hold.
//!
//! Upstream: `pkg/registry/core/secret/strategy.go`; `ValidateSecret` in
//! `pkg/apis/core/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use super::keyed_data;
use crate::api::fields::{FieldError, Path};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

#[derive(Debug)]
pub(crate) struct Secrets;

impl Resource for Secrets {
    type Object = Secret;

    const NAMES: Names =
        Names { plural: "secrets", singular: "secret", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;

    fn default(secret: &mut Secret) {
        super::set_default(&mut secret.type_, "Opaque");
        // `stringData` is for writing only: it wins over `data` and is never stored.
        for (key, text) in secret.string_data.take().into_iter().flatten() {
            secret.data.get_or_insert_default().insert(key, ByteString(text.into_bytes()));
        }
    }

    fn validate(secret: &Secret) -> Vec<FieldError> {
        let data = Path::new("data");
        let mut faults = Vec::new();
        for (key, _) in secret.data.iter().flatten() {
            faults.extend(keyed_data::validate_key(&data, key));
        }
        let bytes: usize = secret.data.iter().flatten().map(|(_, value)| value.0.len()).sum();
        if bytes > keyed_data::BYTES_MAX {
            faults.push(FieldError::too_long(data.clone(), keyed_data::BYTES_MAX));
        }
        faults.extend(validate_type(secret, &data));
        faults
    }

    fn validate_update(secret: &Secret, old: &Secret) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if secret.type_ != old.type_ {
            let value = secret.type_.clone().unwrap_or_default();
            faults.push(FieldError::invalid(Path::new("type"), value, "field is immutable"));
        }
        faults.extend(keyed_data::validate_immutable(
            (secret.immutable, old.immutable),
            &[("data", secret.data == old.data)],
        ));
        faults.extend(Self::validate(secret));
        faults
    }

    fn fields(secret: &Secret) -> Vec<(&'static str, String)> {
        vec![("type", secret.type_.clone().unwrap_or_default())]
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Type", "What the secret is for, which decides the keys it must hold."),
            column("Data", "How many keys it holds."),
            AGE,
        ];
        COLUMNS
    }

    fn row(secret: &Secret, now: Timestamp) -> Vec<Value> {
        vec![
            print::name(&secret.metadata),
            secret.type_.clone().unwrap_or_default().into(),
            secret.data.iter().flatten().count().into(),
            print::age(&secret.metadata, now),
        ]
    }
}

/// The keys that the secret's type asks for.
fn validate_type(secret: &Secret, data: &Path) -> Vec<FieldError> {
    let value = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    let required = |key: &str| FieldError::required(data.key(key), "");
    let missing = |keys: &[&str]| {
        keys.iter().filter(|key| value(key).is_none()).map(|key| required(key)).collect()
    };
    let docker = |key: &str| match value(key) {
        None => vec![required(key)],
        Some(bytes) => serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes.0)
            .err()
            .map(|error| {
                FieldError::invalid(data.key(key), "<secret contents redacted>", error.to_string())
            })
            .into_iter()
            .collect(),
    };
    match secret.type_.as_deref().unwrap_or_default() {
        SERVICE_ACCOUNT_TOKEN => validate_service_account_token(secret),
        "kubernetes.io/dockercfg" => docker(".dockercfg"),
        "kubernetes.io/dockerconfigjson" => docker(".dockerconfigjson"),
        // Either of the two will do.
        "kubernetes.io/basic-auth"
            if value("username").is_none() && value("password").is_none() =>
        {
            vec![required("username"), required("password")]
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(|key| key.0.is_empty()) => {
            vec![required("ssh-privatekey")]
        }
        "kubernetes.io/tls" => missing(&["tls.crt", "tls.key"]),
        _ => Vec::new(),
    }
}

fn validate_service_account_token(secret: &Secret) -> Vec<FieldError> {
    const ANNOTATION: &str = "kubernetes.io/service-account.name";
    let annotations = secret.metadata.annotations.as_ref();
    let name = annotations.and_then(|annotations| annotations.get(ANNOTATION));
    if name.is_some_and(|name| !name.is_empty()) {
        return Vec::new();
    }
    let path = Path::new("metadata").child("annotations").key(ANNOTATION);
    vec![FieldError::required(path, "")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(value: Value) -> Secret {
        let mut secret = serde_json::from_value(value).unwrap();
        Secrets::default(&mut secret);
        secret
    }

    #[track_caller]
    fn check(value: Value, expect: &[&str]) {
        check_faults(&Secrets::validate(&secret(value)), expect);
    }

    #[track_caller]
    fn check_faults(faults: &[FieldError], expect: &[&str]) {
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expect);
    }

    #[test]
    fn string_data_becomes_data() {
        let secret =
            secret(json!({"data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new"}}));
        let value = serde_json::to_value(&secret).unwrap();
        assert_eq!(value["data"], json!({"a": "bmV3", "b": "Yg=="}));
        assert_eq!(value.get("stringData"), None);
        assert_eq!(value["type"], "Opaque");
        assert_eq!(Secrets::row(&secret, Timestamp::UNIX_EPOCH)[1..3], [json!("Opaque"), json!(2)]);
    }

    #[test]
    fn each_type_has_its_keys() {
        check(json!({"type": "example.com/anything"}), &[]);
        check(
            json!({"type": "kubernetes.io/tls", "stringData": {"tls.crt": "x"}}),
            &["data[tls.key]: Required value"],
        );
        check(
            json!({"type": "kubernetes.io/basic-auth"}),
            &["data[username]: Required value", "data[password]: Required value"],
        );
        check(json!({"type": "kubernetes.io/basic-auth", "stringData": {"password": ""}}), &[]);
        check(
            json!({"type": "kubernetes.io/ssh-auth", "stringData": {"ssh-privatekey": ""}}),
            &["data[ssh-privatekey]: Required value"],
        );
        check(
            json!({"type": "kubernetes.io/dockerconfigjson"}),
            &["data[.dockerconfigjson]: Required value"],
        );
        check(
            json!({"type": "kubernetes.io/service-account-token"}),
            &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        );
        let docker = |text: &str| {
            let value =
                json!({"type": "kubernetes.io/dockercfg", "stringData": {".dockercfg": text}});
            Secrets::validate(&secret(value))
        };
        check_faults(&docker("{}"), &[]);
        assert!(docker("[]")[0].to_string().contains("<secret contents redacted>"));
    }

    #[test]
    fn keys_are_file_names() {
        check(
            json!({"stringData": {"a/b": "", "..": ""}}),
            &[
                "data[..]: Invalid value: \"..\": must not be '..'",
                "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            ],
        );
        let big = "x".repeat(keyed_data::BYTES_MAX + 1);
        check(
            json!({"stringData": {"a": big}}),
            &["data: Too long: may not be more than 1048576 bytes"],
        );
    }

    #[test]
    fn type_and_immutable_data_stay() {
        let old = secret(json!({"immutable": true, "stringData": {"a": "1"}}));
        check_faults(&Secrets::validate_update(&old, &old), &[]);
        let new = secret(json!({"type": "example.com/x", "stringData": {"a": "2"}}));
        check_faults(
            &Secrets::validate_update(&new, &old),
            &[
                "type: Invalid value: \"example.com/x\": field is immutable",
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
            ],
        );
    }
}
