//! The kinds of the core group, one file each; each is entered through `RESOURCES`.

mod binding;
mod config_map;
mod event;
mod keyed_data;
mod namespace;
mod node;
pub(super) mod pod;
mod secret;
mod service_account;

pub(super) use binding::Bindings;
pub(super) use config_map::ConfigMaps;
pub(super) use event::Events;
pub(super) use namespace::Namespaces;
pub(super) use node::Nodes;
pub(super) use pod::Pods;
pub(super) use secret::Secrets;
pub(super) use service_account::ServiceAccounts;

/// What a taint does to Pods that do not tolerate it.
const TAINT_EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Fills in a string that was left out; Go clients spell "left out" as the empty string too.
pub(super) fn set_default(slot: &mut Option<String>, value: &str) {
    if slot.as_deref().is_none_or(str::is_empty) {
        *slot = Some(value.to_owned());
    }
}
