//! IngressClasses: who serves an Ingress.
//!
//! Upstream: `pkg/registry/networking/ingressclass/strategy.go`.

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassParametersReference};
use serde_json::Value;

use crate::api::fields::{FieldError, Path};
use crate::api::meta::{self, invalid_each};
use crate::control_plane::registry::print::{self, AGE, NAME, column};
use crate::control_plane::registry::rules::{set_default, text, validate_domain_prefixed_path};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

/// Bound of a controller's name, in bytes. Upstream: `maxLenIngressClassController`.
const CONTROLLER_BYTES_MAX: usize = 250;

#[derive(Debug)]
pub(crate) struct IngressClasses;

impl Resource for IngressClasses {
    type Object = IngressClass;

    const NAMES: Names =
        Names { plural: "ingressclasses", singular: "ingressclass", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Cluster;
    const GENERATION: bool = true;

    fn default(class: &mut IngressClass) {
        let spec = class.spec.get_or_insert_default();
        if let Some(parameters) = &mut spec.parameters {
            set_default(&mut parameters.scope, "Cluster");
        }
    }

    fn validate(class: &IngressClass) -> Vec<FieldError> {
        let spec = class.spec.clone().unwrap_or_default();
        let path = Path::new("spec");
        let mut faults = validate_controller(text(&spec.controller), &path.child("controller"));
        if let Some(parameters) = &spec.parameters {
            faults.extend(validate_parameters(parameters, &path.child("parameters")));
        }
        faults
    }

    fn validate_update(class: &IngressClass, old: &IngressClass) -> Vec<FieldError> {
        let controller = |class: &IngressClass| {
            class.spec.as_ref().and_then(|spec| spec.controller.clone()).unwrap_or_default()
        };
        let mut faults = Vec::new();
        if controller(class) != controller(old) {
            let path = Path::new("spec").child("controller");
            faults.push(FieldError::invalid(path, controller(class), "field is immutable"));
        }
        faults.extend(Self::validate(class));
        faults
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            column("Controller", "Who serves the Ingresses of this class."),
            column("Parameters", "Where its settings are."),
            AGE,
        ];
        COLUMNS
    }

    fn row(class: &IngressClass, now: Timestamp) -> Vec<Value> {
        let spec = class.spec.clone().unwrap_or_default();
        let parameters = spec.parameters.map(|parameters| {
            let group = parameters.api_group.map(|group| format!(".{group}")).unwrap_or_default();
            format!("{}{group}/{}", parameters.kind, parameters.name)
        });
        vec![
            print::name(&class.metadata),
            text(&spec.controller).into(),
            parameters.unwrap_or_else(|| "<none>".to_owned()).into(),
            print::age(&class.metadata, now),
        ]
    }
}

fn validate_controller(controller: &str, path: &Path) -> Vec<FieldError> {
    let mut faults = validate_domain_prefixed_path(controller, path);
    if controller.len() > CONTROLLER_BYTES_MAX {
        faults.push(FieldError::too_long(path.clone(), CONTROLLER_BYTES_MAX));
    }
    faults
}

fn validate_parameters(
    parameters: &IngressClassParametersReference,
    path: &Path,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(group) = &parameters.api_group {
        faults.extend(invalid_each(&path.child("apiGroup"), group, meta::dns1123_subdomain(group)));
    }
    for (field, value) in [("kind", &parameters.kind), ("name", &parameters.name)] {
        let path = path.child(field);
        match value.as_str() {
            "" => faults.push(FieldError::required(path, "")),
            value => faults.extend(invalid_each(&path, value, meta::path_segment_name(value))),
        }
    }
    let at = path.child("namespace");
    match (text(&parameters.scope), &parameters.namespace) {
        ("Namespace", None) => {
            faults.push(FieldError::required(at, "`parameters.scope` is set to 'Namespace'"));
        }
        ("Namespace", Some(name)) => {
            faults.extend(invalid_each(&at, name, meta::dns1123_label(name)))
        }
        ("Cluster", Some(_)) => {
            faults.push(FieldError::forbidden(at, "`parameters.scope` is set to 'Cluster'"));
        }
        ("Cluster", None) => {}
        ("", _) => faults.push(FieldError::required(path.child("scope"), "")),
        (other, _) => {
            let path = path.child("scope");
            faults.push(FieldError::not_supported(path, other, &["Cluster", "Namespace"]));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(spec: Value) -> IngressClass {
        let mut class = serde_json::from_value(json!({"spec": spec})).unwrap();
        IngressClasses::default(&mut class);
        class
    }

    #[test]
    fn a_controller_is_named_with_its_domain_and_stays() {
        let faults = |spec| {
            let faults = IngressClasses::validate(&class(spec));
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(faults(json!({"controller": "sampan.dev/ingress"})), [""; 0]);
        assert_eq!(faults(json!({})), ["spec.controller: Required value"]);
        assert_eq!(
            faults(json!({"controller": "nginx"})),
            [
                "spec.controller: Invalid value: \"nginx\": must be a domain-prefixed path (such as \"acme.io/foo\")"
            ]
        );
        let (old, new) =
            (class(json!({"controller": "a.b/c"})), class(json!({"controller": "a.b/d"})));
        assert_eq!(
            IngressClasses::validate_update(&new, &old)[0].to_string(),
            "spec.controller: Invalid value: \"a.b/d\": field is immutable"
        );
    }

    #[test]
    fn parameters_are_shown_with_their_group() {
        let class = class(json!({"controller": "a.b/c",
            "parameters": {"apiGroup": "k8s.example.org", "kind": "Settings", "name": "x"}}));
        assert_eq!(IngressClasses::validate(&class), []);
        let row = IngressClasses::row(&class, Timestamp::UNIX_EPOCH);
        assert_eq!(row[1..3], ["a.b/c", "Settings.k8s.example.org/x"]);
    }
}
