//! Answers to questions about oneself: `kubectl auth can-i`, `can-i --list`, `whoami`.
//!
//! Upstream: `pkg/registry/authorization/{selfsubjectaccessreview,selfsubjectrulesreview}`,
//! `pkg/registry/authentication/selfsubjectreview`.

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, SelfSubjectReviewStatus, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceRule, ResourceRule, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview, SubjectAccessReviewStatus, SubjectRulesReviewStatus,
};

use super::grants::{Rule, rules_of};
use super::{Attributes, Decision, Identity, authorize};

/// Fills in whether `identity` may do what the review asks about.
pub fn answer_access(identity: &Identity, review: &mut SelfSubjectAccessReview) {
    let decision = authorize(identity, &attributes(&review.spec));
    review.status = Some(SubjectAccessReviewStatus {
        allowed: decision == Decision::Allow,
        ..SubjectAccessReviewStatus::default()
    });
}

fn attributes(spec: &SelfSubjectAccessReviewSpec) -> Attributes<'_> {
    fn text(text: Option<&String>) -> &str {
        text.map_or("", String::as_str)
    }
    match (&spec.resource_attributes, &spec.non_resource_attributes) {
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

/// Fills in everything `identity` may do; it is the same in every namespace until RBAC.
pub fn answer_rules(identity: &Identity, review: &mut SelfSubjectRulesReview) {
    let mut status = SubjectRulesReviewStatus::default();
    for rule in rules_of(identity) {
        match rule {
            Rule::Resources { verbs, groups, resources } => {
                status.resource_rules.push(ResourceRule {
                    verbs: owned(verbs),
                    api_groups: Some(owned(groups)),
                    resources: Some(owned(resources)),
                    resource_names: None,
                });
            }
            Rule::Paths { verbs, paths } => status.non_resource_rules.push(NonResourceRule {
                verbs: owned(verbs),
                non_resource_urls: Some(owned(paths)),
            }),
        }
    }
    review.status = Some(status);
}

/// Fills in who `identity` is.
pub fn answer_who(identity: &Identity, review: &mut SelfSubjectReview) {
    let present = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    review.status = Some(SelfSubjectReviewStatus {
        user_info: Some(UserInfo {
            username: present(&identity.user),
            uid: present(&identity.uid),
            groups: Some(identity.groups.clone()),
            extra: Some(identity.extra.clone()).filter(|extra| !extra.is_empty()),
        }),
    });
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(identity: &Identity, spec: Value, expect: bool) {
        let spec = serde_json::from_value(spec).unwrap();
        let mut review = SelfSubjectAccessReview { spec, ..Default::default() };
        answer_access(identity, &mut review);
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
    fn the_list_shows_what_a_service_account_may() {
        let mut review = SelfSubjectRulesReview::default();
        answer_rules(&Identity::service_account("a", "b", "c"), &mut review);
        let status = review.status.unwrap();
        let resources: Vec<String> =
            status.resource_rules.into_iter().filter_map(|rule| rule.resources).flatten().collect();
        assert_eq!(
            resources,
            ["selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"]
        );
        assert!(!status.incomplete);
        let mut review = SelfSubjectRulesReview::default();
        answer_rules(&Identity::admin(), &mut review);
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
