//! ServiceAccounts.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ServiceAccount;
use serde_json::Value;

use crate::control_plane::registry::print::{self, AGE, NAME};
use crate::control_plane::registry::{Column, Names, Resource, Scope, Subresource};

#[derive(Debug)]
pub(crate) struct ServiceAccounts;

impl Resource for ServiceAccounts {
    type Object = ServiceAccount;

    const NAMES: Names = Names {
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short: &["sa"],
        categories: &[],
    };
    const SCOPE: Scope = Scope::Namespaced;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource {
        name: "token",
        kind: ("authentication.k8s.io", "v1", "TokenRequest"),
        verbs: &["create"],
    }];

    const ANSWERS_DELETED_OBJECT: bool = true;

    /// The column "Secrets" of older servers is gone, as in Kubernetes 1.36.
    fn columns() -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, AGE];
        COLUMNS
    }

    fn row(account: &ServiceAccount, now: Timestamp) -> Vec<Value> {
        vec![print::name(&account.metadata), print::age(&account.metadata, now)]
    }
}
