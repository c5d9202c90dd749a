//! The kinds of `networking.k8s.io`.

mod ingress;
mod ingress_class;
mod network_policy;

pub(super) use ingress::Ingresses;
pub(super) use ingress_class::IngressClasses;
pub(super) use network_policy::NetworkPolicies;
