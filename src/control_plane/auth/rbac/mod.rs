//! Who may do what, by the Roles and bindings that are stored.
//!
//! Enter by [`Policy`]: an index of all roles and bindings by whom they are given to, kept current by
//! the API server's feeds. `rules` matches one rule with one question, `coverage` compares what somebody
//! has with what is to be given, `aggregation` gathers rules by labels.
//!
//! Upstream: `plugin/pkg/auth/authorizer/rbac/rbac.go`, `pkg/registry/rbac/validation/rule.go`.

mod aggregation;
mod coverage;
mod policy;
mod rules;

pub use aggregation::aggregate;
pub(in crate::control_plane) use coverage::quoted_list;
pub use coverage::{describe, uncovered};
pub(in crate::control_plane) use policy::Kind;
pub(super) use policy::{Granted, Policy, Visit};
pub(super) use rules::allows;

/// Of the API.
pub(in crate::control_plane) const GROUP: &str = "rbac.authorization.k8s.io";
