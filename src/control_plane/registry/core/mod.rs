//! The kinds of the core group, one file each; each is entered through `RESOURCES`.

mod binding;
mod config_map;
mod event;
mod keyed_data;
mod namespace;
mod node;
mod pod;
mod secret;
mod service_account;

pub use binding::Bindings;
pub use config_map::ConfigMaps;
pub use event::Events;
pub use namespace::Namespaces;
pub use node::Nodes;
pub use pod::Pods;
pub use secret::Secrets;
pub use service_account::ServiceAccounts;

/// Fills in a string that was left out; Go clients spell "left out" as the empty string too.
fn set_default(slot: &mut Option<String>, value: &str) {
    if slot.as_deref().is_none_or(str::is_empty) {
        *slot = Some(value.to_owned());
    }
}
