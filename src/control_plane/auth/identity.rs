//! The one who asks.

use std::collections::BTreeMap;

/// An authenticated caller. Upstream: `k8s.io/apiserver/pkg/authentication/user`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    pub user: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// May do everything.
    pub fn admin() -> Self {
        Self::of("kubernetes-admin", &["system:masters"])
    }

    pub fn scheduler() -> Self {
        Self::of("system:kube-scheduler", &[])
    }

    /// The kubelet of the node `name`.
    pub fn node(name: &str) -> Self {
        Self::of(&format!("system:node:{name}"), &["system:nodes"])
    }

    /// One of the control plane's controllers, by the name in `CONTROLLERS`.
    pub fn controller(name: &str) -> Self {
        Self::of(
            &format!("system:serviceaccount:kube-system:{name}"),
            &["system:serviceaccounts", "system:serviceaccounts:kube-system"],
        )
    }

    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self {
            user: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..Self::default()
        }
    }

    fn of(user: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().copied().chain(["system:authenticated"]);
        Self {
            user: user.to_owned(),
            groups: groups.map(str::to_owned).collect(),
            ..Self::default()
        }
    }
}
