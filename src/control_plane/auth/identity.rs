//! Who asks.

use std::collections::BTreeMap;

/// An authenticated user. Upstream: `user.Info` of `k8s.io/apiserver/pkg/authentication/user`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    pub user: String,
    /// Of the ServiceAccount; empty for users that are no objects.
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Who may do everything.
pub(super) const MASTERS: &str = "system:masters";
/// The group of everybody who was recognised.
pub(super) const AUTHENTICATED: &str = "system:authenticated";
/// The group of those who showed no credential.
pub(super) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// What tells a built-in controller, which lives in this process, from a ServiceAccount of the same
/// name whose token somebody holds: nobody who comes from outside is in this group, whatever a
/// certificate or a header says.
pub(super) const CONTROLLERS: &str = "sampan:controllers";

impl Identity {
    /// A user of these groups and of `system:authenticated`.
    pub fn new(user: impl Into<String>, groups: &[&str]) -> Self {
        let mut identity = Self { user: user.into(), ..Self::default() };
        identity.groups = groups.iter().map(|group| (*group).to_owned()).collect();
        identity.groups.push(AUTHENTICATED.to_owned());
        identity
    }

    /// Who the kubeconfig's client certificate says one is.
    pub fn admin() -> Self {
        Self::new("kubernetes-admin", &[MASTERS])
    }

    /// Somebody who showed neither certificate nor token.
    pub fn anonymous() -> Self {
        Self {
            user: "system:anonymous".to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    pub fn scheduler() -> Self {
        Self::new("system:kube-scheduler", &[])
    }

    /// The kubelet of the named node.
    pub fn node(name: &str) -> Self {
        Self::new(format!("system:node:{name}"), &["system:nodes"])
    }

    /// Who brings Services' traffic to their Pods.
    pub fn proxy() -> Self {
        Self::new("system:kube-proxy", &[])
    }

    /// A built-in controller, named as upstream's ServiceAccounts in kube-system are
    /// (`namespace-controller`).
    pub fn controller(name: &str) -> Self {
        let mut identity = Self::service_account("kube-system", name, "");
        identity.groups.push(CONTROLLERS.to_owned());
        identity
    }

    /// Upstream: `serviceaccount.UserInfo`.
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}")];
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Self { uid: uid.to_owned(), ..Self::new(user, &groups) }
    }

    /// The API server acting on its own behalf (bootstrap objects).
    pub fn apiserver() -> Self {
        Self::new("system:apiserver", &[MASTERS])
    }

    /// As somebody who comes from outside: not of this process.
    #[must_use]
    pub fn outsider(mut self) -> Self {
        self.groups.retain(|group| group != CONTROLLERS);
        self
    }

    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|one| one == group)
    }
}
