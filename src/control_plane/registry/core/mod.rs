//! The kinds of the core group, one file each; each is entered through `RESOURCES`.

mod binding;
mod config_map;
mod endpoints;
mod event;
mod keyed_data;
mod limit_range;
mod namespace;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
pub(super) mod pod;
mod replication_controller;
mod resource_quota;
mod secret;
mod service;
mod service_account;
mod storage;

pub(super) use binding::Bindings;
pub(super) use config_map::ConfigMaps;
pub(super) use endpoints::EndpointsObjects;
pub(super) use event::Events;
pub(super) use limit_range::LimitRanges;
pub(super) use namespace::Namespaces;
pub(super) use node::Nodes;
pub(super) use persistent_volume::PersistentVolumes;
pub(super) use persistent_volume_claim::PersistentVolumeClaims;
pub(super) use pod::Pods;
pub(super) use replication_controller::ReplicationControllers;
pub(super) use resource_quota::ResourceQuotas;
pub(super) use secret::Secrets;
pub(super) use service::Services;
pub(super) use service_account::ServiceAccounts;

pub(super) use super::rules::set_default;

/// What a taint does to Pods that do not tolerate it.
const TAINT_EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
