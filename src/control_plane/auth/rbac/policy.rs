//! All roles and bindings, by whom they are given to.
//!
//! Objects are shared with the caches, never copied; a question takes one read lock and looks at the
//! bindings of its user and groups alone. Bound: one entry per subject of each binding.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use parking_lot::RwLock;
use tokio::sync::watch;

use super::GROUP;
use crate::api::object::{GroupResource, ObjectKey};
use crate::api::status;
use crate::client::cache::key_of;
use crate::control_plane::auth::Identity;

/// Which kind's objects a feed brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control_plane) enum Kind {
    Role,
    ClusterRole,
    RoleBinding,
    ClusterRoleBinding,
}

impl Kind {
    /// With their plurals.
    pub(in crate::control_plane) const ALL: [(&str, Self); 4] = [
        ("roles", Self::Role),
        ("clusterroles", Self::ClusterRole),
        ("rolebindings", Self::RoleBinding),
        ("clusterrolebindings", Self::ClusterRoleBinding),
    ];
}

type Shared = Arc<dyn Any + Send + Sync>;

/// The index. One for each API server.
#[derive(Default)]
pub(in super::super) struct Policy {
    index: RwLock<Index>,
    /// By kind: everything up to this revision of the store is in.
    reached_tx: [watch::Sender<u64>; Kind::ALL.len()],
}

#[derive(Default)]
struct Index {
    cluster_roles: HashMap<String, Arc<ClusterRole>>,
    /// By namespace and name.
    roles: HashMap<String, HashMap<String, Arc<Role>>>,
    bindings: BTreeMap<ObjectKey, Binding>,
    users: HashMap<String, Given>,
    groups: HashMap<String, Given>,
}

/// What a subject is given, by namespace; the empty one stands for everywhere. In the order of the
/// bindings' names.
type Given = BTreeMap<String, BTreeMap<String, Entry>>;

#[derive(Clone)]
struct Entry {
    binding: Binding,
    /// Which of the binding's subjects.
    subject: usize,
}

#[derive(Clone)]
enum Binding {
    Everywhere(Arc<ClusterRoleBinding>),
    Namespaced(Arc<RoleBinding>),
}

/// A role that somebody has, and by what.
pub(in super::super) struct Granted<'a> {
    entry: &'a Entry,
    pub(in super::super) rules: &'a [PolicyRule],
}

/// What [`Policy::visit`] comes by.
pub(in super::super) enum Visit<'a> {
    Granted(Granted<'a>),
    /// A binding to a role that is not there; upstream's words.
    Missing(String),
}

impl Policy {
    /// Shows what `identity` is given everywhere and in the namespace (none if that is empty), until
    /// `look` has seen enough. `look` runs under the lock.
    pub(in super::super) fn visit(
        &self,
        identity: &Identity,
        namespace: &str,
        mut look: impl FnMut(Visit<'_>) -> ControlFlow<()>,
    ) {
        let index = self.index.read();
        let places = if namespace.is_empty() { &[""][..] } else { &["", namespace][..] };
        let user = index.users.get(&identity.user).into_iter();
        let groups = identity.groups.iter().filter_map(|group| index.groups.get(group));
        let given: Vec<&Given> = user.chain(groups).collect();
        for place in places {
            for entry in
                given.iter().filter_map(|given| given.get(*place)).flat_map(BTreeMap::values)
            {
                let role = entry.binding.role();
                let visit = match index.rules(role, place) {
                    Some(rules) => Visit::Granted(Granted { entry, rules }),
                    None => Visit::Missing(not_found(role)),
                };
                if look(visit).is_break() {
                    return;
                }
            }
        }
    }

    /// The rules of the role that a binding of this namespace (empty: everywhere) is to.
    ///
    /// # Errors
    /// Upstream's words for a role that is not there.
    pub(in super::super) fn rules_of(
        &self,
        role: &RoleRef,
        namespace: &str,
    ) -> Result<Vec<PolicyRule>, GroupResource> {
        let index = self.index.read();
        let rules = index.rules(role, namespace).map(<[PolicyRule]>::to_vec);
        rules.ok_or_else(|| kind_of(role))
    }

    /// Makes `objects` all there is of the kind.
    pub(in super::super) fn replace(&self, kind: Kind, objects: Vec<Shared>) {
        let mut index = self.index.write();
        match kind {
            Kind::Role => index.roles.clear(),
            Kind::ClusterRole => index.cluster_roles.clear(),
            Kind::RoleBinding => index.clear_bindings(|key| !key.namespace.is_empty()),
            Kind::ClusterRoleBinding => index.clear_bindings(|key| key.namespace.is_empty()),
        }
        for object in objects {
            index.insert(kind, object);
        }
    }

    pub(in super::super) fn apply(&self, kind: Kind, object: Shared) {
        self.index.write().insert(kind, object);
    }

    pub(in super::super) fn advance(&self, kind: Kind, revision: u64) {
        self.reached_tx[kind as usize].send_replace(revision);
    }

    /// Waits until objects of the kind are in as of this revision, at which one was written.
    pub(in super::super) async fn reached(&self, kind: Kind, revision: u64) {
        // Fails only when the sender is gone, and we hold the sender.
        let mut reached_rx = self.reached_tx[kind as usize].subscribe();
        let _ = reached_rx.wait_for(|reached| *reached >= revision).await;
    }

    pub(in super::super) fn delete(&self, kind: Kind, key: &ObjectKey) {
        let mut index = self.index.write();
        match kind {
            Kind::ClusterRole => drop(index.cluster_roles.remove(&key.name)),
            Kind::Role => {
                if let Some(roles) = index.roles.get_mut(&key.namespace) {
                    roles.remove(&key.name);
                    if roles.is_empty() {
                        index.roles.remove(&key.namespace);
                    }
                }
            }
            Kind::RoleBinding | Kind::ClusterRoleBinding => index.unbind(key),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("bindings", &self.index.read().bindings.len()).finish()
    }
}

impl Index {
    fn rules(&self, role: &RoleRef, namespace: &str) -> Option<&[PolicyRule]> {
        let rules = if role.kind == "ClusterRole" {
            &self.cluster_roles.get(&role.name)?.rules
        } else {
            &self.roles.get(namespace)?.get(&role.name)?.rules
        };
        Some(rules.as_deref().unwrap_or_default())
    }

    /// What is of another type than its kind is left out: nobody sends that.
    fn insert(&mut self, kind: Kind, object: Shared) {
        match kind {
            Kind::ClusterRole => {
                if let Ok(role) = object.downcast::<ClusterRole>() {
                    self.cluster_roles.insert(key_of(&*role).name, role);
                }
            }
            Kind::Role => {
                if let Ok(role) = object.downcast::<Role>() {
                    let ObjectKey { namespace, name } = key_of(&*role);
                    self.roles.entry(namespace).or_default().insert(name, role);
                }
            }
            Kind::RoleBinding => {
                if let Ok(binding) = object.downcast::<RoleBinding>() {
                    self.bind(key_of(&*binding), Binding::Namespaced(binding));
                }
            }
            Kind::ClusterRoleBinding => {
                if let Ok(binding) = object.downcast::<ClusterRoleBinding>() {
                    self.bind(key_of(&*binding), Binding::Everywhere(binding));
                }
            }
        }
    }

    fn bind(&mut self, key: ObjectKey, binding: Binding) {
        self.unbind(&key);
        for (index, subject) in binding.subjects().iter().enumerate() {
            let Some((given, name)) = self.given_to(subject, &key.namespace) else { continue };
            let place = given.entry(name).or_default().entry(key.namespace.clone()).or_default();
            // One that is named twice has it once.
            place
                .entry(key.name.clone())
                .or_insert_with(|| Entry { binding: binding.clone(), subject: index });
        }
        self.bindings.insert(key, binding);
    }

    fn unbind(&mut self, key: &ObjectKey) {
        let Some(binding) = self.bindings.remove(key) else { return };
        for subject in binding.subjects() {
            let Some((all, name)) = self.given_to(subject, &key.namespace) else { continue };
            let Some(given) = all.get_mut(&name) else { continue };
            if let Some(place) = given.get_mut(&key.namespace) {
                place.remove(&key.name);
                if place.is_empty() {
                    given.remove(&key.namespace);
                }
            }
            if given.is_empty() {
                all.remove(&name);
            }
        }
    }

    fn clear_bindings(&mut self, of: impl Fn(&ObjectKey) -> bool) {
        let keys: Vec<ObjectKey> = self.bindings.keys().filter(|key| of(key)).cloned().collect();
        keys.iter().for_each(|key| self.unbind(key));
    }

    /// Where the subject's entries are, and under which name. `None`: it can be nobody.
    fn given_to(
        &mut self,
        subject: &Subject,
        namespace: &str,
    ) -> Option<(&mut HashMap<String, Given>, String)> {
        match subject.kind.as_str() {
            "User" => Some((&mut self.users, subject.name.clone())),
            "Group" => Some((&mut self.groups, subject.name.clone())),
            "ServiceAccount" => {
                let said = subject.namespace.as_deref().filter(|said| !said.is_empty());
                let namespace = said.unwrap_or(namespace);
                let user = format!("system:serviceaccount:{namespace}:{}", subject.name);
                (!namespace.is_empty()).then_some((&mut self.users, user))
            }
            _ => None,
        }
    }
}

impl Binding {
    fn role(&self) -> &RoleRef {
        match self {
            Self::Everywhere(binding) => &binding.role_ref,
            Self::Namespaced(binding) => &binding.role_ref,
        }
    }

    fn subjects(&self) -> &[Subject] {
        let subjects = match self {
            Self::Everywhere(binding) => &binding.subjects,
            Self::Namespaced(binding) => &binding.subjects,
        };
        subjects.as_deref().unwrap_or_default()
    }
}

/// Upstream: `clusterRoleBindingDescriber`, `roleBindingDescriber` and `describeSubject` in
/// `pkg/registry/rbac/validation/rule.go`.
impl fmt::Display for Granted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binding = &self.entry.binding;
        let (kind, name, namespace) = match binding {
            Binding::Everywhere(binding) => {
                ("ClusterRoleBinding", key_of(&**binding).name, String::new())
            }
            Binding::Namespaced(binding) => {
                let ObjectKey { namespace, name } = key_of(&**binding);
                ("RoleBinding", format!("{name}/{namespace}"), namespace)
            }
        };
        let RoleRef { kind: role_kind, name: role, .. } = binding.role();
        write!(f, "{kind} {name:?} of {role_kind} {role:?} to ")?;
        let subject = &binding.subjects()[self.entry.subject];
        let subject_name = match subject.kind.as_str() {
            "ServiceAccount" => {
                let said = subject.namespace.as_ref().filter(|said| !said.is_empty());
                format!("{}/{}", subject.name, said.unwrap_or(&namespace))
            }
            _ => subject.name.clone(),
        };
        write!(f, "{} {subject_name:?}", subject.kind)
    }
}

fn kind_of(role: &RoleRef) -> GroupResource {
    GroupResource::new(GROUP, role.kind.to_lowercase())
}

fn not_found(role: &RoleRef) -> String {
    status::not_found(&kind_of(role), &role.name).message.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shared<T: serde::de::DeserializeOwned + Send + Sync + 'static>(value: Value) -> Shared {
        Arc::new(serde_json::from_value::<T>(value).unwrap())
    }

    fn role(name: &str, verb: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "n"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}]})
    }

    fn binding(namespace: Option<&str>, name: &str, role: &str, subjects: Value) -> Value {
        let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
        json!({"metadata": {"name": name, "namespace": namespace}, "subjects": subjects,
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role}})
    }

    fn policy() -> Policy {
        let policy = Policy::default();
        policy.apply(Kind::ClusterRole, shared::<ClusterRole>(role("reader", "list")));
        policy.apply(Kind::Role, shared::<Role>(role("getter", "get")));
        let everywhere = binding(
            None,
            "read",
            "reader",
            json!([{"kind": "Group", "name": "g"}, {"kind": "ServiceAccount", "name": "nobody"}]),
        );
        policy.apply(Kind::ClusterRoleBinding, shared::<ClusterRoleBinding>(everywhere));
        let here = binding(
            Some("n"),
            "get",
            "getter",
            json!([{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}]),
        );
        policy.apply(Kind::RoleBinding, shared::<RoleBinding>(here));
        policy
    }

    #[track_caller]
    fn check(policy: &Policy, identity: &Identity, namespace: &str, expect: &[&str]) {
        let mut found = Vec::new();
        policy.visit(identity, namespace, |visit| {
            found.push(match visit {
                Visit::Granted(granted) => format!("{}: {granted}", granted.rules[0].verbs[0]),
                Visit::Missing(words) => words,
            });
            ControlFlow::Continue(())
        });
        assert_eq!(found, expect);
    }

    #[test]
    fn roles_are_found_by_user_group_and_account() {
        let policy = policy();
        let everywhere = r#"list: ClusterRoleBinding "read" of ClusterRole "reader" to Group "g""#;
        let here = r#"get: RoleBinding "get/n" of Role "getter" to User "u""#;
        check(&policy, &Identity::new("u", &["g"]), "n", &[everywhere, here]);
        check(&policy, &Identity::new("u", &["g"]), "other", &[everywhere]);
        check(&policy, &Identity::new("u", &[]), "", &[]);
        let here = r#"get: RoleBinding "get/n" of Role "getter" to ServiceAccount "s/n""#;
        check(&policy, &Identity::service_account("n", "s", ""), "n", &[here]);
        check(&policy, &Identity::service_account("m", "s", ""), "n", &[]);
    }

    #[test]
    fn what_is_taken_away_is_gone() {
        let policy = policy();
        policy.delete(Kind::Role, &ObjectKey::new("n", "getter"));
        let missing = r#"role.rbac.authorization.k8s.io "getter" not found"#;
        check(&policy, &Identity::new("u", &[]), "n", &[missing]);
        policy.delete(Kind::RoleBinding, &ObjectKey::new("n", "get"));
        check(&policy, &Identity::new("u", &[]), "n", &[]);
        policy.replace(Kind::ClusterRoleBinding, Vec::new());
        check(&policy, &Identity::new("u", &["g"]), "n", &[]);
        let index = policy.index.read();
        assert!(index.users.is_empty() && index.groups.is_empty() && index.roles.is_empty());
    }

    #[test]
    fn a_changed_binding_forgets_whom_it_was_to() {
        let policy = policy();
        let other = binding(None, "read", "reader", json!([{"kind": "Group", "name": "h"}]));
        policy.apply(Kind::ClusterRoleBinding, shared::<ClusterRoleBinding>(other));
        check(&policy, &Identity::new("u", &["g"]), "", &[]);
        let now = r#"list: ClusterRoleBinding "read" of ClusterRole "reader" to Group "h""#;
        check(&policy, &Identity::new("u", &["h"]), "", &[now]);
    }
}
