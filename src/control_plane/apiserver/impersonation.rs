//! Acting as somebody else: `kubectl --as`, `--as-group`, `--as-uid`.
//!
//! Upstream: `k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::ApiServer;
use super::status::Outcome;
use crate::api::status;
use crate::control_plane::auth::{Attributes, Identity};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

impl ApiServer {
    /// Whom the request's headers want to act as; whoever asks without such headers.
    ///
    /// # Errors
    /// 403 if `identity` may not, 500 (upstream's answer) for groups or more without a user.
    pub(super) fn impersonated(
        &self,
        identity: Arc<Identity>,
        headers: &HeaderMap,
    ) -> Outcome<Arc<Identity>> {
        if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
            return Ok(identity);
        }
        let wanted = wanted(headers);
        if wanted.user.is_empty() {
            if wanted == Identity::default() {
                return Ok(identity);
            }
            let text = format!("requested {wanted:?} without impersonating a user");
            return Err(status::internal_error(text).into());
        }
        for attributes in needed(&wanted) {
            self.require(&identity, &attributes)?;
        }
        Ok(Arc::new(completed(wanted)))
    }
}

/// As the headers say.
fn wanted(headers: &HeaderMap) -> Identity {
    let one = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let all = |name: &HeaderName| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let mut extra = BTreeMap::new();
    for name in headers.keys() {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
            extra.insert(key.into_owned(), all(name));
        }
    }
    let groups = all(&HeaderName::from_static(GROUP));
    Identity { user: one(USER), uid: one(UID), groups, extra }.outsider()
}

/// What whoever wants to be `wanted` must be allowed, each for itself.
fn needed(wanted: &Identity) -> Vec<Attributes<'_>> {
    const IDENTITIES: &str = "authentication.k8s.io";
    fn on<'a>(group: &'a str, resource: &'a str, name: &'a str) -> Attributes<'a> {
        let (namespace, subresource) = ("", "");
        Attributes::Resource { verb: "impersonate", group, resource, subresource, namespace, name }
    }
    let mut needed = vec![match service_account(&wanted.user) {
        Some((namespace, name)) => Attributes::Resource {
            verb: "impersonate",
            group: "",
            resource: "serviceaccounts",
            subresource: "",
            namespace,
            name,
        },
        None => on("", "users", &wanted.user),
    }];
    needed.extend(wanted.groups.iter().map(|group| on("", "groups", group)));
    for (key, values) in &wanted.extra {
        needed.extend(values.iter().map(|value| Attributes::Resource {
            verb: "impersonate",
            group: IDENTITIES,
            resource: "userextras",
            subresource: key,
            namespace: "",
            name: value,
        }));
    }
    if !wanted.uid.is_empty() {
        needed.push(on(IDENTITIES, "uids", &wanted.uid));
    }
    needed
}

/// The groups that such a user always has.
fn completed(mut wanted: Identity) -> Identity {
    const ANYBODY: [&str; 2] = ["system:authenticated", "system:unauthenticated"];
    if wanted.groups.is_empty()
        && let Some((namespace, name)) = service_account(&wanted.user)
    {
        wanted.groups = Identity::service_account(namespace, name, "").groups;
    }
    if !ANYBODY.iter().any(|group| wanted.is_in(group)) {
        let group = ANYBODY[usize::from(wanted.user == Identity::anonymous().user)];
        wanted.groups.push(group.to_owned());
    }
    wanted
}

/// Namespace and name of the account that the user is.
fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(header).collect()
    }

    #[test]
    fn an_account_has_its_groups_and_others_those_they_name() {
        let account = wanted(&headers(&[(USER, "system:serviceaccount:n:s")]));
        assert_eq!(completed(account), Identity::service_account("n", "s", ""));
        let user = wanted(&headers(&[(USER, "ann"), (GROUP, "dev"), (GROUP, "ops")]));
        assert_eq!(completed(user), Identity::new("ann", &["dev", "ops"]));
        let component = wanted(&headers(&[(USER, "eve"), (GROUP, "sampan:controllers")]));
        assert_eq!(completed(component), Identity::new("eve", &[]));
        let nobody = wanted(&headers(&[(USER, "system:anonymous")]));
        assert_eq!(completed(nobody), Identity::anonymous());
    }

    #[test]
    fn each_part_needs_its_own_permission() {
        let headers = headers(&[
            (USER, "ann"),
            (GROUP, "dev"),
            (UID, "7"),
            ("impersonate-extra-acme.org%2fproject", "x"),
        ]);
        let wanted = wanted(&headers);
        let told: Vec<String> = needed(&wanted)
            .iter()
            .map(|one| match one {
                Attributes::Resource { group, resource, subresource, name, .. } => {
                    format!("{group} {resource} {subresource} {name}")
                }
                Attributes::Path { path, .. } => (*path).to_owned(),
            })
            .collect();
        assert_eq!(
            told,
            [
                " users  ann",
                " groups  dev",
                "authentication.k8s.io userextras acme.org/project x",
                "authentication.k8s.io uids  7",
            ]
        );
    }
}
