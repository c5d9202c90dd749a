//! Answers to questions: `kubectl auth can-i`, `can-i --list`, `whoami`, and whether somebody else may.
//!
//! Upstream: `pkg/registry/authorization`, `pkg/registry/authentication/selfsubjectreview`.

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, SelfSubjectReviewStatus, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, NonResourceRule, ResourceAttributes, ResourceRule,
    SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReviewSpec,
    SubjectAccessReviewStatus, SubjectRulesReviewStatus,
};

use super::{Attributes, Authorizer, Identity};
use crate::api::status::aggregate;

impl Authorizer {
    /// Fills in whether `identity` may do what the review asks about.
    pub fn answer_self(&self, identity: &Identity, review: &mut SelfSubjectAccessReview) {
        let spec = &review.spec;
        let asked = (spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
        review.status = Some(self.answer(identity, &attributes(asked.0, asked.1)));
    }

    /// Whether whom the review is about may do what it asks about.
    pub fn answer_subject(&self, spec: &SubjectAccessReviewSpec) -> SubjectAccessReviewStatus {
        let identity = Identity {
            user: spec.user.clone().unwrap_or_default(),
            uid: spec.uid.clone().unwrap_or_default(),
            groups: spec.groups.clone().unwrap_or_default(),
            extra: spec.extra.clone().unwrap_or_default(),
        };
        let asked = (spec.resource_attributes.as_ref(), spec.non_resource_attributes.as_ref());
        self.answer(&identity, &attributes(asked.0, asked.1))
    }

    fn answer(&self, identity: &Identity, asked: &Attributes<'_>) -> SubjectAccessReviewStatus {
        let (allowed, reason) = self.authorize_and_tell(identity, asked);
        SubjectAccessReviewStatus {
            allowed,
            reason: Some(reason).filter(|reason| !reason.is_empty()),
            ..SubjectAccessReviewStatus::default()
        }
    }

    /// Fills in everything `identity` may do in the namespace that the review names.
    pub fn answer_rules(&self, identity: &Identity, review: &mut SelfSubjectRulesReview) {
        let namespace = review.spec.namespace.as_deref().unwrap_or_default();
        let found = self.rules(identity, namespace);
        let mut status = SubjectRulesReviewStatus {
            evaluation_error: (!found.errors.is_empty()).then(|| aggregate(&found.errors)),
            ..SubjectRulesReviewStatus::default()
        };
        for rule in found.rules {
            if rule.resources.as_ref().is_some_and(|resources| !resources.is_empty()) {
                status.resource_rules.push(ResourceRule {
                    verbs: rule.verbs.clone(),
                    api_groups: rule.api_groups,
                    resources: rule.resources,
                    resource_names: rule.resource_names,
                });
            }
            if rule.non_resource_urls.as_ref().is_some_and(|urls| !urls.is_empty()) {
                status.non_resource_rules.push(NonResourceRule {
                    verbs: rule.verbs,
                    non_resource_urls: rule.non_resource_urls,
                });
            }
        }
        review.status = Some(status);
    }
}

fn attributes<'a>(
    resource: Option<&'a ResourceAttributes>,
    path: Option<&'a NonResourceAttributes>,
) -> Attributes<'a> {
    fn text(text: Option<&String>) -> &str {
        text.map_or("", String::as_str)
    }
    match (resource, path) {
        (Some(asked), _) => Attributes::Resource {
            verb: text(asked.verb.as_ref()),
            group: text(asked.group.as_ref()),
            resource: text(asked.resource.as_ref()),
            subresource: text(asked.subresource.as_ref()),
            namespace: text(asked.namespace.as_ref()),
            name: text(asked.name.as_ref()),
        },
        (None, Some(asked)) => {
            Attributes::Path { verb: text(asked.verb.as_ref()), path: text(asked.path.as_ref()) }
        }
        // Validation refuses it; nobody is granted the empty path.
        (None, None) => Attributes::Path { verb: "", path: "" },
    }
}

/// Fills in who `identity` is.
pub fn answer_who(identity: &Identity, review: &mut SelfSubjectReview) {
    review.status = Some(SelfSubjectReviewStatus { user_info: Some(user_info(identity)) });
}

/// As objects tell of users.
pub fn user_info(identity: &Identity) -> UserInfo {
    let present = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    UserInfo {
        username: present(&identity.user),
        uid: present(&identity.uid),
        groups: Some(identity.groups.clone()),
        extra: Some(identity.extra.clone()).filter(|extra| !extra.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(identity: &Identity, spec: Value, expect: bool) {
        let spec = serde_json::from_value(spec).unwrap();
        let mut review = SelfSubjectAccessReview { spec, ..Default::default() };
        Authorizer::with_usual_roles().answer_self(identity, &mut review);
        assert_eq!(review.status.unwrap().allowed, expect);
    }

    #[test]
    fn can_i_answers_as_authorization_would() {
        let delete = json!({"resourceAttributes":
            {"verb": "delete", "resource": "pods", "namespace": "default"}});
        check(&Identity::admin(), delete.clone(), true);
        check(&Identity::service_account("a", "b", "c"), delete, false);
        let version = json!({"nonResourceAttributes": {"verb": "get", "path": "/version"}});
        check(&Identity::anonymous(), version, true);
        check(&Identity::service_account("a", "b", "c"), json!({}), false);
    }

    #[test]
    fn others_are_asked_about_with_their_groups() {
        let ask = |groups: Value| {
            let spec = json!({"user": "x", "groups": groups, "resourceAttributes":
                {"group": "authorization.k8s.io", "resource": "selfsubjectaccessreviews",
                    "verb": "create"}});
            Authorizer::with_usual_roles().answer_subject(&serde_json::from_value(spec).unwrap())
        };
        let status = ask(json!(["system:authenticated"]));
        let reason = "RBAC: allowed by ClusterRoleBinding \"system:basic-user\" of ClusterRole \
                      \"system:basic-user\" to Group \"system:authenticated\"";
        assert_eq!((status.allowed, status.reason.as_deref()), (true, Some(reason)));
        assert!(!ask(json!([])).allowed);
    }

    #[test]
    fn the_list_shows_what_a_service_account_may() {
        let mut review = SelfSubjectRulesReview::default();
        Authorizer::with_usual_roles()
            .answer_rules(&Identity::service_account("a", "b", "c"), &mut review);
        let status = review.status.unwrap();
        let resources: Vec<String> =
            status.resource_rules.into_iter().filter_map(|rule| rule.resources).flatten().collect();
        assert_eq!(
            resources,
            ["selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"]
        );
        assert!(!status.incomplete);
        let mut review = SelfSubjectRulesReview::default();
        Authorizer::with_usual_roles().answer_rules(&Identity::admin(), &mut review);
        assert_eq!(review.status.unwrap().resource_rules[0].verbs, ["*"]);
    }

    #[test]
    fn whoami_names_user_and_groups() {
        let mut review = SelfSubjectReview::default();
        answer_who(&Identity::admin(), &mut review);
        let info = serde_json::to_value(review.status.unwrap()).unwrap();
        let expect = json!({"userInfo": {"username": "kubernetes-admin",
            "groups": ["system:masters", "system:authenticated"]}});
        assert_eq!(info, expect);
    }
}
