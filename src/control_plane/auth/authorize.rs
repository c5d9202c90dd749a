//! May they: the fixed table of [`super::grants`], then the roles of [`super::rbac`], against the
//! attributes of a request.
//!
//! Upstream: `k8s.io/apiserver/pkg/authorization/authorizer`,
//! `plugin/pkg/auth/authorizer/rbac/rbac.go`.

use std::any::Any;
use std::ops::ControlFlow;
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef};

use super::Identity;
use super::grants::grants_of;
use super::identity::{CONTROLLERS, MASTERS};
use super::rbac::{Granted, Kind, Policy, Visit, allows};
use crate::api::object::{GroupResource, ObjectKey};
use crate::api::status;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attributes<'a> {
    Resource {
        /// `get`, `list`, `deletecollection` …
        verb: &'a str,
        /// Empty for the core group.
        group: &'a str,
        resource: &'a str,
        /// Empty for the resource itself.
        subresource: &'a str,
        /// Empty at the cluster scope.
        namespace: &'a str,
        /// Empty for collections.
        name: &'a str,
    },
    Path {
        /// The method in lower case.
        verb: &'a str,
        path: &'a str,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// What `api::status::forbidden` takes as the cause.
    Deny {
        cause: String,
    },
}

/// Everything somebody may do in a namespace.
#[derive(Debug, Default)]
pub struct Rules {
    pub rules: Vec<PolicyRule>,
    /// What could not be told, in upstream's words.
    pub errors: Vec<String>,
}

/// Judges by the table and by the roles that it is fed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Authorizer {
    policy: Arc<Policy>,
}

impl Authorizer {
    /// With the roles that every cluster has.
    #[cfg(test)]
    pub(super) fn with_usual_roles() -> Self {
        let authorizer = Self::default();
        for role in super::bootstrap::cluster_roles() {
            authorizer.apply(Kind::ClusterRole, Arc::new(role));
        }
        for binding in super::bootstrap::cluster_role_bindings() {
            authorizer.apply(Kind::ClusterRoleBinding, Arc::new(binding));
        }
        authorizer
    }

    /// Whether `identity` may do what `attributes` say.
    pub fn authorize(&self, identity: &Identity, attributes: &Attributes<'_>) -> Decision {
        match self.judge(identity, attributes, |_| ()) {
            Ok(_) => Decision::Allow,
            Err(reason) => {
                let refusal = attributes.refusal(&identity.user);
                let cause = match reason.as_str() {
                    "" => refusal,
                    reason => format!("{refusal}: {reason}"),
                };
                Decision::Deny { cause }
            }
        }
    }

    /// The same, with the reason as reviews tell it: by which binding, or what stood in the way. Empty
    /// where there is nothing to tell.
    pub(super) fn authorize_and_tell(
        &self,
        identity: &Identity,
        attributes: &Attributes<'_>,
    ) -> (bool, String) {
        match self.judge(identity, attributes, |granted| granted.to_string()) {
            Ok(None) => (true, String::new()),
            Ok(Some(told)) => (true, format!("RBAC: allowed by {told}")),
            Err(reason) => (false, reason),
        }
    }

    /// `Ok(None)`: by the table. `Err`: why not, if there is more to say than that nothing allows it.
    fn judge<T>(
        &self,
        identity: &Identity,
        attributes: &Attributes<'_>,
        tell: impl Fn(&Granted<'_>) -> T,
    ) -> Result<Option<T>, String> {
        let allow = |rules: &[PolicyRule]| rules.iter().any(|rule| allows(rule, attributes));
        if grants_of(identity).any(|grant| allow(&grant.rules)) {
            return Ok(None);
        }
        let namespace = match *attributes {
            Attributes::Resource { namespace, .. } => namespace,
            Attributes::Path { .. } => "",
        };
        let mut allowed = None;
        let mut errors = Vec::new();
        self.policy.visit(identity, namespace, |visit| match visit {
            Visit::Granted(granted) if allow(granted.rules) => {
                allowed = Some(tell(&granted));
                ControlFlow::Break(())
            }
            Visit::Granted(_) => ControlFlow::Continue(()),
            Visit::Missing(error) => {
                errors.push(error);
                ControlFlow::Continue(())
            }
        });
        match allowed {
            Some(told) => Ok(Some(told)),
            None if errors.is_empty() => Err(String::new()),
            None => Err(format!("RBAC: {}", status::aggregate(&errors))),
        }
    }

    /// Everything `identity` may do in the namespace; each rule once.
    pub fn rules(&self, identity: &Identity, namespace: &str) -> Rules {
        let mut found = Rules::default();
        let mut add = |rules: &[PolicyRule]| {
            for rule in rules {
                if !found.rules.contains(rule) {
                    found.rules.push(rule.clone());
                }
            }
        };
        grants_of(identity).for_each(|grant| add(&grant.rules));
        let mut errors = Vec::new();
        self.policy.visit(identity, namespace, |visit| {
            match visit {
                Visit::Granted(granted) => add(granted.rules),
                Visit::Missing(error) => errors.push(error),
            }
            ControlFlow::Continue(())
        });
        Rules { errors, ..found }
    }

    /// The rules of the role that a binding of this namespace (empty: everywhere) is to.
    ///
    /// # Errors
    /// The resource that a 404 names if it is not there.
    pub(in crate::control_plane) fn rules_of(
        &self,
        role: &RoleRef,
        namespace: &str,
    ) -> Result<Vec<PolicyRule>, GroupResource> {
        self.policy.rules_of(role, namespace)
    }

    /// Makes `objects` all there is of the kind.
    pub(in crate::control_plane) fn replace(
        &self,
        kind: Kind,
        objects: Vec<Arc<dyn Any + Send + Sync>>,
    ) {
        self.policy.replace(kind, objects);
    }

    pub(in crate::control_plane) fn apply(&self, kind: Kind, object: Arc<dyn Any + Send + Sync>) {
        self.policy.apply(kind, object);
    }

    /// Everything of the kind up to this revision of the store has been handed over.
    pub(in crate::control_plane) fn advance(&self, kind: Kind, revision: u64) {
        self.policy.advance(kind, revision);
    }

    /// Waits until what was written at this revision is judged by.
    pub(in crate::control_plane) async fn reached(&self, kind: Kind, revision: u64) {
        self.policy.reached(kind, revision).await;
    }

    pub(in crate::control_plane) fn delete(&self, kind: Kind, key: &ObjectKey) {
        self.policy.delete(kind, key);
    }
}

impl Identity {
    /// May give what it likes to whom it likes. Upstream: `EscalationAllowed`.
    pub(in crate::control_plane) fn may_escalate(&self) -> bool {
        self.is_in(MASTERS) || self.is_in(CONTROLLERS)
    }
}

impl Attributes<'_> {
    /// Upstream: `forbiddenMessage` in `endpoints/handlers/responsewriters/errors.go`.
    fn refusal(&self, user: &str) -> String {
        match *self {
            Attributes::Path { verb, path } => format!("User {user:?} cannot {verb} path {path:?}"),
            Attributes::Resource { verb, group, resource, subresource, namespace, .. } => {
                let resource = match subresource {
                    "" => resource.to_owned(),
                    _ => format!("{resource}/{subresource}"),
                };
                let place = match namespace {
                    "" => "at the cluster scope".to_owned(),
                    _ => format!("in the namespace {namespace:?}"),
                };
                format!(
                    "User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {place}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
    use serde_json::json;

    use super::*;

    const LIST_PODS: Attributes<'_> = on("list", "", "pods", "");

    const fn on<'a>(
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        subresource: &'a str,
    ) -> Attributes<'a> {
        Attributes::Resource { verb, group, resource, subresource, namespace: "default", name: "" }
    }

    const fn path(path: &str) -> Attributes<'_> {
        Attributes::Path { verb: "get", path }
    }

    #[track_caller]
    fn check(identity: &Identity, attributes: Attributes<'_>, expect: Result<(), &str>) {
        let expect = match expect {
            Ok(()) => Decision::Allow,
            Err(cause) => Decision::Deny { cause: cause.to_owned() },
        };
        assert_eq!(Authorizer::with_usual_roles().authorize(identity, &attributes), expect);
    }

    #[test]
    fn masters_and_controllers_may_do_everything_without_any_role() {
        let bare = Authorizer::default();
        for identity in [Identity::admin(), Identity::controller("namespace-controller")] {
            for attributes in
                [LIST_PODS, on("delete", "apps", "deployments", "scale"), path("/metrics")]
            {
                assert_eq!(bare.authorize(&identity, &attributes), Decision::Allow);
            }
        }
    }

    #[test]
    fn anonymous_may_see_health_and_version_only() {
        let anonymous = Identity::anonymous();
        for open in ["/healthz", "/livez", "/readyz", "/version"] {
            check(&anonymous, path(open), Ok(()));
        }
        let refusal = r#"User "system:anonymous" cannot get path "/api""#;
        check(&anonymous, path("/api"), Err(refusal));
        let refusal = r#"User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default""#;
        check(&anonymous, LIST_PODS, Err(refusal));
        let post = Attributes::Path { verb: "post", path: "/version" };
        check(&anonymous, post, Err(r#"User "system:anonymous" cannot post path "/version""#));
    }

    #[test]
    fn service_accounts_may_ask_about_themselves_only() {
        let account = Identity::service_account("kube-system", "namespace-controller", "u");
        check(&account, path("/apis/apps/v1"), Ok(()));
        let review = on("create", "authorization.k8s.io", "selfsubjectaccessreviews", "");
        check(&account, review, Ok(()));
        let refusal = r#"User "system:serviceaccount:kube-system:namespace-controller" cannot list resource "pods" in API group "" in the namespace "default""#;
        check(&account, LIST_PODS, Err(refusal));
    }

    #[test]
    fn the_scheduler_binds_but_does_not_delete_nodes() {
        let scheduler = Identity::scheduler();
        check(&scheduler, on("create", "", "pods", "binding"), Ok(()));
        check(&scheduler, LIST_PODS, Ok(()));
        let cluster_scope = Attributes::Resource {
            verb: "delete",
            group: "",
            resource: "nodes",
            subresource: "",
            namespace: "",
            name: "n",
        };
        let refusal = r#"User "system:kube-scheduler" cannot delete resource "nodes" in API group "" at the cluster scope"#;
        check(&scheduler, cluster_scope, Err(refusal));
    }

    #[test]
    fn a_node_reports_on_pods_but_does_not_change_them() {
        let node = Identity::node("sampan");
        check(&node, on("patch", "", "pods", "status"), Ok(()));
        check(&node, on("delete", "", "pods", ""), Ok(()));
        let refusal = r#"User "system:node:sampan" cannot patch resource "pods" in API group "" in the namespace "default""#;
        check(&node, on("patch", "", "pods", ""), Err(refusal));
        let refusal = r#"User "system:node:sampan" cannot create resource "pods/exec" in API group "" in the namespace "default""#;
        check(&node, on("create", "", "pods", "exec"), Err(refusal));
    }

    #[test]
    fn a_binding_allows_and_one_to_no_role_is_told() {
        let authorizer = Authorizer::default();
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": "read", "namespace": "default"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "User", "name": "ann"}],
        }))
        .unwrap();
        authorizer.apply(Kind::RoleBinding, Arc::new(binding));
        let ann = Identity::new("ann", &[]);
        let cause = r#"User "ann" cannot list resource "pods" in API group "" in the namespace "default": RBAC: role.rbac.authorization.k8s.io "reader" not found"#;
        let denied = Decision::Deny { cause: cause.to_owned() };
        assert_eq!(authorizer.authorize(&ann, &LIST_PODS), denied);
        let role: Role = serde_json::from_value(json!({
            "metadata": {"name": "reader", "namespace": "default"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
        }))
        .unwrap();
        authorizer.apply(Kind::Role, Arc::new(role));
        let told = r#"RBAC: allowed by RoleBinding "read/default" of Role "reader" to User "ann""#;
        assert_eq!(authorizer.authorize_and_tell(&ann, &LIST_PODS), (true, told.to_owned()));
        assert_eq!(authorizer.rules(&ann, "other").rules.len(), 1, "health alone");
    }
}
