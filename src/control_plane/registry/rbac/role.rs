//! Roles: what somebody may do in one namespace.
//!
//! Upstream: `ValidateRole` in `pkg/apis/rbac/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::Role;
use serde_json::Value;

use super::rules::validate_rules;
use crate::api::fields::FieldError;
use crate::api::meta::path_segment_name;
use crate::control_plane::registry::print::{self, CREATED_AT, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope};

#[derive(Debug)]
pub(crate) struct Roles;

impl Resource for Roles {
    type Object = Role;

    const NAMES: Names = Names { plural: "roles", singular: "role", short: &[], categories: &[] };
    const SCOPE: Scope = Scope::Namespaced;
    const CREATES_ON_UPDATE: bool = true;

    fn validate(role: &Role) -> Vec<FieldError> {
        validate_rules(role.rules.as_ref(), Self::SCOPE)
    }

    fn validate_name(name: &str) -> Vec<String> {
        path_segment_name(name)
    }

    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, CREATED_AT];
        COLUMNS
    }

    fn row(role: &Role, _: Timestamp) -> Vec<Value> {
        vec![print::name(&role.metadata), print::created_at(&role.metadata)]
    }
}
