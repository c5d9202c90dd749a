//! May they. Pure: the fixed table of [`super::grants`] against the attributes of a request.
//!
//! Upstream: `k8s.io/apiserver/pkg/authorization/authorizer`, rule matching as in
//! `pkg/apis/rbac/v1/evaluation_helpers.go`.

use super::Identity;
use super::grants::rules_of;

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

/// Whether `identity` may do what `attributes` say.
pub fn authorize(identity: &Identity, attributes: &Attributes<'_>) -> Decision {
    if rules_of(identity).any(|rule| rule.allows(attributes)) {
        return Decision::Allow;
    }
    Decision::Deny { cause: attributes.refusal(&identity.user) }
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
        assert_eq!(authorize(identity, &attributes), expect);
    }

    #[test]
    fn masters_and_controllers_may_do_everything() {
        for identity in [Identity::admin(), Identity::controller("namespace-controller")] {
            check(&identity, LIST_PODS, Ok(()));
            check(&identity, on("delete", "apps", "deployments", "scale"), Ok(()));
            check(&identity, path("/metrics"), Ok(()));
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
        let post = Attributes::Path { verb: "post", path: "/healthz" };
        check(&anonymous, post, Err(r#"User "system:anonymous" cannot post path "/healthz""#));
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
}
