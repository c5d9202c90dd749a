//! The kinds of `rbac.authorization.k8s.io`: who may do what. `auth` judges by them.

mod cluster_role;
mod cluster_role_binding;
mod role;
mod role_binding;
mod rules;
mod subjects;

pub(super) use cluster_role::ClusterRoles;
pub(super) use cluster_role_binding::ClusterRoleBindings;
pub(super) use role::Roles;
pub(super) use role_binding::RoleBindings;
