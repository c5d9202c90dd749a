//! Roles and bindings: their author has every permission they give, or may `escalate` or `bind`.
//!
//! Upstream: `pkg/registry/rbac/{role,clusterrole,rolebinding,clusterrolebinding}/policybased/storage.go`,
//! `ConfirmNoEscalation` in `pkg/registry/rbac/validation/rule.go`.

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{AnyObjectRef, typed};
use crate::api::status;
use crate::control_plane::apiserver::call::Call;
use crate::control_plane::apiserver::status::Outcome;
use crate::control_plane::auth::rbac::{describe, quoted_list, uncovered};
use crate::control_plane::auth::{Attributes, Decision};

pub(super) fn check(
    call: &Call,
    object: AnyObjectRef<'_>,
    old: Option<AnyObjectRef<'_>>,
) -> Outcome<()> {
    if call.identity.may_escalate() || old.is_some_and(|old| is_only_collected(object, old)) {
        return Ok(());
    }
    if let Some(role) = typed::<Role>(object) {
        check_role(call, object, role.rules.as_deref())
    } else if let Some(role) = typed::<ClusterRole>(object) {
        check_role(call, object, role.rules.as_deref())?;
        let old = old.and_then(typed::<ClusterRole>);
        let aggregates = [Some(role), old].into_iter().flatten();
        check_aggregation(call, object, aggregates)
    } else if let Some(binding) = typed::<RoleBinding>(object) {
        check_binding(call, object, &binding.role_ref)
    } else if let Some(binding) = typed::<ClusterRoleBinding>(object) {
        check_binding(call, object, &binding.role_ref)
    } else {
        Ok(())
    }
}

fn check_role(call: &Call, object: AnyObjectRef<'_>, rules: Option<&[PolicyRule]>) -> Outcome<()> {
    if may_escalate(call) {
        return Ok(());
    }
    check_rules(call, object, rules.unwrap_or_default())
}

fn may_escalate(call: &Call) -> bool {
    let attributes = call.request.attributes("escalate");
    call.server.authorizer().authorize(&call.identity, &attributes) == Decision::Allow
}

/// Who gathers rules may come to have any.
fn check_aggregation<'a>(
    call: &Call,
    object: AnyObjectRef<'_>,
    mut roles: impl Iterator<Item = &'a ClusterRole>,
) -> Outcome<()> {
    let aggregates = |role: &ClusterRole| {
        let selectors = role.aggregation_rule.as_ref();
        let selectors = selectors.and_then(|rule| rule.cluster_role_selectors.as_ref());
        selectors.is_some_and(|selectors| !selectors.is_empty())
    };
    if !roles.any(aggregates) || may_escalate(call) {
        return Ok(());
    }
    let all = || Some(vec!["*".to_owned()]);
    let everything = [
        PolicyRule {
            verbs: vec!["*".to_owned()],
            api_groups: all(),
            resources: all(),
            ..PolicyRule::default()
        },
        PolicyRule {
            verbs: vec!["*".to_owned()],
            non_resource_urls: all(),
            ..PolicyRule::default()
        },
    ];
    let owned = call.server.authorizer().rules(&call.identity, call.namespace());
    if uncovered(&owned.rules, &everything).is_empty() {
        return Ok(());
    }
    let cause = "must have cluster-admin privileges to use the aggregationRule";
    Err(call.refused_object(object, cause))
}

fn check_binding(call: &Call, object: AnyObjectRef<'_>, role: &RoleRef) -> Outcome<()> {
    let resource = match role.kind.as_str() {
        "Role" => "roles",
        "ClusterRole" => "clusterroles",
        // Validation tells what is wrong with it.
        _ => return Ok(()),
    };
    let bind = Attributes::Resource {
        verb: "bind",
        group: &role.api_group,
        resource,
        subresource: "",
        namespace: call.namespace(),
        name: &role.name,
    };
    let authorizer = call.server.authorizer();
    if authorizer.authorize(&call.identity, &bind) == Decision::Allow {
        return Ok(());
    }
    let rules = authorizer.rules_of(role, call.namespace());
    let rules = rules.map_err(|resource| status::not_found(&resource, &role.name))?;
    check_rules(call, object, &rules)
}

fn check_rules(call: &Call, object: AnyObjectRef<'_>, rules: &[PolicyRule]) -> Outcome<()> {
    let owned = call.server.authorizer().rules(&call.identity, call.namespace());
    let missing = uncovered(&owned.rules, rules);
    if missing.is_empty() {
        return Ok(());
    }
    let mut cause = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        call.identity.user,
        quoted_list(&call.identity.groups),
        describe(&missing)
    );
    if !owned.errors.is_empty() {
        cause.push_str(&format!("; resolution errors: {}", status::aggregate(&owned.errors)));
    }
    Err(call.refused_object(object, cause))
}

/// Whether nothing changes but what the garbage collector changes. Upstream: `IsOnlyMutatingGCFields`.
fn is_only_collected(object: AnyObjectRef<'_>, old: AnyObjectRef<'_>) -> bool {
    let mut copy = object.cloned();
    let meta: &mut ObjectMeta = copy.metadata_mut();
    let before = old.metadata();
    let collected =
        meta.owner_references != before.owner_references || meta.finalizers != before.finalizers;
    meta.owner_references.clone_from(&before.owner_references);
    meta.finalizers.clone_from(&before.finalizers);
    meta.managed_fields.clone_from(&before.managed_fields);
    let same = match (copy.to_json(), old.to_json()) {
        (Ok(copy), Ok(old)) => copy == old,
        _ => false,
    };
    collected && same
}
